"""The forms in which clients get a page of tasks."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

from api.tasks.list_models import NextCursor, TaskPage, View, page_json
from api.tasks.models import (
    Assignee,
    DueAt,
    Project,
    Task,
    TaskEtag,
    TaskId,
    TaskPriority,
    TaskStatus,
    Title,
)


@dataclass(slots=True)
class BriefTask:
    """The fields of a task that a list of many shows."""

    id: TaskId
    title: Title
    status: TaskStatus
    priority: TaskPriority
    due_at: DueAt
    project: Project
    assignee: Assignee
    etag: TaskEtag


@dataclass(slots=True)
class BriefTaskPage:
    """One page of a list under `view=brief`; the last one has a null `next_cursor`."""

    items: Annotated[list[BriefTask], Field(description="The tasks, in the order of the list.")]
    next_cursor: NextCursor


_brief_page_json = TypeAdapter(BriefTaskPage).dump_json


def view_json(page: TaskPage, view: View) -> bytes:
    """Return a page as JSON, with the fields that the view has."""
    if view is View.FULL:
        return page_json(page)
    return _brief_page_json(BriefTaskPage([_brief(task) for task in page.items], page.next_cursor))


def _brief(task: Task) -> BriefTask:
    return BriefTask(*(getattr(task, name) for name in BriefTask.__slots__))
