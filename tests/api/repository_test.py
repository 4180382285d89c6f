"""The repository's contract, on both emulators, and what each access pattern costs."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from fastapi import FastAPI

from api.errors import StaleTag, TableMissing, TaskNotFound
from api.etags import Match, parse_strong
from api.loop_wire import LoopWire
from api.main import create_app
from api.models import NewTask, Sort, Status, Task, TaskChange, TaskQuery
from api.repository import TaskRepository
from api.service import TaskService
from api.table import Place, item_of
from tests.support.botocore_wire import BotocoreWire
from tests.support.builders import settings
from tests.support.processes import ROOT

pytestmark = pytest.mark.anyio

WORKSPACE = "default"
ANY = Match(frozenset(), any_revision=True)
# Just under a kilobyte as an item, so that one write of it is one unit everywhere.
NEW = NewTask(
    title="t" * 60,
    description="d" * 390,
    project="p",
    assignee="ada",
    priority="high",
    due_at="2027-01-31T00:00:00Z",
)


class Tracker:
    """The parts of an app below HTTP, and what they have consumed."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.tasks: TaskService = app.state.tasks
        self.repository: TaskRepository = app.state.repository
        self.model = self.repository._model

    async def measured(self, awaitable: Awaitable[object]) -> dict[str, float]:
        """Await something, and tell the request units that it consumed by operation."""
        before = self._consumed()
        await awaitable
        after = self._consumed()
        return {
            name: after[name] - before.get(name, 0)
            for name in after
            if after[name] != before.get(name, 0)
        }

    def _consumed(self) -> dict[str, float]:
        (metric,) = self.app.state.metrics.capacity.collect()
        return {
            sample.labels["operation"]: sample.value
            for sample in metric.samples
            if sample.name.endswith("_total")
        }

    def fill(self, number: int) -> None:
        """Put tasks into the table past the repository, many at a time."""
        config = self.app.state.settings
        table: Any = boto3.resource(
            "dynamodb",
            endpoint_url=str(config.dynamodb_endpoint),
            region_name=config.aws_region,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        ).Table(config.table_name)
        with table.batch_writer() as batch:
            for n in range(number):
                batch.put_item(Item=_plain_item(_task(n)))
        table.meta.client.close()


def _task(number: int) -> Task:
    moment = (datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=number)).isoformat()
    return Task(
        **NEW.model_dump() | {"project": "p" if number % 2 else "q"},
        id=f"01ARZ3NDEKTSV4RRFFQ6{number:06}",
        created_at=moment,
        updated_at=moment,
        completed_at=None,
        version=1,
        etag=f'"{number:016x}"',
    )


def _plain_item(task: Task) -> dict[str, Any]:
    item = item_of(Place(WORKSPACE, task.id), task)
    return {
        name: int(value["N"]) if "N" in value else value.get("S", [])
        for name, value in item.items()
    }


@asynccontextmanager
async def _tracker(endpoint: str, wire: type[LoopWire | BotocoreWire]) -> AsyncIterator[Tracker]:
    config = settings(endpoint)
    tracker = Tracker(create_app(config, wire=wire(config)))
    await tracker.repository.create_table()
    yield tracker
    tracker.repository.wire.close()


@pytest.fixture(params=[LoopWire, BotocoreWire])
async def tracker(store: str, request: pytest.FixtureRequest) -> AsyncIterator[Tracker]:
    """A tracker on each emulator, over each wire."""
    async with _tracker(store, request.param) as tracker:
        yield tracker


@pytest.fixture
async def priced(local_dynamodb: str) -> AsyncIterator[Tracker]:
    """A tracker whose store reports what a call consumes."""
    async with _tracker(local_dynamodb, LoopWire) as tracker:
        yield tracker


async def test_a_task_is_read_as_it_was_written(tracker: Tracker) -> None:
    """The two conversions are each other's inverse, field for field and type for type."""
    task = await tracker.tasks.create(WORKSPACE, NEW)
    read = await tracker.tasks.get(WORKSPACE, task.id)
    assert read == task
    assert isinstance(read.status, Status)


async def test_a_workspace_sees_only_its_own(tracker: Tracker) -> None:
    """Neither an id nor a list nor a write reaches into another partition."""
    task = await tracker.tasks.create("one", NEW)
    for touch in (
        tracker.tasks.get("two", task.id),
        tracker.tasks.change("two", task.id, ANY, TaskChange(title="x")),
        tracker.tasks.delete("two", task.id, ANY),
    ):
        with pytest.raises(TaskNotFound):
            await touch
    for query in (TaskQuery(), TaskQuery(status="todo"), TaskQuery(project="p", sort="due")):
        assert (await tracker.tasks.list("two", query)).items == []
    assert await tracker.tasks.get("one", task.id) == task


async def test_of_two_writers_one_wins(tracker: Tracker) -> None:
    """The condition is in the write itself: the second is refused and changes nothing."""
    task = await tracker.tasks.create(WORKSPACE, NEW)
    match = parse_strong(task.etag)
    first = await tracker.tasks.change(WORKSPACE, task.id, match, TaskChange(title="first"))
    with pytest.raises(StaleTag):
        await tracker.tasks.change(WORKSPACE, task.id, match, TaskChange(title="second"))
    assert await tracker.tasks.get(WORKSPACE, task.id) == first


async def test_a_task_leaves_the_indexes_it_no_longer_belongs_to(tracker: Tracker) -> None:
    """Indexes are sparse: no project, no place in a project's list."""
    task = await tracker.tasks.create(WORKSPACE, NEW)
    change = TaskChange(project=None, assignee=None, status=Status.DONE)
    await tracker.tasks.change(WORKSPACE, task.id, ANY, change)
    for query in (TaskQuery(project="p"), TaskQuery(assignee="ada"), TaskQuery(status="todo")):
        assert (await tracker.tasks.list(WORKSPACE, query)).items == []
    assert len((await tracker.tasks.list(WORKSPACE, TaskQuery(status="done"))).items) == 1
    wire, table = tracker.repository.wire, tracker.repository._table
    stored = await wire.run(lambda: table.get_item(f"ws#{WORKSPACE}", f"task#{task.id}"))
    assert not {"project_scope", "assignee_scope"} & set(stored["Item"])


async def test_a_missing_table_is_named(tracker: Tracker) -> None:
    """It is the operator's to make, and says so."""
    await tracker.repository.wire.run(tracker.model.delete_table)
    with pytest.raises(TableMissing):
        await tracker.repository.ping()


async def test_the_table_is_made_once(tracker: Tracker) -> None:
    """Making it again changes nothing."""
    task = await tracker.tasks.create(WORKSPACE, NEW)
    await tracker.repository.create_table()
    assert await tracker.tasks.get(WORKSPACE, task.id) == task


Call = Callable[[Tracker, Task], Awaitable[object]]


def _change(**fields: Any) -> Call:
    return lambda tracker, task: tracker.tasks.change(
        WORKSPACE, task.id, parse_strong(task.etag), TaskChange(**fields)
    )


def _page(**query: Any) -> Call:
    return lambda tracker, _: tracker.tasks.list(WORKSPACE, TaskQuery(**query))


PATTERNS: dict[str, Call] = {
    "create a task": lambda tracker, _: tracker.tasks.create(WORKSPACE, NEW),
    "create a task under a key": lambda tracker, _: tracker.tasks.create_once(WORKSPACE, NEW, "k"),
    "read a task": lambda tracker, task: tracker.tasks.get(WORKSPACE, task.id),
    "change its title": _change(title="u" * 60),
    "move its status": _change(status="in_progress"),
    "change whatever is there": lambda tracker, task: tracker.tasks.change(
        WORKSPACE, task.id, ANY, TaskChange(title="u" * 60)
    ),
    "change its title under a key": lambda tracker, task: tracker.tasks.change_once(
        WORKSPACE, task.id, parse_strong(task.etag), TaskChange(title="u" * 60), "k"
    ),
    "delete a task": lambda tracker, task: tracker.tasks.delete(
        WORKSPACE, task.id, parse_strong(task.etag)
    ),
    "page of 25, newest first": _page(),
    "page of 25, last changed first": _page(sort=Sort.UPDATED_DESCENDING),
    "page of 25, soonest due first": _page(sort=Sort.DUE),
    "page of 25 of one status": _page(status="todo"),
    "page of 25 of one project by priority": _page(project="p", sort=Sort.PRIORITY),
    "page of 25 of one assignee by due time": _page(assignee="ada", sort=Sort.DUE),
    "page of 25 of one priority": _page(priority="high"),
    "page of 25 of a due range": _page(due_from="2027-01-01T00:00:00Z", sort=Sort.DUE),
}


def _documented() -> dict[str, tuple[str, float]]:
    text = (ROOT / "docs/data-model.md").read_text().partition("## Access patterns")[2]
    rows = re.findall(r"^\| (.+?) \| (\w[\w +]+) \| .+ \| ([\d.]+) \|$", text, re.MULTILINE)
    return {pattern: (call, float(units)) for pattern, call, units in rows}


async def test_the_documented_prices_are_what_the_store_reports(priced: Tracker) -> None:
    """docs/data-model.md, row by row."""
    priced.fill(60)
    reported = {}
    for pattern, call in PATTERNS.items():
        task = await priced.tasks.create(WORKSPACE, NEW)
        calls = await priced.measured(call(priced, task))
        reported[pattern] = (" + ".join(sorted(calls)), sum(calls.values()))
    assert reported == _documented()


async def test_a_page_costs_the_same_however_many_tasks_there_are(priced: Tracker) -> None:
    """A page is read from an index, and an index from where the page begins."""
    pages = {name: call for name, call in PATTERNS.items() if name.startswith("page")}
    task = await priced.tasks.create(WORKSPACE, NEW)
    costs = []
    for more in (60, 1000):
        priced.fill(more)
        costs.append([await priced.measured(call(priced, task)) for call in pages.values()])
    assert costs[0] == costs[1]
    assert all(units <= 7 for cost in costs[1] for units in cost.values())


async def test_a_task_is_read_consistently(tracker: Tracker) -> None:
    """Emulators are always up to date; DynamoDB is so only where it is asked to be."""
    task = await tracker.tasks.create(WORKSPACE, NEW)
    asked: list[bool] = []
    seam: Any = tracker.repository._table.connection.client

    def call(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        asked.append(arguments["ConsistentRead"])
        return tracker.repository.wire.call(operation, arguments)

    seam._wire = SimpleNamespace(call=call)
    await tracker.tasks.get(WORKSPACE, task.id)
    assert asked == [True]
