"""Tasks as clients see them, and the moves that a status may make."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    model_validator,
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


# The default of a field that the client left out; never read.
ABSENT: Any = None
LABEL_CHANGES = frozenset({"labels_add", "labels_remove"})


class LabelChange(NamedTuple):
    """Labels to remove from those of a task, and labels to add to the rest."""

    add: Sequence[str]
    remove: Sequence[str]

    def applied_to(self, labels: Sequence[str]) -> list[str]:
        kept = [label for label in labels if label not in self.remove]
        return kept + [label for label in self.add if label not in kept]


def _change_schema(schema: dict[str, Any]) -> None:
    without_defaults(schema)
    schema["allOf"] = [
        {"not": {"properties": {"labels": {}, name: {}}, "required": ["labels", name]}}
        for name in sorted(LABEL_CHANGES)
    ]


class FieldsChange(BaseModel):
    """A JSON Merge Patch of a task: absent fields stay, null resets a field to its default.

    `labels_add` and `labels_remove` change single labels, without an error for those that are there
    already, or not there. They are not allowed beside `labels`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_change_schema)

    title: Title = ABSENT
    description: Annotated[Description | None, ABOUT_DESCRIPTION] = ABSENT
    status: TaskStatus = ABSENT
    priority: Annotated[Priority | None, ABOUT_PRIORITY] = ABSENT
    labels: Annotated[Labels | None, ABOUT_LABELS] = ABSENT
    labels_add: Annotated[
        Labels, Field(description="Labels to add to those that are there.", examples=[["ink"]])
    ] = ABSENT
    labels_remove: Annotated[
        Labels, Field(description="Labels to take away.", examples=[["pencil"]])
    ] = ABSENT
    project: Project = ABSENT
    assignee: Assignee = ABSENT
    due_at: DueAt = ABSENT

    @model_validator(mode="after")
    def _labels_change_in_one_way(self) -> Self:
        if "labels" in self.model_fields_set and not LABEL_CHANGES.isdisjoint(
            self.model_fields_set
        ):
            raise ValueError("labels excludes labels_add and labels_remove")
        return self

    def label_change(self) -> LabelChange | None:
        """Return the change of single labels, if there is one."""
        if not self.labels_add and not self.labels_remove:
            return None
        return LabelChange(self.labels_add or (), self.labels_remove or ())

    def content(self) -> dict[str, Any]:
        """Return what two requests for the same change have in common."""
        changes = LABEL_CHANGES & self.model_fields_set
        return self.values() | {name: getattr(self, name) for name in changes}

    def values(self) -> dict[str, Any]:
        """Return the fields of a task that were sent, with defaults in the place of null."""
        names = self.model_fields_set & NewTask.model_fields.keys()
        sent = {name: getattr(self, name) for name in names}
        return {
            name: NewTask.model_fields[name].get_default() if value is None else value
            for name, value in sent.items()
        }


class TaskChange(FieldsChange):
    """A JSON Merge Patch of a task, and a comment to add with it: both are done or neither.

    Absent fields stay, null resets a field to its default. `labels_add` and `labels_remove` change
    single labels, without an error for those that are there already, or not there. They are not
    allowed beside `labels`.
    """

    comment: Annotated[
        CommentText,
        Field(
            description="A comment to add to the task.",
            examples=["The pencil broke."],
            json_schema_extra={"writeOnly": True},
        ),
    ] = ABSENT

    def content(self) -> dict[str, Any]:
        comment = {"comment": self.comment} if self.comment else {}
        return super().content() | comment
