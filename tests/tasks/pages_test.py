"""Pages that are merged from open and closed tasks, while tasks move between the two."""

import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from api.tasks import pages
from api.tasks.change_models import TaskChange
from api.tasks.list_models import Sort, TaskQuery
from api.tasks.models import NewTask, Status, Task
from api.tasks.pages import PageReader, StreamReader
from api.tasks.table import TaskKey
from api.tasks.writes import Stamp, update_of
from tests.support.figures import rounds
from tests.support.service import ANY, Service

pytestmark = pytest.mark.anyio

ORDERS = [Sort.CREATED, Sort.CREATED_DESCENDING, Sort.UPDATED, Sort.UPDATED_DESCENDING]
SCOPES: list[dict[str, Any]] = [
    {},
    {"project": "p"},
    {"label": ["x"]},
    {"status": list(Status)[1:]},
]
_workspaces = (f"workspace-{number}" for number in itertools.count())


@pytest.fixture
async def service(store: str) -> AsyncIterator[Service]:
    async with Service.at(store) as service:
        yield service


class Mover:
    """Moves tasks to the other state, one before each query."""

    def __init__(self, service: Service, workspace: str, tasks: list[Task]) -> None:
        self._write = service.repository._items.write
        self._workspace = workspace
        self._tasks = iter(tasks)

    def move_one(self) -> None:
        if (task := next(self._tasks, None)) is not None:
            wanted = Status.TODO if task.status is Status.DONE else Status.DONE
            later = datetime.now(UTC) + timedelta(days=1)
            key = TaskKey(self._workspace, task.id)
            self._write(key, update_of(key, ANY, TaskChange(status=wanted), Stamp.new(later)))


def _read_after(mover: Mover) -> Callable[[PageReader, StreamReader], None]:
    read_on = PageReader._read_on

    def move_and_read(page: PageReader, reader: StreamReader) -> None:
        mover.move_one()
        read_on(page, reader)

    return move_and_read


class Case(NamedTuple):
    """Tasks, those of them that move meanwhile, a list, and the budget of its pages."""

    closed: list[bool]
    moved: set[int]
    sort: Sort
    scope: dict[str, Any]
    limit: int
    max_rows: int
    max_bytes: int

    @property
    def query(self) -> TaskQuery:
        return TaskQuery(**{"state": "all", **self.scope}, sort=self.sort, limit=self.limit)


CASES = st.builds(
    Case,
    closed=st.lists(st.booleans(), min_size=1, max_size=12),
    moved=st.sets(st.integers(0, 11)),
    sort=st.sampled_from(ORDERS),
    scope=st.sampled_from(SCOPES),
    limit=st.integers(1, 4),
    max_rows=st.integers(2, 9),
    max_bytes=st.sampled_from([500, 2000, 100_000]),
)


@effort(
    max_examples=rounds(40, 400),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(case=CASES)
@example(case=Case([False] * 3, {0, 1, 2}, Sort.CREATED, {}, 4, 9, 100_000))
async def test_each_task_that_does_not_change_is_listed_exactly_once_and_in_order(
    service: Service, case: Case
) -> None:
    """Also if pages are short because of their filter or budget, and tasks move meanwhile."""
    workspace = next(_workspaces)
    tasks = [await _create(service, workspace, is_closed=each) for each in case.closed]
    moved = [task for number, task in enumerate(tasks) if number in case.moved]
    unchanged = [task for task in tasks if task not in moved]
    with (
        patch.object(pages, "MAX_ROWS_READ", case.max_rows),
        patch.object(pages, "MAX_PAGE_BYTES", case.max_bytes),
        patch.object(PageReader, "_read_on", _read_after(Mover(service, workspace, moved))),
    ):
        walked = await _walk(service, workspace, case.query)
    for page in walked:
        assert len({task.id for task in page}) == len(page) <= case.limit
    listed = [task for page in walked for task in page if task in unchanged]
    # Ids and times of change increase in the order of creation.
    assert listed == (unchanged if case.sort.ascending else unchanged[::-1])


async def _create(service: Service, workspace: str, *, is_closed: bool) -> Task:
    status = Status.DONE if is_closed else Status.IN_PROGRESS
    return await service.tasks.create(
        workspace, NewTask(title="t", project="p", labels=["x"], status=status)
    )


async def _walk(service: Service, workspace: str, query: TaskQuery) -> list[list[Task]]:
    walked, cursor = [], None
    for _ in range(200):
        page = await service.tasks.list(workspace, query.model_copy(update={"cursor": cursor}))
        walked.append(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return walked
    raise AssertionError("the list has no end")
