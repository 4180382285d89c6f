"""Bulks of which all items are done or none, in one transaction of DynamoDB's."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pydantic_core import to_json

from api.dynamodb.item_json import NOT_EXISTS, Item
from api.errors import OutcomeUnknown, RequestInProgress, StoreUnavailable
from api.http.etags import parse_strong
from api.principal import Actor
from api.problem import Problem
from api.tasks import updates
from api.tasks.bulk_models import BulkChange, BulkDeletion, BulkItem, BulkRequest, Result, done
from api.tasks.bulk_records import BulkRecord, BulkRepository, Operation, RefusedTransactionError
from api.tasks.errors import TransactionTooLarge
from api.tasks.fair_semaphore import FairSemaphore
from api.tasks.items import MAX_REREADS, require_live
from api.tasks.models import NewTask, Task
from api.tasks.revisions import as_read, revision_history
from api.tasks.table import TaskKey, item_of, task_of
from api.tasks.updates import TaskDeletion, TaskUpdate
from api.tasks.writes import Origin, Stamp, deletion_of, key_of, new_task, update_of
from api.values import rfc3339

# DynamoDB's limits, which the emulators do not check alike.
MAX_WRITES = 100
MAX_BYTES = 4 * 1024 * 1024


class Write(NamedTuple):
    """One item of a bulk as a write, and what it was derived from."""

    key: TaskKey
    stamp: Stamp
    effect: Task | TaskUpdate | TaskDeletion

    @classmethod
    def of(cls, workspace: str, item: BulkItem, stamp: Stamp) -> "Write":
        match item.operation:
            case NewTask() as new:
                task = new_task(new, stamp)
                return cls(TaskKey(workspace, task.id), stamp, task)
            case BulkChange(id=task_id, etag=etag, patch=patch):
                key = key_of(workspace, task_id)
                return cls(key, stamp, update_of(key, parse_strong(etag), patch, stamp))
            case BulkDeletion(id=task_id, etag=etag):
                deletion = deletion_of(parse_strong(etag), stamp)
                return cls(key_of(workspace, task_id), stamp, deletion)

    @property
    def status(self) -> int:
        if isinstance(self.effect, Task):
            return 201
        return 200 if isinstance(self.effect, TaskUpdate) else 204

    def result(self) -> Result:
        revision = None if isinstance(self.effect, TaskDeletion) else self.stamp.revision
        return done(self.status, self.key.task_id, revision)

    def already_applied(self, item: Item | None) -> bool:
        """Return whether an item that was read shows the write."""
        return item is not None and (
            isinstance(self.effect, Task) or self.stamp.revision in revision_history(item)
        )

    def would_show(self, item: Item | None) -> bool:
        """Return whether the item would show the write if it had been made.

        An item that was created or deleted always does.
        """
        if item is None or not isinstance(self.effect, TaskUpdate):
            return True
        return updates.shows_since(item, self.effect, rfc3339(self.stamp.now))

    def operation(self, item: Item | None) -> Operation | None:
        """Return the write on the state that was read; None if there is nothing to do.

        Raises:
            Problem: that of a single request for the same write.
        """
        match self.effect:
            case Task() as task:
                return Operation(self.key, item_of(self.key, task), NOT_EXISTS)
            case TaskUpdate() as update:
                live = require_live(item)
                if not update.allows(live):
                    raise update.refusal(task_of(live))
                return Operation(self.key, update.apply(self.key, live), as_read(live))
            case TaskDeletion() as deletion:
                return self._tombstone(deletion, item)

    def _tombstone(self, deletion: TaskDeletion, item: Item | None) -> Operation | None:
        if item is not None and deletion.already_applied(item):
            return None
        live = require_live(item)
        if not deletion.match.accepts(live["revision"]["S"]):
            raise deletion.refusal(task_of(live))
        return Operation(self.key, live, as_read(live), deletion.actions(self.key))


class Transaction:
    """The writes of a bulk, and the record of their results if it has an idempotency key."""

    def __init__(
        self,
        repository: BulkRepository,
        slots: FairSemaphore,
        writes: list[Write],
        record: BulkRecord | None,
    ) -> None:
        self._repository = repository
        self._slots = slots
        self._writes = writes
        self._record = record
        self._outcome_unknown = False
        # As read before the last attempt; None for new tasks.
        self.items: list[Item | None] = []

    async def commit(self) -> BulkRecord | None:
        """Make all writes, or return the record of an earlier request.

        Raises:
            Problem: nothing was done; `item` is the index of the item that is why.
            OutcomeUnknown: all writes may have been made.
        """
        for attempt in range(MAX_REREADS):
            earlier, items = await self._read(with_new=attempt > 0)
            if earlier is not None and not self._is_own(earlier):
                return earlier
            if earlier is not None or self._already_applied(items) or await self._attempt(items):
                return None
        raise RequestInProgress

    def deleted_with_comments(self, *, is_replay: bool) -> list[TaskKey]:
        """Return the deleted tasks that have comments; of a replay, those that may have some."""
        items = [None] * len(self._writes) if is_replay else self.items
        return [
            write.key
            for write, item in zip(self._writes, items, strict=True)
            if isinstance(write.effect, TaskDeletion) and (item is None or "comment_count" in item)
        ]

    async def _attempt(self, items: list[Item | None]) -> bool:
        """Return whether the writes were made; otherwise an item has changed since it was read."""
        self.items = items
        try:
            await self._repository.transact(_operations(self._writes, items), self._record)
        except RefusedTransactionError as refused:
            self._outcome_unknown = self._outcome_unknown or refused.outcome_unknown
            return False
        return True

    def _is_own(self, earlier: BulkRecord) -> bool:
        """Return whether a record is from an attempt of this request without a response."""
        return self._record is not None and earlier.origin == self._record.origin

    def _already_applied(self, items: list[Item | None]) -> bool:
        """Return whether an attempt without a response was made: one item shows it for all."""
        pairs = list(zip(self._writes, items, strict=True))
        if any(write.already_applied(item) for write, item in pairs):
            return True
        if self._outcome_unknown and not any(write.would_show(item) for write, item in pairs):
            raise OutcomeUnknown
        return False

    async def _read(self, *, with_new: bool) -> tuple[BulkRecord | None, list[Item | None]]:
        """Read the items, and an earlier record; a new task has an item only after an attempt.

        The record comes last: one that has changed an item is found.
        """
        try:
            reads = (self._read_item(write, with_new=with_new) for write in self._writes)
            items = await asyncio.gather(*reads)
            return await self._repository.find(self._record.claim) if self._record else None, items
        except StoreUnavailable:
            if self._outcome_unknown:
                raise OutcomeUnknown from None
            raise

    async def _read_item(self, write: Write, *, with_new: bool) -> Item | None:
        if isinstance(write.effect, Task) and not with_new:
            return None
        async with self._slots.admit(write.key.workspace):
            return await self._repository.read(write.key)


def writes_of(workspace: str, bulk: BulkRequest, origin: Origin, by: Actor) -> list[Write]:
    writes = []
    for index, item in enumerate(bulk.items):
        with _problem_of(index):
            writes.append(Write.of(workspace, item, origin.stamp(index, origin.began, by)))
    return writes


def _operations(writes: list[Write], items: list[Item | None]) -> list[Operation]:
    operations, size = [], 0
    for index, (write, item) in enumerate(zip(writes, items, strict=True)):
        with _problem_of(index):
            operation = write.operation(item)
        if operation is not None:
            operations.append(operation)
            size += len(to_json(operation.item))
    if size > MAX_BYTES:
        raise TransactionTooLarge(MAX_BYTES)
    return operations


@contextmanager
def _problem_of(index: int) -> Iterator[None]:
    """Name the item that a problem is about."""
    try:
        yield
    except Problem as problem:
        problem.members["item"] = index
        raise
