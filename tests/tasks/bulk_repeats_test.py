"""Bulk requests under an idempotency key: however often repeated, each item is done once."""

import asyncio
import itertools
import json
import math
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from unittest.mock import patch

import pytest

from api.dynamodb.http_client import BrokenError
from api.errors import RequestInProgress
from api.tasks.bulk import BulkResponse
from api.tasks.bulk_models import BulkRequest
from api.tasks.bulk_records import LEASE
from api.tasks.change_models import TaskChange
from api.tasks.errors import IdempotencyKeyReused
from api.tasks.list_models import TaskQuery
from api.tasks.models import NewTask, Status, Task
from tests.support.bulk_items import Item, change, create, delete
from tests.support.clock import Clock
from tests.support.service import ANY, WORKSPACE, Service, is_write

pytestmark = pytest.mark.anyio

STATUSES = {"create": 201, "change": 200, "delete": 204}
LEASE_SECONDS = LEASE.total_seconds()


class Killed(BaseException):
    """Stands for the end of the process."""


class BulkClient(Service):
    """A service, and a clock that a test advances."""

    clock: Clock

    async def run(self, items: list[Item]) -> BulkResponse:
        request = BulkRequest.model_validate({"items": items})
        return await self.bulks.run_once(WORKSPACE, request, "k")

    async def bulk(self, items: list[Item]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((await self.run(items)).body)["results"]
        return found

    async def kill_after(self, writes: int, items: list[Item]) -> None:
        """Run a bulk whose process ends after so many writes of items."""
        # The first write is the record's.
        with self.failing_after(writes + 1, Killed()), pytest.raises(BaseException) as error:  # noqa: PT011 - alone or in a group
            await self.bulk(items)
        assert "Killed" in repr(error.value)

    @contextmanager
    def failing_after(
        self, writes: int, error: BaseException, times: float = math.inf
    ) -> Iterator[None]:
        """Let so many writes arrive; fail as many later ones as `times` says."""
        original, sent = self.http.send, itertools.count()

        async def send(request: bytes, seconds: float) -> Any:
            if is_write(request) and writes <= next(sent) < writes + times:
                raise error
            return await original(request, seconds)

        with patch.object(self.http, "send", send):
            yield

    async def create(self, **fields: Any) -> Task:
        return await self.tasks.create(WORKSPACE, NewTask(title="Old", **fields))

    async def others_change(self, task: Task, times: int) -> None:
        for number in range(times):
            other = TaskChange(title=f"Other {number}")
            await self.tasks.change(WORKSPACE, task.id, ANY, other)

    async def titles(self) -> list[str]:
        page = await self.tasks.list(WORKSPACE, TaskQuery(state="all", limit=100))
        return sorted(task.title for task in page.items)


@pytest.fixture
async def client(store: str) -> AsyncIterator[BulkClient]:
    clock = Clock()
    async with BulkClient.at(store, clock=clock) as client:
        client.clock = clock
        yield client


async def test_a_repetition_after_a_kill_does_each_item_once(client: BulkClient) -> None:
    """Creates, changes and deletions; under an ETag and under a star."""
    tasks = [await client.create() for _ in range(40)]
    items = [
        *(create() for _ in range(60)),
        *(change(asdict(task), status="done") for task in tasks[:10]),
        *(change(asdict(task), "*", title="Changed") for task in tasks[10:20]),
        *(delete(asdict(task)) for task in tasks[20:30]),
        *(delete(asdict(task), "*") for task in tasks[30:]),
    ]
    # So that the kill comes after some and before others of each kind.
    random.Random(0).shuffle(items)  # noqa: S311 - no secret
    await client.kill_after(57, items)
    client.clock.advance(seconds=LEASE_SECONDS)
    results = await client.bulk(items)
    assert [result["status"] for result in results] == [
        STATUSES[name] for item in items for name in item
    ]
    assert len(await client.titles()) == 80
    for task in tasks[:20]:
        assert (await client.tasks.get(WORKSPACE, task.id)).version == 2
    for result in results:
        if result["etag"]:
            task = await client.tasks.get(WORKSPACE, result["id"])
            assert task.etag == result["etag"]


@pytest.mark.parametrize("writes", range(4))
async def test_a_kill_at_any_write_leaves_nothing_undone_or_done_twice(
    client: BulkClient, writes: int
) -> None:
    """Before an item, between them, and before their results are stored."""
    tasks = [await client.create() for _ in range(2)]
    items = [create("Mine"), change(asdict(tasks[0]), "*", title="Mine"), delete(asdict(tasks[1]))]
    await client.kill_after(writes, items)
    client.clock.advance(seconds=LEASE_SECONDS)
    results = await client.bulk(items)
    assert [result["status"] for result in results] == [201, 200, 204]
    assert await client.titles() == ["Mine", "Mine"]
    assert (await client.tasks.get(WORKSPACE, tasks[0].id)).version == 2


async def test_a_repetition_gets_the_first_response_and_does_nothing(client: BulkClient) -> None:
    """Refused items included: they are results."""
    done = await client.create(status="done")
    items = [create(), change(asdict(done), status="cancelled")]
    first = await client.run(items)
    await client.tasks.change(WORKSPACE, done.id, ANY, TaskChange(status=Status.TODO))
    again = await client.run(items)
    assert (first.is_replay, again.is_replay) == (False, True)
    assert again.body == first.body
    assert [result["status"] for result in json.loads(again.body)["results"]] == [201, 409]
    assert await client.titles() == ["New", "Old"]
    assert client.metrics.replays._value.get() == 1


async def test_an_idempotency_key_of_another_bulk_is_refused(client: BulkClient) -> None:
    await client.bulk([create("One")])
    with pytest.raises(IdempotencyKeyReused):
        await client.bulk([create("Two")])
    assert await client.titles() == ["One"]


async def test_a_repetition_during_the_first_run_is_refused(client: BulkClient) -> None:
    """Until its lease is over; then one of many repetitions resumes it.

    One that begins when the results are stored gets these.
    """
    await client.kill_after(0, [create()])
    client.clock.advance(seconds=LEASE_SECONDS - 1)
    with pytest.raises(RequestInProgress):
        await client.bulk([create()])
    client.clock.advance(seconds=1)
    runs = [client.bulk([create()]) for _ in range(5)]
    outcomes = await asyncio.gather(*runs, return_exceptions=True)
    done = [each for each in outcomes if not isinstance(each, RequestInProgress)]
    assert 1 <= len(done) < 5
    assert all(each == done[0] for each in done)
    assert await client.titles() == ["New"]


async def test_items_that_the_store_failed_are_done_by_a_repetition(client: BulkClient) -> None:
    """At once: the run has ended, and so has its lease."""
    task = await client.create()
    items = [create(), change(asdict(task), title="Changed")]
    with client.failing_after(1, BrokenError("lost by the test"), times=6):
        results = await client.bulk(items)
    assert [result["status"] for result in results] == [503, 503]
    results = await client.bulk(items)
    assert [result["status"] for result in results] == [201, 200]
    assert await client.titles() == ["Changed", "New"]


@pytest.mark.parametrize("star", [False, True], ids=["etag", "*"])
@pytest.mark.parametrize(("others", "status"), [(0, 200), (3, 200), (4, 503)])
async def test_a_change_behind_more_than_three_others_has_an_unknown_outcome(
    client: BulkClient, star: bool, others: int, status: int
) -> None:
    """It is neither made again nor reported as refused."""
    task = await client.create()
    items = [change(asdict(task), "*" if star else "", title="Mine")]
    await client.kill_after(1, items)
    await client.others_change(task, others)
    client.clock.advance(seconds=LEASE_SECONDS)
    (changed,) = await client.bulk(items)
    assert changed["status"] == status
    assert changed.get("outcome") == ("unknown" if status == 503 else None)
    current = await client.tasks.get(WORKSPACE, task.id)
    assert current.version == 2 + others
    assert current.title == (f"Other {others - 1}" if others else "Mine")


@pytest.mark.parametrize("star", [False, True], ids=["etag", "*"])
async def test_a_change_that_was_not_made_is_made_by_a_repetition(
    client: BulkClient, star: bool
) -> None:
    """Also of a task that had more changes than its history holds."""
    task = await client.create()
    await client.others_change(task, 5)
    task = await client.tasks.get(WORKSPACE, task.id)
    items = [change(asdict(task), "*" if star else "", title="Mine")]
    client.clock.advance(seconds=1)
    await client.kill_after(0, items)
    client.clock.advance(seconds=LEASE_SECONDS)
    assert [result["status"] for result in await client.bulk(items)] == [200]
    assert await client.titles() == ["Mine"]


async def test_a_record_whose_response_was_lost_is_the_runs_own(client: BulkClient) -> None:
    original, lost = client.http.send, False

    async def send(request: bytes, seconds: float) -> Any:
        nonlocal lost
        response = await original(request, seconds)
        if is_write(request) and not lost:
            lost = True
            raise BrokenError("lost by the test")
        return response

    with patch.object(client.http, "send", send):
        results = await client.bulk([create()])
    assert [result["status"] for result in results] == [201]


async def test_an_idempotency_key_of_a_bulk_is_free_after_24_hours(client: BulkClient) -> None:
    """Even if DynamoDB has not deleted the record yet."""
    first = await client.bulk([create()])
    client.clock.advance(hours=24, seconds=-1)
    assert await client.bulk([create()]) == first
    client.clock.advance(seconds=1)
    assert await client.bulk([create()]) != first
    assert await client.titles() == ["New", "New"]
