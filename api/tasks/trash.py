"""Deleted tasks while they can be restored, and how one is restored."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import Field, TypeAdapter
from pynamodb.expressions.update import Action

from api.dynamodb.item_json import Item
from api.principal import Actor
from api.tasks.list_models import NextCursor
from api.tasks.models import (
    STATES,
    Assignee,
    DueAt,
    Project,
    State,
    TaskId,
    TaskPriority,
    TaskStatus,
    Title,
)
from api.tasks.query_plan import QueryPlan, Stream
from api.tasks.revisions import revision_history
from api.tasks.table import (
    DELETED,
    OPEN_ORDERS,
    TaskItem,
    TaskKey,
    actor_of,
    attributes_of,
    partition,
    state_partition,
    task_of,
    time_of_update,
)
from api.tasks.updates import (
    INCREMENT_VERSION,
    SHIFT_REVISIONS,
    TOMBSTONE_LIFETIME,
    Set,
    set_or_remove,
)
from api.values import Timestamp, rfc3339

DeletedAt = Annotated[
    Timestamp,
    Field(description="When the task was deleted.", examples=["2027-01-06T08:00:00.000Z"]),
]
DeletedBy = Annotated[Actor, Field(description="Who deleted the task.")]
# What the item of a deleted task has beside those of a task.
MARKS = (TaskItem.deleted_by, TaskItem.expires_at)


@dataclass(slots=True)
class TrashedTask:
    """A deleted task that can be restored, as it last was."""

    id: TaskId
    title: Title
    status: TaskStatus
    priority: TaskPriority
    due_at: DueAt
    project: Project
    assignee: Assignee
    deleted_at: DeletedAt
    deleted_by: DeletedBy


@dataclass(slots=True)
class TrashPage:
    """One page of the trash; the last one has a null `next_cursor`."""

    items: Annotated[
        list[TrashedTask], Field(description="The tasks, the one that was deleted last first.")
    ]
    next_cursor: NextCursor


trash_json = TypeAdapter(TrashPage).dump_json


class TaskRestoration(NamedTuple):
    """The opposite of a deletion, while the tombstone lives."""

    revision: str
    now: datetime
    by: Actor

    def is_late(self, tombstone: Item) -> bool:
        """Return whether a tombstone has expired: DynamoDB deletes it late."""
        return int(tombstone["expires_at"]["N"]) <= self.now.timestamp()

    def already_applied(self, item: Item) -> bool:
        return self.revision in revision_history(item)

    def actions(self, key: TaskKey, tombstone: Item) -> list[Action]:
        task = task_of(tombstone)
        changed = attributes_of(
            key,
            {
                "status": task.status,
                "project": task.project,
                "assignee": task.assignee,
                "updated_at": rfc3339(self.now),
                "updated_by": self.by,
            },
        )
        return [
            *(set_or_remove(name, value) for name, value in changed.items()),
            *_open_orders(STATES[task.status], tombstone),
            *(mark.remove() for mark in MARKS),
            SHIFT_REVISIONS,
            Set("revision", self.revision),
            INCREMENT_VERSION,
        ]


def _open_orders(state: State, tombstone: Item) -> Iterator[Action]:
    if state is State.OPEN:
        for name, source in OPEN_ORDERS.items():
            yield Set(name, tombstone[source]["S"])


def trashed_task_of(item: Item) -> TrashedTask:
    task = task_of(item)
    return TrashedTask(
        id=task.id,
        title=task.title,
        status=task.status,
        priority=task.priority,
        due_at=task.due_at,
        project=task.project,
        assignee=task.assignee,
        deleted_at=time_of_update(item),
        deleted_by=actor_of(item, "deleted_by"),
    )


def plan_trash(workspace: str, now: datetime) -> QueryPlan:
    """Read the tombstones that have not expired, latest deletion first."""
    oldest = rfc3339(now - TOMBSTONE_LIFETIME)
    own = state_partition(workspace, DELETED)
    still = TaskItem.updated_order > oldest
    return QueryPlan(
        streams=[Stream("all_updated", own, "updated_order", "", still)],
        table_partition=partition(workspace),
        ascending=False,
        filter_condition=None,
    )
