"""Changes of a task in one transaction with a comment, an idempotency record, or both."""

from typing import Any, NamedTuple

from pynamodb.constants import ITEM

from api.dynamodb.item_json import Item
from api.errors import RequestInProgress, StoreThrottled
from api.problem import Problem
from api.tasks.idempotency import Claim, Recorded, Replay, recorded_task, replay_of
from api.tasks.items import (
    MAX_REREADS,
    ConcurrentWriteError,
    Items,
    is_free,
    require_live,
)
from api.tasks.revisions import as_read
from api.tasks.table import TaskKey, task_of
from api.tasks.updates import TaskUpdate


class JointChange(NamedTuple):
    """A change of a task, and what is stored with it or not at all."""

    key: TaskKey
    update: TaskUpdate
    claim: Claim | None = None
    # What a repeated request gets; None is the task after the change.
    response: Recorded | None = None

    def make(self, items: Items) -> Item | Replay:
        """Make the change and return the item after it, or return the earlier response."""
        for _ in range(MAX_REREADS):
            try:
                return self.attempt(items)
            except ConcurrentWriteError:
                continue
        if self.claim:
            raise RequestInProgress
        raise StoreThrottled("Other requests keep changing this task.")

    def attempt(self, items: Items) -> Item | Replay:
        """Make the change of the task as it is now.

        Raises:
            ConcurrentWriteError: it was written after it was read: nothing was done.
        """
        item = items.read(self.key.primary_key)
        try:
            live = self._require_allowed(item)
            after = self.update.apply(self.key, live)
        except Problem:
            # It may be the first request that is in the way.
            if self.claim is None or (replay := find_replay(items, self.claim)) is None:
                raise
            return replay
        put = items.put(self.key.primary_key, after, as_read(live))
        record = self._write(items, after, put)
        return replay_of(record) if record else after

    def _require_allowed(self, item: Item | None) -> Item:
        live = require_live(item)
        if not self.update.allows(live):
            raise self.update.refusal(task_of(live))
        return live

    def _write(self, items: Items, after: Item, put: dict[str, Any]) -> Item | None:
        comment, puts = self.update.comment, [put]
        if comment:
            primary_key = comment.key.primary_key
            puts.append(items.put(primary_key, comment.item, comment.condition))
        if self.claim:
            response = self.response or recorded_task(task_of(after))
            return write_once(items, self.claim, response, *puts)
        if comment and (refused := items.refusal_of(puts)) is not None:
            found = items.read_after(refused, primary_key)
            if found is None or not comment.already_applied(found):
                raise ConcurrentWriteError from refused
        return None


def write_once(
    items: Items, claim: Claim, response: Recorded, *puts: dict[str, Any]
) -> Item | None:
    """Write items and an idempotency record, or nothing; return an earlier record."""
    record = items.put(claim.primary_key, claim.record(response), is_free(claim))
    if (refused := items.refusal_of([record, *puts])) is None:
        return None
    first = items.read_after(refused, claim.primary_key)
    if first is None or not claim.accepts(first):
        raise ConcurrentWriteError from refused
    # This request's own record, from an attempt whose response was lost, is no earlier one.
    return None if first["revision"] == record[ITEM]["revision"] else first


def find_replay(items: Items, claim: Claim) -> Replay | None:
    record = items.read(claim.primary_key)
    return replay_of(record) if record is not None and claim.accepts(record) else None
