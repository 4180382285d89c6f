"""What clients send to change a task."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.tasks.models import (
    ABOUT_DESCRIPTION,
    ABOUT_LABELS,
    ABOUT_PRIORITY,
    Assignee,
    CommentText,
    Description,
    DueAt,
    Labels,
    NewTask,
    Priority,
    Project,
    TaskStatus,
    Title,
    without_defaults,
)

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
