"""Bulk requests: many creates, changes and deletions in one request."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from pydantic_core import to_json

from api.clock import Clock
from api.dynamodb.item_json import Item
from api.dynamodb.retry import shared_deadline
from api.errors import InvalidRequest, RequestInProgress, StoreUnavailable
from api.http.etags import parse_strong
from api.metrics import Metrics
from api.principal import NO_KEY, Actor
from api.problem import Problem
from api.tasks.bulk_models import (
    BulkChange,
    BulkDeletion,
    BulkItem,
    BulkRequest,
    Result,
    done,
)
from api.tasks.bulk_records import BulkRecord, BulkRepository
from api.tasks.bulk_transactions import MAX_WRITES, Transaction, Write, writes_of
from api.tasks.errors import IdempotencyKeyReused
from api.tasks.fair_semaphore import FairSemaphore
from api.tasks.idempotency import Claim, claim
from api.tasks.models import NewTask, Task
from api.tasks.service import TaskService
from api.tasks.table import TaskKey, task_of
from api.tasks.updates import TaskUpdate
from api.tasks.writes import Origin, Stamp, key_of, update_of
from api.values import rfc3339

OPERATION = "POST tasks/bulk"
# The statuses that an item's result is expected to have: their metrics start at 0.
STATUSES = (200, 201, 204, 404, 409, 412, 422, 503)


class BulkResponse(NamedTuple):
    """The results of a bulk as JSON, and whether an earlier request made them."""

    body: bytes
    is_replay: bool = False


class Run(NamedTuple):
    """One run of a bulk; a resumed one finds writes that an earlier run has made."""

    workspace: str
    origin: Origin
    now: datetime
    by: Actor
    is_resumed: bool = False

    def stamp(self, index: int) -> Stamp:
        return self.origin.stamp(index, self.now, self.by)


class BulkService:
    """What clients can do with many tasks at once."""

    def __init__(
        self,
        tasks: TaskService,
        repository: BulkRepository,
        metrics: Metrics,
        clock: Clock,
        max_items: int,
    ) -> None:
        self._tasks = tasks
        self._repository = repository
        self._metrics = metrics
        self._clock = clock
        self._slots = FairSemaphore(max_items)
        metrics.initialise_bulks(STATUSES)

    async def run(self, workspace: str, bulk: BulkRequest, *, by: Actor = NO_KEY) -> BulkResponse:
        """Do each item on its own."""
        _reject_repeated_ids(bulk)
        with shared_deadline():
            origin = Origin.new(self._clock())
            run = Run(workspace, origin, origin.began, by)
            return BulkResponse(_json(await self._results(run, bulk)))

    async def run_once(
        self, workspace: str, bulk: BulkRequest, idempotency_key: str, *, by: Actor = NO_KEY
    ) -> BulkResponse:
        """Do each item once, however often the request is repeated."""
        _reject_repeated_ids(bulk)
        with shared_deadline():
            claimed = claim(workspace, idempotency_key, OPERATION, bulk.content(), self._clock())
            wanted = BulkRecord.new(claimed)
            record = await self._repository.begin(wanted)
            if record.claim.fingerprint != claimed.fingerprint or record.results is not None:
                return self._replay(record, claimed)
            return await self._run_recorded(bulk, wanted, record, by)

    async def run_atomic(
        self, workspace: str, bulk: BulkRequest, idempotency_key: str | None, *, by: Actor = NO_KEY
    ) -> BulkResponse:
        """Do all items or none; under an idempotency key, once."""
        _reject_repeated_ids(bulk)
        # The record is one of the transaction's writes.
        _reject_more_than(MAX_WRITES - (idempotency_key is not None), bulk)
        with shared_deadline():
            now = self._clock()
            origin = Origin.new(now)
            writes = writes_of(workspace, bulk, origin, by)
            body = _json([write.result() for write in writes])
            if idempotency_key is None:
                await self._commit(writes, None)
                return BulkResponse(body)
            claimed = claim(workspace, idempotency_key, OPERATION, bulk.content(), now).as_variant(
                "atomic"
            )
            record = BulkRecord(claimed, origin, results=body.decode())
            earlier = await self._commit(writes, record)
            return BulkResponse(body) if earlier is None else self._replay(earlier, claimed)

    async def _commit(self, writes: list[Write], record: BulkRecord | None) -> BulkRecord | None:
        transaction = Transaction(self._repository, self._slots, writes, record)
        earlier = await transaction.commit()
        if earlier is None:
            for write, item in zip(writes, transaction.items, strict=True):
                self._count(write, item)
        # Also those of a repetition: the first run may have ended before.
        await self._mark(transaction.deleted_with_comments(is_replay=earlier is not None))
        return earlier

    async def _mark(self, keys: list[TaskKey]) -> None:
        """Let the comments of deleted tasks expire; where that fails, those of the others do."""
        marking = (self._mark_one(key) for key in keys)
        for failed in await asyncio.gather(*marking, return_exceptions=True):
            if failed is not None:
                raise failed

    async def _mark_one(self, key: TaskKey) -> None:
        async with self._slots.admit(key.workspace):
            await self._repository.mark_comments(key)

    def _count(self, write: Write, item: Item | None) -> None:
        """Count a write of a transaction as that of a single request, with the item before it."""
        self._metrics.bulk_items.labels(str(write.status)).inc()
        if isinstance(write.effect, Task):
            self._tasks.count_created(write.effect)
        elif isinstance(write.effect, TaskUpdate) and write.effect.from_statuses and item:
            before, values = task_of(item), write.effect.values
            after = replace(before, status=values["status"], updated_at=values["updated_at"])
            self._tasks.count_moved(before.status, after)

    def _replay(self, record: BulkRecord, claimed: Claim) -> BulkResponse:
        if record.claim.fingerprint != claimed.fingerprint or record.results is None:
            raise IdempotencyKeyReused
        self._metrics.replays.inc()
        return BulkResponse(record.results.encode(), is_replay=True)

    async def _run_recorded(
        self, bulk: BulkRequest, wanted: BulkRecord, record: BulkRecord, by: Actor
    ) -> BulkResponse:
        is_resumed = record.origin != wanted.origin
        if is_resumed:
            if record.is_leased:
                raise RequestInProgress
            record = await self._repository.resume(record)
        workspace, now = record.claim.workspace, record.claim.now
        run = Run(workspace, record.origin, now, by, is_resumed)
        results = await self._results(run, bulk)
        body = _json(results)
        # The results are true even if they cannot be stored; a repetition finds the same writes.
        with suppress(StoreUnavailable):
            await self._repository.end(record, body.decode() if _is_final(results) else None)
        return BulkResponse(body)

    async def _results(self, run: Run, bulk: BulkRequest) -> list[Result]:
        async with asyncio.TaskGroup() as group:
            items = [
                group.create_task(self._result(run, item, run.stamp(index)))
                for index, item in enumerate(bulk.items)
            ]
        return [item.result() for item in items]

    async def _result(self, run: Run, item: BulkItem, stamp: Stamp) -> Result:
        async with self._slots.admit(run.workspace):
            try:
                result = await self._write(run, item, stamp)
            except Problem as problem:
                result = problem.document()
        self._metrics.bulk_items.labels(str(result["status"])).inc()
        return result

    async def _write(self, run: Run, item: BulkItem, stamp: Stamp) -> Result:
        match item.operation:
            case NewTask() as new:
                task = await self._tasks.create(run.workspace, new, stamp)
                return done(201, task.id, stamp.revision)
            case BulkChange() as change:
                await self._change(run, change, stamp)
                return done(200, change.id, stamp.revision)
            case BulkDeletion(id=task_id, etag=etag):
                await self._tasks.delete(run.workspace, task_id, parse_strong(etag), stamp)
                return done(204, task_id)

    async def _change(self, run: Run, change: BulkChange, stamp: Stamp) -> None:
        match = parse_strong(change.etag)
        if run.is_resumed:
            key = key_of(run.workspace, change.id)
            update = update_of(key, match, change.patch, stamp)
            began = rfc3339(run.origin.began)
            await self._repository.require_known_outcome(key, update, began)
        await self._tasks.change(run.workspace, change.id, match, change.patch, stamp)


def _json(results: list[Result]) -> bytes:
    return to_json({"results": results})


def _is_final(results: list[Result]) -> bool:
    """Return whether a repetition could do no more than this run did."""
    return all(result["status"] < 500 for result in results)


def _reject_repeated_ids(bulk: BulkRequest) -> None:
    """Refuse two writes of one task, because their order would be undefined."""
    seen: set[str] = set()
    for field, task_id in bulk.ids():
        if task_id in seen:
            raise InvalidRequest.of("body", field, "Another item names the same task.")
        seen.add(task_id)


def _reject_more_than(limit: int, bulk: BulkRequest) -> None:
    if len(bulk.items) > limit:
        detail = f"An atomic bulk may have {MAX_WRITES} items, or {limit} under an Idempotency-Key."
        raise InvalidRequest.of("body", "items", detail)
