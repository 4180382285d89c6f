"""Writes under `If-Match: *` while other clients write between the read and the write."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from api.errors import RequestInProgress, StoreThrottled
from api.problem import Problem
from api.tasks.change_models import TaskChange
from api.tasks.errors import IllegalMove
from api.tasks.items import MAX_REREADS
from api.tasks.models import NewTask, Status
from api.tasks.service import TaskService
from tests.support.concurrency import contention
from tests.support.service import ANY, WORKSPACE, Service

pytestmark = pytest.mark.anyio

Write = Callable[[TaskService, str, TaskChange], Awaitable[object]]
WRITES: dict[str, Write] = {
    "change": lambda tasks, task_id, change: tasks.change(WORKSPACE, task_id, ANY, change),
    "change with a comment": lambda tasks, task_id, change: tasks.change(
        WORKSPACE, task_id, ANY, change.model_copy(update={"comment": "Mine"})
    ),
    "change_once": lambda tasks, task_id, change: tasks.change_once(
        WORKSPACE, task_id, ANY, change, "k"
    ),
    "delete": lambda tasks, task_id, _: tasks.delete(WORKSPACE, task_id, ANY),
}
ERRORS: dict[str, type[Problem]] = {
    "change": StoreThrottled,
    "change with a comment": StoreThrottled,
    "change_once": RequestInProgress,
    "delete": StoreThrottled,
}
MINE = TaskChange(title="Mine")


@pytest.fixture
async def service(store: str) -> AsyncIterator[Service]:
    async with Service.at(store) as service:
        yield service


@pytest.mark.parametrize("kind", WRITES)
async def test_a_write_overtaken_by_others_is_made_on_the_newest_state(
    service: Service, kind: str
) -> None:
    task = await service.tasks.create(WORKSPACE, NewTask(title="Old"))
    with contention(service, task.id, MAX_REREADS - 1):
        await WRITES[kind](service.tasks, task.id, MINE)
    if kind != "delete":
        current = await service.tasks.get(WORKSPACE, task.id)
        assert (current.title, current.version) == ("Mine", MAX_REREADS + 1)


@pytest.mark.parametrize("kind", WRITES)
async def test_a_write_overtaken_too_often_is_refused_with_a_known_outcome(
    service: Service, kind: str
) -> None:
    """Nothing was done, so the problem has Retry-After and no unknown outcome."""
    task = await service.tasks.create(WORKSPACE, NewTask(title="Old"))
    with contention(service, task.id, MAX_REREADS), pytest.raises(ERRORS[kind]) as refused:
        await WRITES[kind](service.tasks, task.id, MINE)
    assert refused.value.headers == {"Retry-After": "1"}
    assert "outcome" not in refused.value.members
    assert (await service.tasks.get(WORKSPACE, task.id)).title == "Theirs"


@pytest.mark.parametrize("kind", ["change", "change_once"])
async def test_an_illegal_move_without_contention_is_not_reported_as_contention(
    service: Service, kind: str
) -> None:
    task = await service.tasks.create(WORKSPACE, NewTask(title="Done", status=Status.DONE))
    with pytest.raises(IllegalMove):
        await WRITES[kind](service.tasks, task.id, TaskChange(status=Status.CANCELLED))
