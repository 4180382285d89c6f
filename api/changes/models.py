"""What clients send to and get from the feed of changes."""

from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import ConfigDict, Field, TypeAdapter

from api.changes.tokens import MAX_SEEN
from api.comments.models import Comment, CommentId
from api.principal import Actor
from api.tasks.list_models import StateFilter, TaskFilters
from api.tasks.models import Task, TaskId
from api.tasks.trash import DeletedAt, DeletedBy
from api.values import (
    DEFAULT_PAGE_LIMIT,
    EXAMPLE_CURSOR,
    MAX_PAGE_LIMIT,
    PageLimit,
    Timestamp,
)

# Base64 of the longest token.
MAX_TOKEN_LENGTH = 4096
# Shorter than proxies wait for a response.
MAX_WAIT_SECONDS = 20
# After it a client must show again that its key is valid.
MAX_STREAM_SECONDS = 300

Token = Annotated[
    str | None,
    Field(
        max_length=MAX_TOKEN_LENGTH,
        description="The `token` of the previous response; without one, the feed begins now.",
        examples=[EXAMPLE_CURSOR],
    ),
]


class FeedQuery(TaskFilters):
    """The query parameters that identify a feed, and where it goes on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: StateFilter | None = Field(
        default=None,
        description="`open` tasks are `todo` or `in_progress`, `closed` ones `done` or "
        "`cancelled`. Without it: the states of `status`, or else `all`.",
        examples=["open"],
    )
    token: Token = None

    @property
    def filters(self) -> str:
        """Return the filters as a text that identifies them."""
        return self.model_dump_json(include=set(TaskFilters.model_fields))


class ChangesQuery(FeedQuery):
    """The query parameters of one read of the feed."""

    limit: PageLimit = DEFAULT_PAGE_LIMIT
    wait: int = Field(
        default=0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="Seconds to wait for a change if there is none yet. A Lambda function does "
        "not wait.",
        examples=[1],
    )

    def after(self, token: str) -> Self:
        return self.model_copy(update={"token": token})


class StreamQuery(FeedQuery):
    """The query parameters of a stream of changes."""

    seconds: int = Field(
        default=MAX_STREAM_SECONDS,
        ge=0,
        le=MAX_STREAM_SECONDS,
        description="How long the stream lasts. Then go on with a new one.",
        examples=[0],
    )

    def read_from(self, token: str | None) -> ChangesQuery:
        """Return the query of one read of this feed."""
        filters = {name: getattr(self, name) for name in TaskFilters.model_fields}
        return ChangesQuery.model_construct(**filters, token=token, limit=MAX_PAGE_LIMIT)


@dataclass(slots=True)
class Deletion:
    """A task that was deleted."""

    id: TaskId
    version: Annotated[
        int,
        Field(
            ge=2,
            description="One more than the task last had; a restore has a higher one.",
            examples=[2],
        ),
    ]
    deleted_at: DeletedAt
    deleted_by: DeletedBy


@dataclass(slots=True)
class CommentDeletion:
    """A comment that was deleted; not one that went with its task."""

    id: CommentId
    task_id: TaskId
    version: Annotated[
        int, Field(ge=2, description="One more than the comment last had.", examples=[2])
    ]
    deleted_at: Annotated[
        Timestamp,
        Field(description="When it was deleted.", examples=["2027-01-06T08:00:00.000Z"]),
    ]
    deleted_by: Annotated[Actor, Field(description="Who deleted it.")]


@dataclass(slots=True)
class Changes:
    """What changed since a token; a change of the last seconds may be delivered again."""

    tasks: Annotated[
        list[Task],
        Field(description="Created, changed and restored tasks as they are now, oldest first."),
    ]
    deletions: Annotated[
        list[Deletion],
        Field(description="Deleted tasks, oldest first, whatever the filters."),
    ]
    comments: Annotated[
        list[Comment],
        Field(
            description="Created and changed comments as they are now, oldest change first, "
            "whatever the filters."
        ),
    ]
    comment_deletions: Annotated[
        list[CommentDeletion],
        Field(description="Deleted comments, oldest first, whatever the filters."),
    ]
    token: Annotated[
        str,
        Field(
            description="Opaque. Send it with the same filters to get what changes from here on.",
            examples=[EXAMPLE_CURSOR],
        ),
    ]
    has_more: Annotated[
        bool,
        Field(
            description="Whether more is known already: request it at once. Of more than "
            f"{MAX_SEEN} changes within seconds, the others follow a few seconds later.",
            examples=[False],
        ),
    ]

    @property
    def is_news(self) -> bool:
        return bool(self.tasks or self.deletions or self.comments or self.comment_deletions)


changes_json = TypeAdapter(Changes).dump_json
