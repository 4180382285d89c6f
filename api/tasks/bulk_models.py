"""The body of a bulk request, and the results of its items."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.http.etags import etag_of
from api.tasks.change_models import ABSENT, FieldsChange
from api.tasks.models import NewTask, without_defaults
from api.values import ULID_PATTERN, Matching

MAX_ITEMS = 100

TaskId = Annotated[
    str, Field(description="The task's `id`.", examples=["01ARZ3NDEKTSV4RRFFQ69G5FAV"])
]
ItemEtag = Annotated[
    str,
    Matching(
        r'^(\*|"[!#-~]{0,200}")$',
        r'the double quotes belong to the ETag, such as "\"a5a7d12d3d028369\""; * is any state',
    ),
    Field(
        description="As `If-Match`: the task's ETag as last read, or `*` for any state.",
        examples=['"a5a7d12d3d028369"', "*"],
    ),
]


class BulkChange(BaseModel):
    """A change of one task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: TaskId
    etag: ItemEtag
    patch: Annotated[FieldsChange, Field(description="What to change, as a JSON Merge Patch.")]


class BulkDeletion(BaseModel):
    """The deletion of one task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: TaskId
    etag: ItemEtag


def _with_one_member(schema: dict[str, Any]) -> None:
    without_defaults(schema)
    schema |= {"minProperties": 1, "maxProperties": 1}


class BulkItem(BaseModel):
    """One of a new task, a change and a deletion."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_with_one_member)

    create: Annotated[NewTask, Field(description="Create this task.")] = ABSENT
    change: Annotated[BulkChange, Field(description="Change this task.")] = ABSENT
    delete: Annotated[BulkDeletion, Field(description="Delete this task.")] = ABSENT

    @model_validator(mode="after")
    def _has_one_operation(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("must have one of create, change and delete")
        return self

    @property
    def operation(self) -> NewTask | BulkChange | BulkDeletion:
        (name,) = self.model_fields_set
        operation: NewTask | BulkChange | BulkDeletion = getattr(self, name)
        return operation

    def content(self) -> dict[str, Any]:
        match self.operation:
            case BulkChange() as change:
                return {"change": {**dict(change), "patch": change.patch.content()}}
            case NewTask() as new:
                return {"create": dict(new)}
            case BulkDeletion() as deletion:
                return {"delete": dict(deletion)}


class BulkRequest(BaseModel):
    """The body of a bulk request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: Annotated[
        list[BulkItem],
        Field(min_length=1, max_length=MAX_ITEMS, description="What to do, item by item."),
    ]

    def content(self) -> dict[str, Any]:
        """Return what two requests for the same bulk have in common."""
        return {"items": [item.content() for item in self.items]}

    def ids(self) -> Iterator[tuple[str, str]]:
        """Yield the field and the id of each task that is changed or deleted."""
        for index, item in enumerate(self.items):
            if not isinstance(item.operation, NewTask):
                (name,) = item.model_fields_set
                yield f"items/{index}/{name}/id", item.operation.id


@dataclass(slots=True)
class ItemDone:
    """An item that was done."""

    status: Annotated[
        Literal[200, 201, 204],
        Field(
            description="As of a single request: 201 created, 200 changed, 204 deleted.",
            examples=[200],
            json_schema_extra={"x-enum-varnames": ["CHANGED", "CREATED", "DELETED"]},
        ),
    ]
    id: Annotated[
        str,
        Field(
            pattern=ULID_PATTERN,
            description="The task's `id`.",
            examples=["01ARZ3NDEKTSV4RRFFQ69G5FAV"],
        ),
    ]
    etag: Annotated[
        str | None,
        Field(
            description="The task's state after the write; null if it is deleted.",
            examples=['"a5a7d12d3d028369"'],
        ),
    ]


@dataclass(slots=True)
class ItemProblem:
    """An item that was not done: the problem of a single request, with its other members."""

    type: Annotated[
        str,
        Field(
            json_schema_extra={"format": "uri-reference"},
            description="The kind of failure, and the path of its description.",
            examples=["/problems/task-not-found"],
        ),
    ]
    title: Annotated[
        str, Field(description="The type in words; may change.", examples=["Task not found"])
    ]
    status: Annotated[int, Field(ge=400, description="As of a single request.", examples=[404])]
    detail: Annotated[
        str,
        Field(
            description="What went wrong, and what to do.",
            examples=["There is no task with this id."],
        ),
    ]


@dataclass(slots=True)
class BulkResults:
    """One result for each item, in their order."""

    results: Annotated[
        list[ItemDone | ItemProblem], Field(description="In the order of the request's items.")
    ]


# An ItemDone or an ItemProblem, as it is sent.
Result = dict[str, Any]


def done(status: int, task_id: str, revision: str | None = None) -> Result:
    return {"status": status, "id": task_id, "etag": revision and etag_of(revision)}
