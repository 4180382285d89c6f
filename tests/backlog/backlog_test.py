"""The backlog's gauges: what they count, at which price, and in which of several processes."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing, suppress
from datetime import timedelta
from typing import Any

import pytest

from api.backlog import sampler
from api.backlog.count import MAX_UNITS
from api.backlog.lease import LEASE
from api.backlog.sampler import INTERVAL_SECONDS, RETRY_SECONDS, Sampler
from api.keys import workspaces
from api.keys.workspaces import MAX_WORKSPACES, WorkspaceRepository
from api.local.processes import ROOT
from api.main import create_app, transport_for
from api.principal import DEFAULT_WORKSPACE
from api.settings import Settings
from api.tasks.change_models import TaskChange
from api.tasks.models import NewTask, Status
from api.tasks.table import TaskKey, item_of
from api.tasks.writes import Stamp, new_task
from api.values import rfc3339
from tests.support import botocore_transport
from tests.support.builders import settings
from tests.support.clock import Clock
from tests.support.faults import Fault, FaultProxy
from tests.support.service import ANY
from tests.support.wait import wait_until

pytestmark = pytest.mark.anyio

GAUGES = ("tasks_overdue", "tasks_oldest_overdue_seconds", "tasks_backlog_is_lower_bound")
# 9 KB, so that few tasks cost much.
LARGE = NewTask(title="t" * 200, description="d" * 8000)
MAX_NAME = 63
MAX_BATCH = 25  # DynamoDB's limit
SECONDS = 20


class Process:
    """One of the processes that serve a table, without its server."""

    def __init__(self, config: Settings, clock: Clock) -> None:
        self.transport = transport_for(config)
        self.app = create_app(config, transport=self.transport, clock=clock)
        self.clock = clock
        self.sampler: Sampler = self.app.state.sampler
        self.workspaces: WorkspaceRepository = self.sampler._workspaces

    def value(self, name: str, **labels: str) -> float | None:
        value: float | None = self.app.state.metrics.registry.get_sample_value(name, labels)
        return value

    @property
    def gauges(self) -> list[float | None]:
        """How many are overdue, the age of the oldest, and whether both are lower bounds."""
        return [self.value(name) for name in GAUGES]

    @property
    def open(self) -> dict[tuple[str, str], float]:
        """The open tasks by status and priority, without zeros."""
        return {
            (sample.labels["status"], sample.labels["priority"]): sample.value
            for family in self.app.state.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "tasks_open" and sample.value
        }

    @property
    def exports(self) -> bool:
        return self.value("tasks_overdue") is not None

    @property
    def units(self) -> float:
        """The request units that the process has consumed."""
        (metric,) = self.app.state.metrics.capacity.collect()
        return sum(
            float(sample.value) for sample in metric.samples if sample.name.endswith("_total")
        )

    def rounds(self, outcome: str) -> float | None:
        return self.value("backlog_rounds_total", outcome=outcome)

    async def create(self, workspace: str = DEFAULT_WORKSPACE, **fields: Any) -> str:
        task = await self.app.state.tasks.create(workspace, NewTask(**{"title": "x", **fields}))
        task_id: str = task.id
        return task_id

    async def put_workspaces(self, names: dict[str, Any]) -> None:
        table, key = self.app.state.repository._table, workspaces.PRIMARY_KEY
        await self.transport.run(lambda: table.put_item(*key, attributes={"names": names}))

    async def fill_workspaces(self, number: int) -> None:
        """Fill their record with the longest names."""
        names = [f"{index:0{MAX_NAME}}" for index in range(number)]
        await self.put_workspaces({"SS": names})

    def ago(self, **by: float) -> str:
        return rfc3339(self.clock() - timedelta(**by))


class Table:
    """Makes processes that serve one table."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._config = settings(url, backlog="on")
        self._stack = stack
        self.clock = Clock()

    async def process(self, **changes: Any) -> Process:
        config = self._config.model_copy(update=changes)
        process = Process(config, self.clock)
        self._stack.callback(process.transport.close)
        await process.app.state.repository.create_table()
        return process

    def fill(self, number: int) -> None:
        """Write large tasks in batches, because one by one would take long."""
        tasks = [new_task(LARGE, Stamp.new(self.clock())) for _ in range(number)]
        keys = [TaskKey(DEFAULT_WORKSPACE, task.id) for task in tasks]
        puts = [
            {"PutRequest": {"Item": item_of(key, task)}}
            for key, task in zip(keys, tasks, strict=True)
        ]
        with closing(botocore_transport.client(self._config)) as client:
            for start in range(0, number, MAX_BATCH):
                batch = {self._config.table_name: puts[start : start + MAX_BATCH]}
                assert not client.batch_write_item(RequestItems=batch)["UnprocessedItems"]


async def _table(url: str) -> AsyncIterator[Table]:
    async with AsyncExitStack() as stack:
        yield Table(url, stack)


@pytest.fixture
async def table(store: str) -> AsyncIterator[Table]:
    """A table on each emulator."""
    async for table in _table(store):
        yield table


@pytest.fixture
async def metered(local_dynamodb: str) -> AsyncIterator[Table]:
    """A table whose store reports the request units of DynamoDB."""
    async for table in _table(local_dynamodb):
        yield table


@pytest.fixture
async def faulty(fault_proxy: FaultProxy) -> AsyncIterator[Table]:
    async for table in _table(fault_proxy.url):
        yield table


async def test_open_tasks_are_counted_by_status_and_priority(table: Table) -> None:
    """Those of all workspaces together; closed and deleted ones do not count."""
    process = await table.process()
    await process.workspaces.add("acme")
    for workspace in (DEFAULT_WORKSPACE, "acme"):
        await process.create(workspace, priority="high")
        await process.create(workspace, status="in_progress")
        await process.create(workspace, status="done")
    deleted = await process.create()
    await process.app.state.tasks.delete(DEFAULT_WORKSPACE, deleted, ANY)
    assert await process.sampler.round() == INTERVAL_SECONDS
    assert process.open == {("todo", "high"): 2, ("in_progress", "none"): 2}
    assert process.gauges == [0, 0, 0]


async def test_overdue_tasks_are_counted_with_the_age_of_the_oldest(table: Table) -> None:
    """A task that is closed is not overdue any more."""
    process = await table.process()
    await process.create(due_at=process.ago(hours=1))
    oldest = await process.create(due_at=process.ago(days=4))
    await process.create(due_at=process.ago(hours=-1))
    await process.create()
    await process.sampler.round()
    assert process.gauges == [2, timedelta(days=4).total_seconds(), 0]
    done = TaskChange(status=Status.DONE)
    await process.app.state.tasks.change(DEFAULT_WORKSPACE, oldest, ANY, done)
    await process.sampler.round()
    assert process.gauges == [1, timedelta(hours=1).total_seconds(), 0]


async def test_one_process_counts_and_another_takes_over_when_its_lease_has_ended(
    table: Table,
) -> None:
    """A lost lease takes the series away, so that no stale copy stays beside the new one."""
    first, second = await table.process(), await table.process()
    await first.create()
    assert await first.sampler.round() == INTERVAL_SECONDS
    assert await second.sampler.round() == RETRY_SECONDS
    assert (first.exports, second.exports) == (True, False)
    table.clock.advance(seconds=LEASE.total_seconds())
    assert not first.exports
    await second.create()
    await second.sampler.round()
    await first.sampler.round()
    assert (first.exports, second.exports) == (False, True)
    assert second.open == {("todo", "none"): 2}
    assert (first.rounds("standby"), second.rounds("counted")) == (1, 1)


async def test_of_processes_that_start_together_one_counts(table: Table) -> None:
    processes = [await table.process() for _ in range(5)]
    await asyncio.gather(*(process.sampler.round() for process in processes))
    assert sum(process.exports for process in processes) == 1


async def test_the_process_that_counts_goes_on_counting(table: Table) -> None:
    """It renews its lease in time, and its series never end."""
    process, other = await table.process(), await table.process()
    for number in range(4):
        assert await process.sampler.round() == INTERVAL_SECONDS
        await process.create()
        table.clock.advance(seconds=INTERVAL_SECONDS)
        assert process.open.get(("todo", "none"), 0) == number
        assert await other.sampler.round() == RETRY_SECONDS


async def test_a_process_that_stops_hands_the_lease_over_at_once(table: Table) -> None:
    first, second = await table.process(), await table.process()
    running = asyncio.create_task(first.sampler.run())
    await asyncio.to_thread(wait_until, lambda: first.exports, SECONDS)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert not first.exports
    await second.sampler.round()
    assert second.exports


async def test_a_stop_interrupts_a_call_that_hangs(faulty: Table, fault_proxy: FaultProxy) -> None:
    """Its attempts are not repeated."""
    process = await faulty.process()
    fault_proxy.plan = lambda operation: Fault.SILENT if operation == "Query" else None
    running = asyncio.create_task(process.sampler.run())
    await asyncio.to_thread(wait_until, lambda: fault_proxy.seen["Query", Fault.SILENT], SECONDS)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert fault_proxy.seen["Query", Fault.SILENT] == 1


@pytest.mark.parametrize("operation", ["UpdateItem", "GetItem", "Query"])
async def test_a_failed_round_is_counted_and_logged_and_not_the_last(
    faulty: Table, fault_proxy: FaultProxy, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What was counted before stays until its own lease ends, and not until that of the failure."""
    process = await faulty.process()
    await process.sampler.round()
    faulty.clock.advance(seconds=INTERVAL_SECONDS)
    fault_proxy.plan = lambda called: Fault.REFUSED if called == operation else None
    assert await process.sampler.round() == RETRY_SECONDS
    assert (process.rounds("failed"), process.exports) == (1, True)
    assert "backlog not counted" in caplog.messages
    faulty.clock.advance(seconds=LEASE.total_seconds() - INTERVAL_SECONDS)
    assert not process.exports
    fault_proxy.plan = lambda _operation: None
    assert await process.sampler.round() == INTERVAL_SECONDS
    assert process.exports


async def test_a_defect_is_logged_with_its_traceback_and_does_not_end_the_sampler(
    table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    """Here a workspace's record of another form."""
    process = await table.process()
    await process.put_workspaces({"S": "not a set"})
    assert await process.sampler.round() == RETRY_SECONDS
    assert process.rounds("failed") == 1
    assert any(record.exc_info for record in caplog.records)


async def test_a_round_costs_at_most_its_price_and_says_that_it_is_a_lower_bound(
    metered: Table,
) -> None:
    """The overdue tasks of every workspace come first: their figures are whole."""
    process = await metered.process()
    await process.workspaces.add("small")
    for _ in range(3):
        await process.create("small", due_at=process.ago(days=9))
    metered.fill(420)
    for _ in range(2):
        await process.create(due_at=process.ago(days=8))
    before = process.units
    await process.sampler.round()
    assert MAX_UNITS / 2 < process.units - before <= MAX_UNITS
    assert process.gauges == [5, timedelta(days=9).total_seconds(), 1]
    assert 5 < sum(process.open.values()) < 425


async def test_the_documented_prices_are_what_the_store_reports(metered: Table) -> None:
    """docs/data-model.md has a row for each."""
    process = await metered.process()
    reported = {}
    note = process.app.state.keys._workspaces.note
    for workspace in (DEFAULT_WORKSPACE, "acme"):
        await process.create(workspace)
    for what, call in {
        "note a workspace with its first key": lambda: note("acme"),
        "note it with a later key": lambda: note("acme"),
        "a round over two workspaces with a task each": process.sampler.round,
    }.items():
        before = process.units
        await call()
        reported[what] = process.units - before
    await process.fill_workspaces(MAX_WORKSPACES - 1)
    before = process.units
    await note("last")
    reported["note the last workspace that has room"] = process.units - before
    text = (ROOT / "docs/data-model.md").read_text()
    rows = re.findall(r"^\| (\w[^|]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    assert reported == {what: float(units) for what, units in rows}
    assert f"at most {MAX_UNITS} units" in text


async def test_a_full_record_of_workspaces_makes_a_lower_bound(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays bounded; a workspace that is in it can be noted again."""
    for module in (workspaces, sampler):
        monkeypatch.setattr(module, "MAX_WORKSPACES", 3)
    process = await table.process()
    for name in ("a", "b", "c", "d", "a"):
        await process.workspaces.add(name)
    assert await process.workspaces.read() == {"a", "b", "c"}
    await process.sampler.round()
    assert process.gauges == [0, 0, 1]


async def test_workspaces_noted_at_the_same_time_are_all_kept(table: Table) -> None:
    process = await table.process()
    names = [f"workspace-{number}" for number in range(20)]
    await asyncio.gather(*(process.workspaces.add(name) for name in names + names))
    assert await process.workspaces.read() == set(names)


async def test_the_ecs_tasks_role_allows_what_the_sampler_calls(
    faulty: Table, fault_proxy: FaultProxy
) -> None:
    """And nothing writes to an index."""
    process = await faulty.process()
    fault_proxy.seen.clear()
    await process.sampler.round()
    await process.workspaces.add("acme")
    policy = (ROOT / "terraform/roles.tf").read_text()
    allowed = set(re.findall(r'"dynamodb:(\w+)"', policy))
    assert {operation for operation, _ in fault_proxy.seen} == {"GetItem", "UpdateItem", "Query"}
    assert {operation for operation, _ in fault_proxy.seen} <= allowed


def test_the_function_has_no_backlog(moto: str) -> None:
    """Its containers have no lifespan, and nothing to scrape."""
    app = create_app(settings(moto, backlog="on"), as_function=True)
    assert app.state.sampler is None
    names = {family.name for family in app.state.metrics.registry.collect()}
    assert not {"backlog_rounds", "tasks_open", *GAUGES} & names
    assert "task_lead_time_seconds" in names


def test_the_backlog_can_be_switched_off(moto: str) -> None:
    app = create_app(settings(moto, backlog="off"))
    assert app.state.sampler is None
    assert app.state.metrics.registry.get_sample_value("tasks_overdue") is None
