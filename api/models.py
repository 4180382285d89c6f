"""What travels: tasks, what callers ask for, and the moves a status may make."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
)


class Status(StrEnum):
    """Where a task stands."""

    TODO = "todo"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    CANCELLED = "cancelled"


# A finished task is reopened before it is worked on again, so that its history tells.
MOVES: dict[Status, frozenset[Status]] = {
    Status.TODO: frozenset({Status.IN_PROGRESS, Status.DONE, Status.CANCELLED}),
    Status.IN_PROGRESS: frozenset({Status.TODO, Status.DONE, Status.CANCELLED}),
    Status.DONE: frozenset({Status.TODO}),
    Status.CANCELLED: frozenset({Status.TODO}),
}


class Priority(StrEnum):
    """How much a task matters, least first."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class Sort(StrEnum):
    """The order of a list; a minus sign turns it round."""

    CREATED = "created"
    CREATED_DESCENDING = "-created"
    UPDATED = "updated"
    UPDATED_DESCENDING = "-updated"
    DUE = "due"
    DUE_DESCENDING = "-due"
    PRIORITY = "priority"
    PRIORITY_DESCENDING = "-priority"

    @property
    def order(self) -> str:
        return self.value.removeprefix("-")

    @property
    def ascending(self) -> bool:
        return not self.value.startswith("-")


RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def rfc3339(moment: datetime) -> str:
    """Write a moment as UTC to the millisecond, in a width that never varies: it sorts as text."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def _utc(value: object) -> str:
    if not isinstance(value, str) or not RFC3339.fullmatch(value):
        raise ValueError("a time is RFC 3339 with an offset, such as 2027-01-31T09:30:00Z")
    try:
        return rfc3339(datetime.fromisoformat(value.upper()))
    except (ValueError, OverflowError):
        raise ValueError("no such date or time in UTC") from None


def _distinct(labels: list[str]) -> list[str]:
    if len(set(labels)) != len(labels):
        raise ValueError("labels must differ from one another")
    return labels


# A time stays the text that DynamoDB stores: read once from the caller, never parsed again.
Moment = Annotated[
    str, BeforeValidator(_utc), WithJsonSchema({"type": "string", "format": "date-time"})
]
# Two characters more than \s, since JSON Schema's regular expressions and ours differ in them.
VISIBLE = r"[^\s\u0085\ufeff]"
ULID_PATTERN = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
Title = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=VISIBLE)]
Description = Annotated[str, StringConstraints(max_length=8000)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=VISIBLE)]
Labels = Annotated[
    list[Label],
    AfterValidator(_distinct),
    Field(max_length=20, json_schema_extra={"uniqueItems": True}),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=VISIBLE)]


@dataclass(slots=True)
class Task:
    """A task as it is stored and as it is answered.

    Not a pydantic model, for nobody outside makes one: a page has many, and this is the fastest
    thing to make that pydantic also writes as JSON.
    """

    id: Annotated[str, Field(description="A ULID: sorts by creation.", pattern=ULID_PATTERN)]
    title: Title
    description: Description
    status: Status
    priority: Priority
    labels: Labels
    project: Name | None
    assignee: Name | None
    due_at: Moment | None
    created_at: Moment
    updated_at: Moment
    completed_at: Annotated[
        Moment | None, Field(description="When the task was last moved to `done`.")
    ]
    version: Annotated[int, Field(ge=1, description="Counts the task's states from 1.")]
    etag: Annotated[
        str, Field(description="What `If-Match` wants; the `ETag` header says the same.")
    ]


# What callers get, byte for byte, when it is made and when it is replayed.
task_json = TypeAdapter(Task).dump_json


class NewTask(BaseModel):
    """What a caller says to create a task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Title
    description: Description = ""
    status: Status = Status.TODO
    priority: Priority = Priority.NONE
    labels: Labels = Field(default=[])
    project: Name | None = None
    assignee: Name | None = None
    due_at: Moment | None = None


# The default of a field that the caller left out: never read, and so of no type.
ABSENT: Any = None


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


class TaskChange(BaseModel):
    """A JSON Merge Patch of a task: what is absent stays, and null goes back to the default."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_without_defaults)

    title: Title = ABSENT
    description: Description | None = ABSENT
    status: Status = ABSENT
    priority: Priority | None = ABSENT
    labels: Labels | None = ABSENT
    project: Name | None = ABSENT
    assignee: Name | None = ABSENT
    due_at: Moment | None = ABSENT

    def values(self) -> dict[str, Any]:
        sent = {name: getattr(self, name) for name in self.model_fields_set}
        return {
            name: NewTask.model_fields[name].get_default() if value is None else value
            for name, value in sent.items()
        }


class TaskQuery(BaseModel):
    """Which tasks a caller wants to see, in which order, and how many at a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Status | None = None
    priority: Priority | None = None
    label: Label | None = None
    project: Name | None = None
    assignee: Name | None = None
    due_from: Moment | None = Field(default=None, description="Due at this time or later.")
    due_before: Moment | None = Field(default=None, description="Due earlier than this time.")
    sort: Sort = Field(
        default=Sort.CREATED_DESCENDING,
        description="Tasks without a due time come after all others under `due`.",
    )
    limit: int = Field(default=25, ge=1, le=100)
    cursor: str | None = Field(
        default=None, max_length=1024, description="The `next_cursor` of the page before."
    )


@dataclass(slots=True)
class TaskPage:
    """One page of a list; it is the last one when `next_cursor` is null."""

    items: list[Task]
    next_cursor: Annotated[
        str | None,
        Field(
            description="Opaque; ask for the next page with it and the same filters and sort. "
            "A page can be short, even empty, and still have a next one."
        ),
    ]
