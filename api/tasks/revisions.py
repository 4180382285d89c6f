"""The revision history of an item: the writes that it shows, also once it is a tombstone."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pynamodb.expressions.condition import Condition

from api.dynamodb.item_json import Item, to_attribute
from api.tasks.table import NO_REVISION, REVISION_HISTORY, TaskItem


def is_tombstone(item: Item) -> bool:
    return "expires_at" in item


def last_state(item: Item) -> Item:
    """Return the item as the task last was; a tombstone's own revision is not a task's state."""
    if not is_tombstone(item):
        return item
    version = to_attribute(int(item["version"]["N"]) - 1)
    return item | {"revision": item["revision_1"], "version": version}


def revision_history(item: Item) -> list[str]:
    return [item[name]["S"] for name in REVISION_HISTORY]


def covers(item: Item, revisions: frozenset[str]) -> bool:
    """Return whether the history holds every write since one of the given revisions.

    A write that could only follow one of them, and is not in the history, was never made.
    """
    known = revision_history(item)
    return NO_REVISION in known or not revisions or not revisions.isdisjoint(known)


def shifted_history(item: Item, revision: str) -> Iterator[tuple[str, Any]]:
    yield REVISION_HISTORY[0], to_attribute(revision)
    for newer, older in pairwise(REVISION_HISTORY):
        yield older, item[newer]


def as_read(item: Item) -> Condition:
    """Return the condition that an item is as it was read."""
    condition: Condition = TaskItem.revision == item["revision"]["S"]
    return condition
