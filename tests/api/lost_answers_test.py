"""Writes whose answer was lost: reported as what they came to, whatever others did meanwhile."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from api import http1
from api.errors import OutcomeUnknown, StaleTag, StoreUnavailable, TaskNotFound
from api.etags import parse_strong
from api.idempotency import Replay
from api.models import NewTask, Status, Task, TaskChange, TaskQuery
from tests.support.service import ANY, Service, W

pytestmark = pytest.mark.anyio

NEW = NewTask(title="Mine")
WRITES = ("PutItem", "UpdateItem", "TransactWriteItems")

Meanwhile = Callable[[], Awaitable[object]]


class Tracker(Service):
    """A service that loses answers when told to."""

    @asynccontextmanager
    async def losing(
        self, meanwhile: Meanwhile | None = None, *, arrives: bool = True, then: str = ""
    ) -> AsyncIterator[None]:
        """Lose the answer to the next write, and all calls of a kind after it.

        Others can write in between; the write itself may be lost on its way instead.
        """
        client, left = self.http, [True]
        whole = client.exchange

        async def exchange(request: bytes, seconds: float) -> http1.Answer:
            if left and any(f".{write}".encode() in request for write in WRITES):
                left.clear()
                if arrives:
                    await whole(request, seconds)
                if meanwhile:
                    await meanwhile()
                raise http1.BrokenError("lost by the test")
            if then and not left and f".{then}".encode() in request:
                raise http1.BrokenError("lost by the test")
            answer: http1.Answer = await whole(request, seconds)
            return answer

        client.exchange = exchange
        yield
        client.exchange = whole
        assert not left, "no answer was lost"

    async def change(self, task: Task, title: str) -> Task:
        match = parse_strong(task.etag)
        return await self.tasks.change(W, task.id, match, TaskChange(title=title))

    async def delete(self, task: Task) -> None:
        await self.tasks.delete(W, task.id, parse_strong(task.etag))

    def others(self, task_id: str, number: int) -> Meanwhile:
        """Change a task so many times as somebody else would."""

        async def change() -> None:
            for n in range(number):
                current = await self.tasks.get(W, task_id)
                await self.change(current, f"Other {n}")

        return change

    async def delete_all(self) -> None:
        for task in (await self.tasks.list(W, TaskQuery())).items:
            await self.delete(task)


@pytest.fixture
async def tracker(store: str) -> AsyncIterator[Tracker]:
    async with Tracker.at(store) as tracker:
        yield tracker


async def test_a_create_is_no_conflict_with_itself(tracker: Tracker) -> None:
    """The attempt after it finds the task there: it is this one, and there is one of it."""
    async with tracker.losing():
        task = await tracker.tasks.create(W, NEW)
    assert (await tracker.tasks.list(W, TaskQuery())).items == [task]


async def test_a_create_brings_nothing_back(tracker: Tracker) -> None:
    """Deleted before its second attempt came: the tombstone stands in the way."""
    async with tracker.losing(tracker.delete_all):
        task = await tracker.tasks.create(W, NEW)
    with pytest.raises(TaskNotFound):
        await tracker.tasks.get(W, task.id)


async def test_a_create_under_a_key_is_no_replay_of_itself(tracker: Tracker) -> None:
    """The record that it finds is its own."""
    async with tracker.losing():
        task = await tracker.tasks.create_once(W, NEW, "k")
    assert (await tracker.tasks.list(W, TaskQuery())).items == [task]
    assert isinstance(await tracker.tasks.create_once(W, NEW, "k"), Replay)


@pytest.mark.parametrize("match", ["its tag", "*"])
async def test_a_change_is_no_conflict_with_itself(tracker: Tracker, match: str) -> None:
    """The attempt after it finds its own revision there: the change was made, and made once."""
    task = await tracker.tasks.create(W, NEW)
    wanted = ANY if match == "*" else parse_strong(task.etag)
    async with tracker.losing():
        changed = await tracker.tasks.change(W, task.id, wanted, TaskChange(status=Status.DONE))
    assert (changed.version, changed.status) == (2, Status.DONE)
    assert await tracker.tasks.get(W, task.id) == changed
    assert tracker.metrics.tasks_moved.labels("todo", "done")._value.get() == 1


@pytest.mark.parametrize("match", ["its tag", "*"])
async def test_a_change_under_a_key_is_no_conflict_with_itself(
    tracker: Tracker, match: str
) -> None:
    """It is no replay either, but the first answer."""
    task = await tracker.tasks.create(W, NEW)
    wanted = ANY if match == "*" else parse_strong(task.etag)
    change = TaskChange(title="Changed")
    async with tracker.losing():
        changed = await tracker.tasks.change_once(W, task.id, wanted, change, "k")
    assert await tracker.tasks.get(W, task.id) == changed
    assert not isinstance(changed, Replay)
    assert changed.version == 2


@pytest.mark.parametrize("others", [1, 2, 3])
async def test_a_change_is_found_behind_others(tracker: Tracker, others: int) -> None:
    """It was made, so it is a success: the answer is the task as it has become since."""
    task = await tracker.tasks.create(W, NEW)
    async with tracker.losing(tracker.others(task.id, others)):
        changed = await tracker.change(task, "Changed")
    assert (changed.title, changed.version) == (f"Other {others - 1}", 2 + others)


async def test_a_move_behind_others_is_not_counted_by_guess(tracker: Tracker) -> None:
    """What the status was before is not known any more: the metric says only what is."""
    task = await tracker.tasks.create(W, NEW)
    async with tracker.losing(tracker.others(task.id, 1)):
        await tracker.tasks.change(
            W, task.id, parse_strong(task.etag), TaskChange(status=Status.DONE)
        )
    (moves,) = tracker.metrics.tasks_moved.collect()
    assert not [sample for sample in moves.samples if sample.value]


async def test_behind_too_many_others_nobody_knows(tracker: Tracker) -> None:
    """A conflict would be a guess, and so would a success."""
    task = await tracker.tasks.create(W, NEW)
    async with tracker.losing(tracker.others(task.id, 4)):
        with pytest.raises(OutcomeUnknown) as unknown:
            await tracker.change(task, "Changed")
    assert unknown.value.members == {"outcome": "unknown"}


async def test_a_change_that_never_arrived_is_told_from_one_that_did(tracker: Tracker) -> None:
    """Somebody else came first: that is a conflict, though the first attempt has no answer."""
    task = await tracker.tasks.create(W, NEW)
    for number in range(5):
        task = await tracker.change(task, f"{number}")
    async with tracker.losing(tracker.others(task.id, 2), arrives=False):
        with pytest.raises(StaleTag) as stale:
            await tracker.change(task, "Changed")
    current = await tracker.tasks.get(W, task.id)
    assert stale.value.members == {"current_etag": current.etag}
    assert (current.title, current.version) == ("Other 1", 8)


async def test_a_change_under_a_key_is_not_made_past_others(tracker: Tracker) -> None:
    """It was worked out from a state that is gone: what others wrote since is not overwritten."""
    task = await tracker.tasks.create(W, NEW)
    async with tracker.losing(tracker.others(task.id, 1), arrives=False):
        with pytest.raises(StaleTag):
            await tracker.tasks.change_once(
                W, task.id, parse_strong(task.etag), TaskChange(status=Status.DONE), "k"
            )
    current = await tracker.tasks.get(W, task.id)
    assert (current.title, current.status, current.version) == ("Other 0", Status.TODO, 2)


async def test_a_change_of_whatever_is_there_under_a_key_is_made_on_what_others_left(
    tracker: Tracker,
) -> None:
    """The star allows the new state too, so the change is worked out anew from that."""
    task = await tracker.tasks.create(W, NEW)
    change = TaskChange(status=Status.DONE)
    async with tracker.losing(tracker.others(task.id, 1), arrives=False):
        changed = await tracker.tasks.change_once(W, task.id, ANY, change, "k")
    assert isinstance(changed, Task)
    assert (changed.title, changed.status, changed.version) == ("Other 0", Status.DONE, 3)


async def test_a_change_of_whatever_is_there_is_not_made_again(tracker: Tracker) -> None:
    """The star is tied to the state that was there: what others wrote since is not overwritten."""
    task = await tracker.tasks.create(W, NEW)
    async with tracker.losing(tracker.others(task.id, 1)):
        changed = await tracker.tasks.change(W, task.id, ANY, TaskChange(title="Changed"))
    assert (changed.title, changed.version) == ("Other 0", 3)


async def test_a_change_is_found_in_a_tombstone(tracker: Tracker) -> None:
    """Made, and then the task was deleted: a success, with what the task was at last."""
    task = await tracker.tasks.create(W, NEW)
    async with tracker.losing(tracker.delete_all):
        changed = await tracker.change(task, "Changed")
    assert (changed.title, changed.version) == ("Changed", 2)
    with pytest.raises(TaskNotFound):
        await tracker.change(changed, "Raised from the dead")
    await tracker.delete(changed)


async def test_a_change_that_never_arrived_at_a_task_now_gone(tracker: Tracker) -> None:
    """The task is not there, and the change never was."""
    task = await tracker.tasks.create(W, NEW)
    async with tracker.losing(tracker.delete_all, arrives=False):
        with pytest.raises(TaskNotFound):
            await tracker.change(task, "Changed")


@pytest.mark.parametrize("match", ["its tag", "*"])
async def test_a_deletion_finds_its_own_tombstone(tracker: Tracker, match: str) -> None:
    """Gone because of this very request is not the same as not found."""
    task = await tracker.tasks.create(W, NEW)
    async with tracker.losing():
        await tracker.tasks.delete(W, task.id, ANY if match == "*" else parse_strong(task.etag))
    with pytest.raises(TaskNotFound):
        await tracker.tasks.get(W, task.id)


async def test_a_deletion_of_whatever_is_there_is_one_callers(tracker: Tracker) -> None:
    """Another one's tombstone is no success for who named no state."""
    task = await tracker.tasks.create(W, NEW)
    async with tracker.losing(tracker.delete_all, arrives=False):
        with pytest.raises(TaskNotFound):
            await tracker.tasks.delete(W, task.id, ANY)


@pytest.mark.parametrize("kind", ["change", "change_once", "create_once", "delete"])
async def test_a_doubt_outlives_a_read_that_fails(moto: str, kind: str) -> None:
    """The write may have been made, and what would tell cannot be read: not merely unavailable.

    DynamoDB Local would know a transaction again by its token, and need no read.
    """
    async with Tracker.at(moto) as tracker:
        await _fail_in_doubt(tracker, kind)


async def _fail_in_doubt(tracker: Tracker, kind: str) -> None:
    task = await tracker.tasks.create(W, NEW)
    match, change = parse_strong(task.etag), TaskChange(title="Changed")
    calls: dict[str, Meanwhile] = {
        "change": lambda: tracker.tasks.change(W, task.id, match, change),
        "change_once": lambda: tracker.tasks.change_once(W, task.id, match, change, "k"),
        "create_once": lambda: tracker.tasks.create_once(W, NEW, "k"),
        "delete": lambda: tracker.tasks.delete(W, task.id, match),
    }
    async with tracker.losing(then="GetItem"):
        with pytest.raises(OutcomeUnknown):
            await calls[kind]()


async def test_a_read_that_fails_leaves_no_doubt(tracker: Tracker) -> None:
    """It changes nothing, so its failure is just that."""
    task = await tracker.tasks.create(W, NEW)
    async with tracker.losing(then="GetItem"):
        await tracker.tasks.create(W, NEW)
        with pytest.raises(StoreUnavailable) as failed:
            await tracker.tasks.get(W, task.id)
    assert not isinstance(failed.value, OutcomeUnknown)
