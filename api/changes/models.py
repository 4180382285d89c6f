"""What clients send to and get from the feed of changes."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter

from api.changes.tokens import MAX_SEEN
from api.tasks.list_models import StateFilter, TaskFilters
from api.tasks.models import Task, TaskId
from api.tasks.trash import DeletedAt, DeletedBy
from api.values import DEFAULT_PAGE_LIMIT, EXAMPLE_CURSOR, PageLimit

# Base64 of the longest token.
MAX_TOKEN_LENGTH = 4096

Token = Annotated[
    str | None,
    Field(
        max_length=MAX_TOKEN_LENGTH,
        description="The `token` of the previous response; without one, the feed begins now.",
        examples=[EXAMPLE_CURSOR],
    ),
]


class ChangesQuery(TaskFilters):
    """The query parameters of the feed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: StateFilter | None = Field(
        default=None,
        description="`open` tasks are `todo` or `in_progress`, `closed` ones `done` or "
        "`cancelled`. Without it: the states of `status`, or else `all`.",
        examples=["open"],
    )
    limit: PageLimit = DEFAULT_PAGE_LIMIT
    token: Token = None


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


changes_json = TypeAdapter(Changes).dump_json
