"""Tasks as clients see them, and the moves that a status may make."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
)

from api.principal import Actor
from api.values import (
    ULID_PATTERN,
    VISIBLE_LINES,
    VISIBLE_LINES_SCHEMA,
    VISIBLE_TEXT,
    VISIBLE_TEXT_SCHEMA,
    Name,
    NamedEnum,
    Timestamp,
)


class Status(NamedEnum):
    """The status of a task."""

    TODO = "todo"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    CANCELLED = "cancelled"


class State(NamedEnum):
    """Whether a task is still to be worked on; lists are kept apart by it."""

    OPEN = "open"
    CLOSED = "closed"


STATES: dict[Status, State] = {
    Status.TODO: State.OPEN,
    Status.IN_PROGRESS: State.OPEN,
    Status.DONE: State.CLOSED,
    Status.CANCELLED: State.CLOSED,
}


# A closed task must be reopened before work on it goes on, so that its history shows it.
MOVES: dict[Status, frozenset[Status]] = {
    Status.TODO: frozenset({Status.IN_PROGRESS, Status.DONE, Status.CANCELLED}),
    Status.IN_PROGRESS: frozenset({Status.TODO, Status.DONE, Status.CANCELLED}),
    Status.DONE: frozenset({Status.TODO}),
    Status.CANCELLED: frozenset({Status.TODO}),
}


class Priority(NamedEnum):
    """The priority of a task, lowest first."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


MAX_LABELS = 20
MAX_COMMENTS = 200


def _distinct(labels: list[str]) -> list[str]:
    if len(set(labels)) != len(labels):
        raise ValueError("labels must differ from one another")
    return labels


TaskId = Annotated[
    str,
    Field(
        description="A ULID: ids sort by creation time.",
        pattern=ULID_PATTERN,
        examples=["01ARZ3NDEKTSV4RRFFQ69G5FAV"],
    ),
]
TaskEtag = Annotated[
    str,
    Field(
        description="The value for `If-Match`; the same as the `ETag` header, with its quotes.",
        examples=['"a5a7d12d3d028369"'],
    ),
]


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL")
    return text


Title = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    VISIBLE_TEXT,
    VISIBLE_TEXT_SCHEMA,
    Field(description="What is to be done, in one line.", examples=["Write it down"]),
]
ABOUT_DESCRIPTION = Field(
    description="The details; empty by default.", examples=["With a pencil.\nOn paper."]
)
Description = Annotated[
    str,
    StringConstraints(max_length=8000),
    AfterValidator(_without_nul),
    Field(json_schema_extra={"pattern": r"^[^\u0000]*$"}),
    ABOUT_DESCRIPTION,
]
TaskStatus = Annotated[
    Status, Field(description="Where the work stands; `todo` by default.", examples=["todo"])
]
ABOUT_PRIORITY = Field(description="The urgency; `none` by default.", examples=["high"])
TaskPriority = Annotated[Priority, ABOUT_PRIORITY]
Label = Annotated[
    str, StringConstraints(min_length=1, max_length=50), VISIBLE_TEXT, VISIBLE_TEXT_SCHEMA
]
ABOUT_LABELS = Field(
    description="Words that group tasks, each different; empty by default.", examples=[["paper"]]
)
Labels = Annotated[
    list[Label],
    AfterValidator(_distinct),
    Field(max_length=MAX_LABELS, json_schema_extra={"uniqueItems": True}),
    ABOUT_LABELS,
]
Project = Annotated[
    Name | None, Field(description="The name of the task's project.", examples=["memory"])
]
Assignee = Annotated[
    Name | None, Field(description="The name of who is to do the task.", examples=["ada"])
]
CommentText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=8000),
    VISIBLE_LINES,
    VISIBLE_LINES_SCHEMA,
    Field(description="What it says.", examples=["The pencil broke.\nI take ink."]),
]
DueAt = Annotated[
    Timestamp | None,
    Field(description="When the task is due.", examples=["2027-01-31T09:30:00.000Z"]),
]


@dataclass(slots=True)
class Task:
    """A task."""

    # Not a pydantic model, because clients never send one: a page has many, and pydantic
    # serialises a dataclass as JSON without validating it first.

    id: TaskId
    title: Title
    description: Description
    status: TaskStatus
    priority: TaskPriority
    labels: Labels
    project: Project
    assignee: Assignee
    due_at: DueAt
    created_at: Annotated[
        Timestamp,
        Field(description="When the task was created.", examples=["2027-01-04T08:00:00.000Z"]),
    ]
    updated_at: Annotated[
        Timestamp,
        Field(description="When the task last changed.", examples=["2027-01-04T08:00:00.000Z"]),
    ]
    completed_at: Annotated[
        Timestamp | None,
        Field(description="When the task was last moved to `done`.", examples=[None]),
    ]
    created_by: Annotated[Actor, Field(description="Who created the task.")]
    updated_by: Annotated[Actor, Field(description="Who changed the task last.")]
    comment_count: Annotated[
        int,
        Field(ge=0, le=MAX_COMMENTS, description="How many comments the task has.", examples=[0]),
    ]
    version: Annotated[
        int,
        Field(ge=1, description="Starts at 1 and grows by 1 with each change.", examples=[1]),
    ]
    etag: TaskEtag


# The response body, byte for byte the same when it is replayed.
task_json = TypeAdapter(Task).dump_json


def without_defaults(schema: dict[str, Any]) -> None:
    """Leave defaults out: clients generated from them require or send each of these fields."""
    for field in schema["properties"].values():
        field.pop("default", None)


class NewTask(BaseModel):
    """The body of a request that creates a task."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=without_defaults)

    title: Title
    description: Description = ""
    status: TaskStatus = Status.TODO
    priority: TaskPriority = Priority.NONE
    labels: Labels = Field(default=[])
    project: Project = None
    assignee: Assignee = None
    due_at: DueAt = None
