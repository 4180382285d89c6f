"""The repository on both emulators and over both transports, and what its access patterns cost."""

import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from api.changes.models import ChangesQuery
from api.comments.models import CommentBody
from api.errors import TableNotFound
from api.http.etags import parse_strong
from api.local.processes import ROOT
from api.main import transport_for
from api.principal import Actor, Principal, Scope
from api.tasks.change_models import TaskChange
from api.tasks.errors import TaskNotFound
from api.tasks.list_models import Sort, TaskPage, TaskQuery
from api.tasks.models import NewTask, Status, Task
from api.tasks.names import NameField
from api.tasks.table import TaskKey, item_of
from api.values import DEFAULT_PAGE_LIMIT, PageQuery, rfc3339
from tests.support import botocore_transport
from tests.support.botocore_transport import BotocoreTransport
from tests.support.figures import rounds
from tests.support.service import ANY, WORKSPACE, Service

pytestmark = pytest.mark.anyio

MAX_BATCH = 25  # DynamoDB's limit
# Read units of a page of 25 tasks: of one part of an index, and of two that are merged.
MAX_UNITS = 4
MAX_UNITS_OF_BOTH = 8
ACTOR = Actor("01ARZ3NDEKTSV4RRFFQ69G5FAW", "backup script")
CALLER = Principal(WORKSPACE, frozenset(Scope), actor=ACTOR)
# Just under a kilobyte as an item, so that a write is one unit in the table and in each index.
NEW = NewTask(
    title="t" * 60,
    description="d" * 50,
    project="p",
    assignee="ada",
    priority="high",
    due_at="2027-01-31T00:00:00Z",
)


class MeteredService(Service):
    """A service whose store reports the capacity that calls consume."""

    async def consumed(self, awaitable: Awaitable[object]) -> dict[str, float]:
        """Return the request units that awaiting this consumes, by operation."""
        before = self._totals()
        await awaitable
        used = {name: total - before.get(name, 0) for name, total in self._totals().items()}
        return {name: units for name, units in used.items() if units}

    def _totals(self) -> dict[str, float]:
        (metric,) = self.metrics.capacity.collect()
        return {
            sample.labels["operation"]: sample.value
            for sample in metric.samples
            if sample.name.endswith("_total")
        }

    def fill(self, number: int, first: int = 0, **fields: Any) -> None:
        """Write tasks in batches, because one by one would take long."""
        puts = [{"PutRequest": {"Item": _item(first + n, fields)}} for n in range(number)]
        with closing(botocore_transport.client(self.settings)) as client:
            for start in range(0, number, MAX_BATCH):
                batch = {self.settings.table_name: puts[start : start + MAX_BATCH]}
                response = client.batch_write_item(RequestItems=batch)
                assert not response["UnprocessedItems"]


def _item(number: int, fields: dict[str, Any]) -> dict[str, Any]:
    moment = rfc3339(datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=number))
    task = Task(
        **NEW.model_dump() | {"project": "p" if number % 2 else "q", **fields},
        id=f"01ARZ3NDEKTSV4RRFFQ6{number:06}",
        created_at=moment,
        updated_at=moment,
        completed_at=None,
        created_by=ACTOR,
        updated_by=ACTOR,
        comment_count=0,
        version=1,
        etag=f'"{number:016x}"',
    )
    return item_of(TaskKey(WORKSPACE, task.id), task)


@pytest.fixture(params=[transport_for, BotocoreTransport])
async def service(store: str, request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    """A service on each emulator, over each transport."""
    async with Service.at(store, request.param) as service:
        yield service


@pytest.fixture
async def metered(local_dynamodb: str) -> AsyncIterator[MeteredService]:
    async with MeteredService.at(local_dynamodb) as service:
        yield service


async def test_a_task_is_read_as_it_was_written(service: Service) -> None:
    """Every field has the same value and type."""
    task = await service.tasks.create(WORKSPACE, NEW)
    read = await service.tasks.get(WORKSPACE, task.id)
    assert read == task
    assert isinstance(read.status, Status)


async def test_a_workspace_reads_lists_and_writes_only_its_own_tasks(service: Service) -> None:
    task = await service.tasks.create("one", NEW)
    for call in (
        service.tasks.get("two", task.id),
        service.tasks.change("two", task.id, ANY, TaskChange(title="x")),
        service.tasks.delete("two", task.id, ANY),
    ):
        with pytest.raises(TaskNotFound):
            await call
    for query in (TaskQuery(), TaskQuery(status=["todo"]), TaskQuery(project="p", sort="due")):
        assert (await service.tasks.list("two", query)).items == []
    assert await service.tasks.get("one", task.id) == task


async def test_a_change_removes_a_task_from_lists_that_it_no_longer_belongs_to(
    service: Service,
) -> None:
    """Indexes are sparse: a task without a project has no attribute of the project index."""
    task = await service.tasks.create(WORKSPACE, NEW)
    change = TaskChange(project=None, assignee=None, status=Status.DONE)
    await service.tasks.change(WORKSPACE, task.id, ANY, change)
    for query in (TaskQuery(project="p"), TaskQuery(assignee="ada"), TaskQuery(status=["todo"])):
        assert (await service.tasks.list(WORKSPACE, query)).items == []
    assert len((await service.tasks.list(WORKSPACE, TaskQuery(status=["done"]))).items) == 1
    key, table = TaskKey(WORKSPACE, task.id).primary_key, service.repository._table
    stored = await service.transport.run(lambda: table.get_item(*key))
    assert not {"project_scope", "assignee_scope"} & set(stored["Item"])


async def test_a_missing_table_is_reported_as_such(service: Service) -> None:
    await service.transport.run(service.repository._model.delete_table)
    with pytest.raises(TableNotFound):
        await service.repository.ping()


async def test_creating_the_table_again_changes_nothing(service: Service) -> None:
    task = await service.tasks.create(WORKSPACE, NEW)
    await service.repository.create_table()
    assert await service.tasks.get(WORKSPACE, task.id) == task


async def test_a_task_is_read_consistently(service: Service) -> None:
    """The emulators' reads are always consistent, so the test examines the call."""
    task = await service.tasks.create(WORKSPACE, NEW)
    requested: list[bool] = []
    adapter: Any = service.repository._table.connection.client

    def call(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        requested.append(arguments["ConsistentRead"])
        return service.transport.call(operation, arguments)

    adapter._transport = SimpleNamespace(call=call)
    await service.tasks.get(WORKSPACE, task.id)
    assert requested == [True]


Call = Callable[[Service, Task], Awaitable[object]]
RETITLED = TaskChange(title="u" * 60)


def _change(change: TaskChange) -> Call:
    return lambda service, task: service.tasks.change(
        WORKSPACE, task.id, parse_strong(task.etag), change, ACTOR
    )


def _page(**query: Any) -> Call:
    return lambda service, _: service.tasks.list(WORKSPACE, TaskQuery(**query))


async def _read_feed(service: Service, _: Task) -> None:
    token = (await service.feed.read(WORKSPACE, ChangesQuery())).token
    await service.feed.read(WORKSPACE, ChangesQuery(token=token))


PATTERNS: dict[str, Call] = {
    "create a task": lambda service, _: service.tasks.create(WORKSPACE, NEW, ACTOR),
    "create a task with an idempotency key": lambda service, _: service.tasks.create_once(
        WORKSPACE, NEW, "k", by=ACTOR
    ),
    "read a task": lambda service, task: service.tasks.get(WORKSPACE, task.id),
    "change its title": _change(RETITLED),
    "change its due time": _change(TaskChange(due_at="2027-02-01T00:00:00Z")),
    "move it to in progress": _change(TaskChange(status=Status.IN_PROGRESS)),
    "move it to done": _change(TaskChange(status=Status.DONE)),
    "change its title under `If-Match: *`": lambda service, task: service.tasks.change(
        WORKSPACE, task.id, ANY, RETITLED, ACTOR
    ),
    "change its title with an idempotency key": lambda service, task: service.tasks.change_once(
        WORKSPACE, task.id, parse_strong(task.etag), RETITLED, "k", by=ACTOR
    ),
    "delete a task": lambda service, task: service.tasks.delete(
        WORKSPACE, task.id, parse_strong(task.etag), ACTOR
    ),
    "25 changes of the feed, with more in each partition": _read_feed,
    "page of 25, newest first": _page(),
    "page of 25, last changed first": _page(sort=Sort.UPDATED_DESCENDING),
    "page of 25, soonest due first": _page(sort=Sort.DUE),
    "page of 25, without a due time last": _page(sort=Sort.DUE_DESCENDING),
    "page of 25 of one status": _page(status=["todo"]),
    "page of 25, open and closed": _page(state="all"),
    "page of 25 of one project": _page(project="p"),
    "page of 25 of one project, open and closed": _page(project="p", state="all"),
    "page of 25 of one project by priority": _page(project="p", sort=Sort.PRIORITY),
    "page of 25 of one assignee by due time": _page(assignee="ada", sort=Sort.DUE),
    "page of 25 of one priority": _page(priority="high"),
    "page of 25 of a due range": _page(due_from="2027-01-01T00:00:00Z", sort=Sort.DUE),
    "names in use, of more than 1 000 open tasks": lambda service, _: service.tasks.names_in_use(
        WORKSPACE, NameField.PROJECT
    ),
}


PATTERNS_OF_DELETED_TASKS: dict[str, Call] = {
    "restore it": lambda service, task: service.tasks.restore(WORKSPACE, task.id, ACTOR),
    "page of 25 of the trash": lambda service, _: service.tasks.trash(WORKSPACE, PageQuery()),
}
PATTERNS_OF_CLOSED_TASKS: dict[str, Call] = {
    "reopen it": _change(TaskChange(status=Status.TODO)),
    "change the due time of a closed task": _change(TaskChange(due_at="2027-02-01T00:00:00Z")),
}


def _documented() -> dict[str, tuple[str, float]]:
    text = (ROOT / "docs/data-model.md").read_text().partition("## Access patterns")[2]
    rows = re.findall(r"^\| (.+?) \| (\w[\w +]+) \| .+ \| ([\d.]+) \|$", text, re.MULTILINE)
    return {pattern: (call, float(units)) for pattern, call, units in rows}


async def test_the_documented_costs_are_what_the_store_reports(metered: MeteredService) -> None:
    """Each row of docs/data-model.md has the operations and request units of its pattern."""
    metered.fill(1100)
    metered.fill(60, first=500_000, status=Status.DONE)
    commented = await metered.tasks.create(WORKSPACE, NEW, ACTOR)
    for _ in range(30):
        task = await metered.tasks.create(WORKSPACE, NEW, ACTOR)
        await metered.tasks.delete(WORKSPACE, task.id, ANY, ACTOR)
        await metered.comments.create(CALLER, commented.id, CommentBody(text="t" * 400), None)
    reported = {}
    for pattern, call in (PATTERNS | PATTERNS_OF_CLOSED_TASKS | PATTERNS_OF_DELETED_TASKS).items():
        status = Status.DONE if pattern in PATTERNS_OF_CLOSED_TASKS else Status.TODO
        new = NEW.model_copy(update={"status": status})
        task = await metered.tasks.create(WORKSPACE, new, ACTOR)
        if pattern in PATTERNS_OF_DELETED_TASKS:
            await metered.tasks.delete(WORKSPACE, task.id, ANY, ACTOR)
        calls = await metered.consumed(call(metered, task))
        reported[pattern] = (" + ".join(sorted(calls)), sum(calls.values()))
    assert reported == _documented()


SCOPES: list[dict[str, Any]] = [{}, {"project": "p"}, {"assignee": "ada"}, {"status": ["todo"]}]
FILTERS: list[dict[str, Any]] = [{}, {"label": ["x"]}, {"q": "t"}, {"priority": "high"}]


async def test_lists_of_open_tasks_cost_the_same_beside_any_number_of_closed_ones(
    metered: MeteredService,
) -> None:
    """Every scope, filter and order finds 20 open tasks in one page."""
    metered.fill(rounds(1000, 20_000), status=Status.DONE)
    metered.fill(20, first=500_000, labels=["x"], project="p")
    for scope, filters, sort in itertools.product(SCOPES, FILTERS, Sort):
        query = TaskQuery(**scope, **filters, sort=sort)
        units = await metered.consumed(_check(metered.tasks.list(WORKSPACE, query), 20))
        assert sum(units.values()) <= MAX_UNITS, query


async def test_a_list_of_open_and_closed_tasks_costs_the_same_however_many_there_are(
    metered: MeteredService,
) -> None:
    metered.fill(rounds(500, 20_000), status=Status.DONE)
    metered.fill(500, first=500_000)
    orders = itertools.product(SCOPES[:3], [Sort.CREATED, Sort.CREATED_DESCENDING])
    for scope, sort in [*orders, ({}, Sort.UPDATED), ({}, Sort.UPDATED_DESCENDING)]:
        query = TaskQuery(**scope, state="all", sort=sort)
        units = await metered.consumed(_check(metered.tasks.list(WORKSPACE, query), 25))
        assert sum(units.values()) <= MAX_UNITS_OF_BOTH, query


async def test_a_list_of_work_in_progress_costs_the_same_beside_any_number_of_tasks_to_do(
    metered: MeteredService,
) -> None:
    """In every scope, filter and order."""
    metered.fill(rounds(1000, 5000))
    metered.fill(10, first=500_000, status=Status.IN_PROGRESS, labels=["x"], project="p")
    for scope, filters, sort in itertools.product(SCOPES[:3], FILTERS, Sort):
        query = TaskQuery(**scope, **filters, status=["in_progress"], sort=sort)
        units = await metered.consumed(_check(metered.tasks.list(WORKSPACE, query), 10))
        assert sum(units.values()) <= MAX_UNITS, query


async def _check(listing: Awaitable[TaskPage], number: int) -> None:
    page = await listing
    assert len(page.items) == number
    assert (page.next_cursor is None) == (number < DEFAULT_PAGE_LIMIT)
