"""How long tasks took: observed once by the write that makes the move, without another call."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import pytest
from prometheus_client.utils import floatToGoString

from api.http.etags import parse_strong
from api.metrics import DAY, HOUR, TASK_SECONDS
from api.tasks.bulk_models import BulkRequest
from api.tasks.bulk_records import LEASE
from api.tasks.change_models import TaskChange
from api.tasks.models import NewTask, Status, Task
from tests.support.bulk_items import Item, change, create
from tests.support.clock import Clock
from tests.support.faults import Fault, FaultProxy, once
from tests.support.service import ANY, WORKSPACE, Service

pytestmark = pytest.mark.anyio

START, FINISH = TaskChange(status=Status.IN_PROGRESS), TaskChange(status=Status.DONE)


class TimedService(Service):
    """A service with a clock that a test advances, and its durations."""

    clock: Clock

    def total(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0

    @property
    def lead(self) -> tuple[float, float]:
        """The number of lead times and their sum in seconds."""
        name = "task_lead_time_seconds"
        return self.total(f"{name}_count"), self.total(f"{name}_sum")

    @property
    def wait(self) -> tuple[float, float]:
        return self.total("task_wait_seconds_count"), self.total("task_wait_seconds_sum")

    async def create(self, **fields: Any) -> Task:
        return await self.tasks.create(WORKSPACE, NewTask(title="x", **fields))

    async def move(self, task: Task, change: TaskChange) -> Task:
        return await self.tasks.change(WORKSPACE, task.id, parse_strong(task.etag), change)

    async def bulk(self, items: list[Item], key: str | None, *, atomic: bool = False) -> list[int]:
        bulk = BulkRequest.model_validate({"items": items})
        if atomic:
            response = await self.bulks.run_atomic(WORKSPACE, bulk, key)
        elif key:
            response = await self.bulks.run_once(WORKSPACE, bulk, key)
        else:
            response = await self.bulks.run(WORKSPACE, bulk)
        return [result["status"] for result in json.loads(response.body)["results"]]


@pytest.fixture
async def service(fault_proxy: FaultProxy) -> AsyncIterator[TimedService]:
    clock = Clock()
    async with TimedService.at(fault_proxy.url, clock=clock) as service:
        service.clock = clock
        yield service


async def test_a_move_observes_the_time_since_the_creation(service: TimedService) -> None:
    """Wait on the move to in progress, lead time on that to done; other changes observe nothing."""
    task = await service.create()
    service.clock.advance(seconds=2 * HOUR)
    task = await service.move(task, START)
    task = await service.move(task, START)
    service.clock.advance(seconds=3 * DAY)
    task = await service.move(task, FINISH)
    await service.move(task, TaskChange(title="y"))
    await service.create(status=Status.DONE)
    assert service.wait == (1, 2 * HOUR)
    assert service.lead == (1, 3 * DAY + 2 * HOUR)


async def test_the_buckets_tell_minutes_from_months(service: TimedService) -> None:
    """Each of these has a bucket of its own."""
    for seconds in (600, HOUR, DAY, 10 * DAY, 100 * DAY):
        task = await service.create()
        service.clock.advance(seconds=seconds)
        await service.move(task, FINISH)
    counts = [
        service.total("task_lead_time_seconds_bucket", le=floatToGoString(bound))  # type: ignore[no-untyped-call]
        for bound in TASK_SECONDS
    ]
    assert counts == [0, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5]


@pytest.mark.parametrize(
    ("key", "atomic"), [(None, False), ("k", False), (None, True), ("k", True)]
)
async def test_the_moves_of_a_bulk_are_observed_and_its_repetition_observes_nothing(
    service: TimedService, key: str | None, atomic: bool
) -> None:
    tasks = [await service.create() for _ in range(2)]
    service.clock.advance(seconds=HOUR)
    items = [
        change(asdict(tasks[0]), status="in_progress"),
        change(asdict(tasks[1]), "*", status="done"),
        create(),
    ]
    for _ in range(2 if key else 1):
        assert await service.bulk(items, key, atomic=atomic) == [200, 200, 201]
    assert service.wait == service.lead == (1, HOUR)
    assert service.total("tasks_created_total", status="todo") == 3


async def test_a_resumed_bulk_counts_only_what_it_does_itself(
    service: TimedService, fault_proxy: FaultProxy
) -> None:
    """The first run failed to make one of three moves, and one of two creates."""
    tasks = [await service.create() for _ in range(3)]
    service.clock.advance(seconds=HOUR)
    items = [
        change(asdict(tasks[0]), status="done"),
        change(asdict(tasks[1]), "*", status="done"),
        create(),
    ]
    await _run_without_end(service, fault_proxy, items)
    assert service.lead == (2, 2 * HOUR)
    service.clock.advance(seconds=LEASE.total_seconds())
    assert await service.bulk(items, "k") == [200, 200, 201]
    assert service.lead == (2, 2 * HOUR)
    moved = service.total("tasks_moved_total", from_status="todo", to_status="done")
    assert moved == 2
    assert service.total("tasks_created_total", status="todo") == 4


async def _run_without_end(
    service: TimedService, fault_proxy: FaultProxy, items: list[Item]
) -> None:
    """Run a bulk whose items are done, and whose results cannot be stored."""
    puts = 0

    def plan(operation: str) -> Fault | None:
        nonlocal puts
        puts += operation == "PutItem"
        # The record, and the create; every later one is the record with the results.
        return Fault.ERROR_BEFORE if operation == "PutItem" and puts > 2 else None

    fault_proxy.plan = plan
    assert await service.bulk(items, "k") == [200, 200, 201]
    fault_proxy.plan = lambda _operation: None


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.ERROR_AFTER, Fault.THROTTLED])
async def test_a_retried_write_counts_once(
    service: TimedService, fault_proxy: FaultProxy, fault: Fault
) -> None:
    """Whether the first attempt was made or not."""
    task = await service.create()
    other = await service.create()
    service.clock.advance(seconds=HOUR)
    fault_proxy.plan = once("UpdateItem", fault)
    await service.move(task, FINISH)
    fault_proxy.plan = once("UpdateItem", fault)
    await service.tasks.change(WORKSPACE, other.id, ANY, FINISH)
    fault_proxy.plan = once("PutItem", fault)
    await service.create()
    assert service.lead == (2, 2 * HOUR)
    assert service.total("tasks_created_total", status="todo") == 3


async def test_a_replayed_change_counts_once(service: TimedService) -> None:
    task = await service.create()
    service.clock.advance(seconds=HOUR)
    for _ in range(2):
        match = parse_strong(task.etag)
        await service.tasks.change_once(WORKSPACE, task.id, match, FINISH, "k")
    assert service.lead == (1, HOUR)


async def test_a_move_costs_no_further_call(service: TimedService, fault_proxy: FaultProxy) -> None:
    task = await service.create()
    fault_proxy.seen.clear()
    await service.move(task, FINISH)
    assert list(fault_proxy.seen) == [("UpdateItem", None)]
