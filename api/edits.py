"""What a write makes of a task's item, and how it is known again when its answer was lost.

Each write leaves a revision of its own at the head of the item's lineage. A change is written
down twice: as an update, for DynamoDB to make on whatever is there, and as the item it makes of
one that was read. A test holds the two together.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from api.etags import Match
from api.models import Status
from api.table import LINEAGE, NO_REVISION, SCOPES, Place, TaskItem, as_json, attributes

if TYPE_CHECKING:
    from pynamodb.attributes import Attribute

Item = dict[str, Any]

NEXT_VERSION = TaskItem.version.add(1)
# The right side is what was there before this update: DynamoDB reads before it writes.
KEEP_STATUS = TaskItem.previous_status.set(TaskItem.status)
KEEP_LINEAGE = [
    getattr(TaskItem, older).set(getattr(TaskItem, newer)) for newer, older in pairwise(LINEAGE)
]
LEAVE_LISTS = [getattr(TaskItem, name).remove() for name in SCOPES]


class Edit(NamedTuple):
    """A change to make to one task, on the conditions under which it may be made."""

    match: Match
    values: dict[str, Any]
    revision: str
    # The statuses that allow the move; none are named where the status stays.
    from_statuses: frozenset[Status] = frozenset()

    def condition(self, revisions: frozenset[str]) -> Condition:
        condition = _is_one_of(revisions)
        if self.from_statuses:
            condition &= TaskItem.status.is_in(*self.from_statuses)
        return condition

    def actions(self, place: Place) -> list[Action]:
        changed = attributes(place, self.values)
        actions = [_action(name, value) for name, value in changed.items()]
        actions += [*KEEP_LINEAGE, TaskItem.revision.set(self.revision), NEXT_VERSION]
        if "status" in self.values:
            actions.append(KEEP_STATUS)
        return actions

    def allows(self, item: Item) -> bool:
        """Tell whether the conditions hold for an item that was read."""
        status = Status(item["status"]["S"])
        return self.match.accepts(item["revision"]["S"]) and (
            not self.from_statuses or status in self.from_statuses
        )

    def applied(self, place: Place, item: Item) -> Item:
        """Say what the change makes of an item that was read."""
        after = item | dict(_lineage_after(item, self.revision))
        after["version"] = as_json(int(item["version"]["N"]) + 1)
        if "status" in self.values:
            after["previous_status"] = item["status"]
        changed = attributes(place, self.values)
        if "completed_at" in item and changed.get("completed_at"):
            del changed["completed_at"]
        after |= {name: as_json(value) for name, value in changed.items() if value is not None}
        return {name: value for name, value in after.items() if changed.get(name, "") is not None}

    def was_made(self, item: Item) -> bool:
        """Tell whether an item shows that this change was made to it before."""
        return self.revision in lineage(item)


class Removal(NamedTuple):
    """A task to make a tombstone of: what is left until a repetition needs no answer any more."""

    match: Match
    revision: str
    expires_at: datetime

    def condition(self, revisions: frozenset[str]) -> Condition:
        return _is_one_of(revisions)

    def actions(self, _place: Place) -> list[Action]:
        return [
            *LEAVE_LISTS,
            *KEEP_LINEAGE,
            TaskItem.revision.set(self.revision),
            TaskItem.expires_at.set(self.expires_at),
        ]

    def was_made(self, item: Item) -> bool:
        """Tell whether the item is a tombstone of this removal, or of the state it named."""
        return is_tombstone(item) and (
            self.revision == item["revision"]["S"]
            or item["revision_1"]["S"] in self.match.revisions
        )


def is_tombstone(item: Item) -> bool:
    return "expires_at" in item


def last_state(item: Item) -> Item:
    """Show a tombstone as its task was last; its own revision is no state that can be changed."""
    return item | {"revision": item["revision_1"]} if is_tombstone(item) else item


def lineage(item: Item) -> list[str]:
    return [item[name]["S"] for name in LINEAGE]


def reaches_back(item: Item, revisions: frozenset[str]) -> bool:
    """Tell whether the lineage holds every write since one of the given revisions was current.

    A write that may only follow one of them, and is not in there, was never made.
    """
    known = lineage(item)
    return NO_REVISION in known or not revisions or not revisions.isdisjoint(known)


def _is_one_of(revisions: frozenset[str]) -> Condition:
    # A condition needs a value to compare with, and no revision is empty.
    return TaskItem.revision.is_in(*revisions or {NO_REVISION})


def _action(name: str, value: Any) -> Action:
    attribute: Attribute[Any] = getattr(TaskItem, name)
    if value is None:
        return attribute.remove()
    # Kept while the task stays done: an edit of a finished task does not finish it anew.
    return attribute.set(attribute | value if name == "completed_at" else value)


def _lineage_after(item: Item, revision: str) -> Iterator[tuple[str, Any]]:
    yield LINEAGE[0], as_json(revision)
    for newer, older in pairwise(LINEAGE):
        yield older, item[newer]
