"""Writes whose response was lost: a retry finds out whether the first attempt was made.

tests/reliability/faulted_writes_test.py loses responses too; here other clients write meanwhile.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import pytest

from api.dynamodb.http_client import BrokenError
from api.errors import OutcomeUnknown, StoreUnavailable
from api.http.etags import Match, parse_strong
from api.tasks.change_models import TaskChange
from api.tasks.errors import StaleEtag, TaskNotFound
from api.tasks.idempotency import Replay
from api.tasks.list_models import TaskQuery
from api.tasks.models import NewTask, Status, Task
from tests.support.service import ANY, WORKSPACE, Service, is_write

pytestmark = pytest.mark.anyio

NEW = NewTask(title="New")
DONE = TaskChange(status=Status.DONE)

Meanwhile = Callable[[], Awaitable[object]]


class LossyService(Service):
    """A service that loses responses on request, and the writes of other clients meanwhile."""

    @asynccontextmanager
    async def losing(
        self, meanwhile: Meanwhile | None = None, *, arrives: bool = True, then: str = ""
    ) -> AsyncIterator[None]:
        """Lose the response to the next write, and every later call of the operation `then`.

        `meanwhile` runs before the retry. A write that does not `arrive` is not executed.
        """
        original, lost = self.http.send, False

        async def send(request: bytes, seconds: float) -> Any:
            nonlocal lost
            if lost and then and f".{then}".encode() in request:
                raise BrokenError("lost by the test")
            if lost or not is_write(request):
                return await original(request, seconds)
            lost = True
            if arrives:
                await original(request, seconds)
            if meanwhile:
                await meanwhile()
            raise BrokenError("lost by the test")

        with patch.object(self.http, "send", send):
            yield
        assert lost, "no response was lost"

    async def create(self) -> Task:
        return await self.tasks.create(WORKSPACE, NEW)

    async def get(self, task: Task) -> Task:
        return await self.tasks.get(WORKSPACE, task.id)

    async def change(self, task: Task, change: TaskChange, match: Match | None = None) -> Task:
        match = match or parse_strong(task.etag)
        return await self.tasks.change(WORKSPACE, task.id, match, change)

    async def change_once(
        self, task: Task, change: TaskChange, match: Match | None = None
    ) -> Task | Replay:
        match = match or parse_strong(task.etag)
        return await self.tasks.change_once(WORKSPACE, task.id, match, change, "k")

    async def delete(self, task: Task, match: Match | None = None) -> None:
        await self.tasks.delete(WORKSPACE, task.id, match or parse_strong(task.etag))

    def others_change(self, task: Task, times: int) -> Meanwhile:
        async def change() -> None:
            for number in range(times):
                await self.change(task, TaskChange(title=f"Other {number}"), ANY)

        return change

    async def others_delete(self) -> None:
        for task in await self.list():
            await self.delete(task)

    async def list(self) -> list[Task]:
        return (await self.tasks.list(WORKSPACE, TaskQuery())).items


@pytest.fixture
async def service(store: str) -> AsyncIterator[LossyService]:
    async with LossyService.at(store) as service:
        yield service


@pytest.fixture
async def task(service: LossyService) -> Task:
    return await service.create()


async def test_a_retried_create_finds_its_own_task(service: LossyService) -> None:
    async with service.losing():
        task = await service.create()
    assert await service.list() == [task]


async def test_a_retried_create_does_not_restore_a_task_deleted_meanwhile(
    service: LossyService,
) -> None:
    async with service.losing(service.others_delete):
        task = await service.create()
    with pytest.raises(TaskNotFound):
        await service.get(task)


@pytest.mark.parametrize("match", [None, ANY], ids=["etag", "*"])
@pytest.mark.parametrize("write", ["change", "change_once"])
async def test_a_retried_change_finds_its_own_revision(
    service: LossyService, task: Task, match: Match | None, write: str
) -> None:
    """It is made and counted once, and is neither a conflict with itself nor a replay."""
    async with service.losing():
        changed = await getattr(service, write)(task, DONE, match)
    assert (changed.version, changed.status) == (2, Status.DONE)
    assert await service.get(task) == changed
    assert service.metrics.tasks_moved.labels("todo", "done")._value.get() == 1


@pytest.mark.parametrize("match", [None, ANY], ids=["etag", "*"])
@pytest.mark.parametrize("others", [0, 1, 3])
async def test_a_retried_change_of_labels_finds_its_own_revision(
    service: LossyService, task: Task, match: Match | None, others: int
) -> None:
    """It is made once, although it depends on the labels that are there."""
    async with service.losing(service.others_change(task, others)):
        changed = await service.change(task, TaskChange(labels_add=["mine"]), match)
    assert (changed.labels, changed.version) == (["mine"], 2 + others)


@pytest.mark.parametrize(("match", "others"), [(None, 1), (None, 2), (None, 3), (ANY, 1)])
async def test_a_retried_change_is_found_behind_up_to_three_later_ones(
    service: LossyService, task: Task, match: Match | None, others: int
) -> None:
    """It returns the newest state; its move is not counted, as the status before is unknown."""
    async with service.losing(service.others_change(task, others)):
        changed = await service.change(task, DONE, match)
    assert (changed.title, changed.version) == (f"Other {others - 1}", 2 + others)
    assert changed.status is Status.DONE
    (moves,) = service.metrics.tasks_moved.collect()
    assert not [sample for sample in moves.samples if sample.value]


async def test_a_change_behind_more_than_three_later_ones_has_an_unknown_outcome(
    service: LossyService, task: Task
) -> None:
    async with service.losing(service.others_change(task, 4)):
        with pytest.raises(OutcomeUnknown) as unknown:
            await service.change(task, DONE)
    assert unknown.value.members == {"outcome": "unknown"}


async def test_a_change_that_was_not_executed_gets_a_412_if_others_changed_the_task(
    service: LossyService, task: Task
) -> None:
    """The revision history covers the state that If-Match names, and lacks the change."""
    for number in range(5):
        task = await service.change(task, TaskChange(title=f"{number}"))
    async with service.losing(service.others_change(task, 2), arrives=False):
        with pytest.raises(StaleEtag) as stale:
            await service.change(task, DONE)
    current = await service.get(task)
    assert stale.value.members == {"current_etag": current.etag}
    assert (current.title, current.version) == ("Other 1", 8)


async def test_a_retry_under_an_idempotency_key_does_not_overwrite_a_later_change(
    service: LossyService, task: Task
) -> None:
    async with service.losing(service.others_change(task, 1), arrives=False):
        with pytest.raises(StaleEtag):
            await service.change_once(task, DONE)
    current = await service.get(task)
    assert (current.title, current.status, current.version) == ("Other 0", Status.TODO, 2)


async def test_a_retry_under_an_idempotency_key_and_a_star_changes_the_newest_state(
    service: LossyService, task: Task
) -> None:
    async with service.losing(service.others_change(task, 1), arrives=False):
        changed = await service.change_once(task, DONE, ANY)
    assert isinstance(changed, Task)
    assert (changed.title, changed.status, changed.version) == ("Other 0", Status.DONE, 3)


async def test_a_retried_change_is_found_in_a_tombstone(service: LossyService, task: Task) -> None:
    """It returns the task's last state, whose ETag can delete it again but not change it."""
    async with service.losing(service.others_delete):
        changed = await service.change(task, TaskChange(title="Changed"))
    assert (changed.title, changed.version) == ("Changed", 2)
    with pytest.raises(TaskNotFound):
        await service.change(changed, DONE)
    await service.delete(changed)


async def test_a_write_that_was_not_executed_gets_a_404_if_others_deleted_the_task(
    service: LossyService, task: Task
) -> None:
    async with service.losing(service.others_delete, arrives=False):
        with pytest.raises(TaskNotFound):
            await service.change(task, DONE)
    # A star names no state, so the tombstone of another deletion is not its own.
    task = await service.create()
    async with service.losing(service.others_delete, arrives=False):
        with pytest.raises(TaskNotFound):
            await service.delete(task, ANY)


@pytest.mark.parametrize("write", ["change", "change_once", "create_once", "delete"])
async def test_an_outcome_stays_unknown_if_the_read_after_the_write_fails(
    moto: str, write: str
) -> None:
    # DynamoDB Local recognises a transaction's token, so that it needs no read.
    async with LossyService.at(moto) as service:
        task = await service.create()
        calls: dict[str, Meanwhile] = {
            "change": lambda: service.change(task, DONE),
            "change_once": lambda: service.change_once(task, DONE),
            "create_once": lambda: service.tasks.create_once(WORKSPACE, NEW, "k"),
            "delete": lambda: service.delete(task),
        }
        async with service.losing(then="GetItem"):
            with pytest.raises(OutcomeUnknown):
                await calls[write]()


async def test_a_failed_read_has_no_unknown_outcome(service: LossyService, task: Task) -> None:
    async with service.losing(then="GetItem"):
        await service.create()
        with pytest.raises(StoreUnavailable) as failed:
            await service.get(task)
    assert not isinstance(failed.value, OutcomeUnknown)


async def test_a_deletion_is_found_behind_a_restore_of_others(
    service: LossyService, task: Task
) -> None:
    """It was made, although the task is there again."""

    async def restore() -> None:
        await service.tasks.restore(WORKSPACE, task.id)

    async with service.losing(restore):
        await service.delete(task)
    assert (await service.get(task)).version == 3


async def test_a_retried_restore_is_found_in_the_task(service: LossyService, task: Task) -> None:
    await service.delete(task)
    async with service.losing():
        restored = await service.tasks.restore(WORKSPACE, task.id)
    assert restored == await service.get(task)
    assert restored.version == 3


async def test_a_retried_restore_does_not_undo_a_later_deletion(
    service: LossyService, task: Task
) -> None:
    await service.delete(task)
    async with service.losing(service.others_delete):
        restored = await service.tasks.restore(WORKSPACE, task.id)
    assert restored.version == 3
    with pytest.raises(TaskNotFound):
        await service.get(task)
