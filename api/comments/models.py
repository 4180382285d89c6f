"""Comments as clients see them."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from api.dynamodb.item_json import Item
from api.http.etags import etag_of
from api.principal import Actor
from api.tasks.comments import comment_ids
from api.tasks.idempotency import Recorded
from api.tasks.list_models import NextCursor
from api.tasks.models import CommentText, TaskId
from api.tasks.table import actor_of
from api.values import ULID_PATTERN, Timestamp

CommentId = Annotated[
    str,
    Field(
        description="A ULID: ids sort by creation time.",
        pattern=ULID_PATTERN,
        examples=["01ARZ3NDEKTSV4RRFFQ69G5FAX"],
    ),
]


@dataclass(slots=True)
class Comment:
    """A comment on a task."""

    id: CommentId
    task_id: TaskId
    text: CommentText
    created_at: Annotated[
        Timestamp,
        Field(description="When it was written.", examples=["2027-01-04T09:00:00.000Z"]),
    ]
    updated_at: Annotated[
        Timestamp,
        Field(description="When its text last changed.", examples=["2027-01-04T09:00:00.000Z"]),
    ]
    created_by: Annotated[Actor, Field(description="Who wrote it.")]
    updated_by: Annotated[Actor, Field(description="Who changed it last.")]
    version: Annotated[
        int, Field(ge=1, description="Starts at 1 and grows by 1 with each change.", examples=[1])
    ]
    etag: Annotated[
        str,
        Field(
            description="The value for `If-Match`; the same as the `ETag` header, with its quotes.",
            examples=['"0d6f5b8a9c3e2417"'],
        ),
    ]


comment_json = TypeAdapter(Comment).dump_json


class CommentBody(BaseModel):
    """The body of a request that writes a comment or changes one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: CommentText


@dataclass(slots=True)
class CommentPage:
    """One page of a task's comments; the last one has a null `next_cursor`."""

    items: Annotated[list[Comment], Field(description="The comments, oldest first.")]
    next_cursor: NextCursor


comment_page_json = TypeAdapter(CommentPage).dump_json


def comment_of(item: Item) -> Comment:
    """Convert DynamoDB's JSON to a comment that is not deleted."""
    task_id, comment_id = comment_ids(item)
    return Comment(
        id=comment_id,
        task_id=task_id,
        text=item["text"]["S"],
        created_at=item["created_at"]["S"],
        updated_at=item["updated_at"]["S"],
        created_by=actor_of(item, "created_by"),
        updated_by=actor_of(item, "updated_by"),
        version=int(item["version"]["N"]),
        etag=etag_of(item["revision"]["S"]),
    )


def is_deleted_comment(item: Item) -> bool:
    return "text" not in item


def recorded_comment(comment: Comment) -> Recorded:
    return Recorded(comment.id, comment.etag, comment_json(comment))
