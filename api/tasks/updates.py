"""Changes to a task's item, and how a change is recognised after its response was lost.

Each write stores a new revision at the head of the item's revision history. A change has two
forms: an update for DynamoDB to apply to whatever item is there, and the item that it makes of
one that was read. A test checks that both give the same item.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action, SetAction

from api.dynamodb.item_json import Item, to_attribute
from api.errors import InvalidRequest
from api.http.etags import Match, revision_of
from api.principal import Actor
from api.problem import Problem
from api.tasks.change_models import LabelChange
from api.tasks.comments import CommentWrite
from api.tasks.errors import IllegalMove, StaleEtag, TooManyComments
from api.tasks.models import MAX_COMMENTS, MAX_LABELS, MOVES, STATES, State, Status, Task
from api.tasks.revisions import covers, is_tombstone, revision_history, shifted_history
from api.tasks.table import (
    DELETED,
    LIST_ATTRIBUTES,
    NO_REVISION,
    OPEN_ORDERS,
    REVISION_HISTORY,
    TaskItem,
    TaskKey,
    actor_attribute,
    attributes_of,
    state_partition,
    task_of,
    updated_order,
    with_open_orders,
)
from api.values import rfc3339

if TYPE_CHECKING:
    from pynamodb.attributes import Attribute

# How long a deletion shows in the change feed, can be repeated, and can be undone.
TOMBSTONE_LIFETIME = timedelta(days=30)


class Set(SetAction):
    """Sets an attribute to a value; PynamoDB's own action takes five times as long."""

    def __init__(self, name: str, value: Any) -> None:
        Action.__init__(self)
        self._name = name
        self._value = to_attribute(value)

    def serialize(self, names: dict[str, str], values: dict[str, Any]) -> str:
        placeholder = f":{len(values)}"
        values[placeholder] = self._value
        return f"{names.setdefault(self._name, f'#{len(names)}')} = {placeholder}"


class _ShiftRevisions(SetAction):
    """Moves each revision one place back in the history."""

    # Each right side is the value before this update: DynamoDB reads before it writes.
    text = ", ".join(f"{older} = {newer}" for newer, older in pairwise(REVISION_HISTORY))

    def __init__(self) -> None:
        Action.__init__(self)

    def serialize(self, *_: Any) -> str:
        return self.text


SHIFT_REVISIONS = _ShiftRevisions()
INCREMENT_VERSION = TaskItem.version.add(1)
KEEP_STATUS = TaskItem.previous_status.set(TaskItem.status)
REMOVE_FROM_LISTS = [getattr(TaskItem, name).remove() for name in LIST_ATTRIBUTES]


class TaskUpdate(NamedTuple):
    """A change to one task, and the conditions under which it may be made."""

    match: Match
    values: dict[str, Any]
    revision: str
    # The statuses that allow the move; empty where the status does not change.
    from_statuses: frozenset[Status] = frozenset()
    # The task's state after the change; assumed where the change does not set the status.
    state: State = State.OPEN
    # Depends on the labels that are there: the change must be bound to an item.
    labels: LabelChange | None = None
    # Written in the same transaction.
    comment: CommentWrite | None = None

    @property
    def needs_item(self) -> bool:
        return self.match.any_revision or self.labels is not None

    def bound_to(self, item: Item) -> "TaskUpdate":
        """Return the change for the state of an item, with what it makes of the item's own values.

        Raises:
            InvalidRequest: the labels are too many.
            TooManyComments: the task has as many as it may.
        """
        task, values = task_of(item), dict(self.values)
        if self.labels:
            values["labels"] = _labels_after(self.labels, task)
        if self.comment:
            values["comment_count"] = _comment_count_after(self.comment, task)
        bound = self.in_state_of(task.status)
        return bound._replace(values=values, labels=None)

    def condition(self, revisions: frozenset[str]) -> Condition:
        condition = _has_one_of(revisions)
        if self.from_statuses:
            condition &= TaskItem.status.is_in(*self.from_statuses)
        elif not self.values.keys().isdisjoint({"due_at", "priority"}):
            is_open = self.state is State.OPEN
            order = TaskItem.open_due
            condition &= order.exists() if is_open else order.does_not_exist()
        return condition

    def in_state_of(self, status: Status) -> Self:
        """Return this change for a task that has a status; another one if it was assumed wrong."""
        return self if self.from_statuses else self._replace(state=STATES[status])

    def actions(self, key: TaskKey) -> list[Action]:
        changed = attributes_of(key, self.values)
        actions = [set_or_remove(name, value) for name, value in changed.items()]
        actions += [SHIFT_REVISIONS, Set("revision", self.revision), INCREMENT_VERSION]
        if "status" in self.values:
            actions.append(KEEP_STATUS)
        return actions + list(self._open_orders(changed))

    def _open_orders(self, changed: dict[str, Any]) -> Iterator[Action]:
        """Yield what keeps the sort keys of open tasks equal to those of all tasks, or removed."""
        for name, source in OPEN_ORDERS.items():
            attribute: Attribute[Any] = getattr(TaskItem, name)
            if self.state is State.CLOSED:
                yield from [attribute.remove()] if self.from_statuses else []
            elif source in changed:
                yield Set(name, changed[source])
            elif self.from_statuses:
                yield attribute.set(getattr(TaskItem, source))

    def allows(self, item: Item) -> bool:
        """Return whether the conditions hold for an item that was read."""
        status = Status(item["status"]["S"])
        return self.match.accepts(item["revision"]["S"]) and (
            not self.from_statuses or status in self.from_statuses
        )

    def refusal(self, current: Task) -> Problem:
        """Return why a task does not allow the change: a stale ETag, or an illegal move."""
        wanted = self.values.get("status")
        if wanted is None or not self.match.accepts(revision_of(current.etag)):
            return StaleEtag(current.etag)
        return IllegalMove(current.status, wanted, MOVES[current.status])

    def apply(self, key: TaskKey, item: Item) -> Item:
        """Return the item that the change makes of one that was read."""
        after = item | dict(shifted_history(item, self.revision))
        after["version"] = to_attribute(int(item["version"]["N"]) + 1)
        if "status" in self.values:
            after["previous_status"] = item["status"]
        changed = attributes_of(key, self.bound_to(item).values)
        if "completed_at" in item and changed.get("completed_at"):
            del changed["completed_at"]
        after |= {name: to_attribute(value) for name, value in changed.items() if value is not None}
        return with_open_orders(
            {name: value for name, value in after.items() if changed.get(name, "") is not None}
        )

    def already_applied(self, item: Item) -> bool:
        """Return whether an item shows that this change was made to it before."""
        return self.revision in revision_history(item)


class TaskDeletion(NamedTuple):
    """A deletion: the item becomes a tombstone, which shows it, and has what a restore needs."""

    match: Match
    revision: str
    deleted_at: datetime
    deleted_by: Actor

    @property
    def needs_item(self) -> bool:
        return self.match.any_revision

    def bound_to(self, _item: Item) -> "TaskDeletion":
        return self

    def condition(self, revisions: frozenset[str]) -> Condition:
        return _has_one_of(revisions)

    def in_state_of(self, _status: Status) -> Self:
        return self

    def refusal(self, current: Task) -> Problem:
        return StaleEtag(current.etag)

    def actions(self, key: TaskKey) -> list[Action]:
        return [
            *REMOVE_FROM_LISTS,
            Set("all_scope", state_partition(key.workspace, DELETED)),
            Set("updated_order", updated_order(key, rfc3339(self.deleted_at))),
            *self._author(),
            SHIFT_REVISIONS,
            Set("revision", self.revision),
            INCREMENT_VERSION,
            TaskItem.expires_at.set(self.deleted_at + TOMBSTONE_LIFETIME),
        ]

    def _author(self) -> Iterator[Action]:
        if author := actor_attribute(self.deleted_by):
            yield Set("deleted_by", author)

    def already_applied(self, item: Item) -> bool:
        """Return whether this deletion was made, or one of the state it named was and stands."""
        return self.revision in revision_history(item) or (
            is_tombstone(item) and item["revision_1"]["S"] in self.match.revisions
        )


def shows_since(item: Item, update: TaskUpdate, began: str) -> bool:
    """Return whether the item shows if an update was made since a time, given as RFC 3339.

    Under a star the update names no state that the history could reach back to.
    """
    known = revision_history(item)
    if update.revision in known or NO_REVISION in known:
        return True
    if update.match.any_revision:
        return bool(item["updated_at"]["S"] < began)
    return covers(item, update.match.revisions)


def _labels_after(change: LabelChange, task: Task) -> list[str]:
    labels = change.applied_to(task.labels)
    if len(labels) > MAX_LABELS:
        raise InvalidRequest.of("body", "labels_add", f"A task may have {MAX_LABELS} labels.")
    return labels


def _comment_count_after(comment: CommentWrite, task: Task) -> int:
    count = task.comment_count + comment.added
    if count > MAX_COMMENTS:
        raise TooManyComments(MAX_COMMENTS)
    return count


def _has_one_of(revisions: frozenset[str]) -> Condition:
    # A condition needs a value to compare with, and no item has an empty revision.
    return TaskItem.revision.is_in(*revisions or {NO_REVISION})


def set_or_remove(name: str, value: Any) -> Action:
    attribute: Attribute[Any] = getattr(TaskItem, name)
    if value is None:
        return attribute.remove()
    if name == "completed_at":
        # Kept while the task stays done: editing a finished task does not finish it again.
        return attribute.set(attribute | value)
    return Set(name, value)
