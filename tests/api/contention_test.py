"""Writes of whatever is there, while others write in between each look and its write."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from api.errors import IllegalMove, Problem, RequestInProgress, StoreThrottled
from api.etags import parse_strong
from api.items import MOST_LOOKS
from api.models import NewTask, Status, TaskChange
from api.service import TaskService
from tests.support.service import ANY, Service, W

pytestmark = pytest.mark.anyio

WRITES = (b".UpdateItem", b".TransactWriteItems")
MINE = TaskChange(title="Mine")


class Tracker(Service):
    """A service whose writes others can overtake."""

    @contextmanager
    def overtaken(self, task_id: str, times: int) -> Iterator[None]:
        """Let somebody else change the task just before each of the next writes."""
        client, left = self.http, [times]
        whole = client.exchange

        async def exchange(request: bytes, seconds: float) -> Any:
            if left[0] and any(write in request for write in WRITES):
                left[0] -= 1
                client.exchange = whole
                await self.others_change(task_id)
                client.exchange = exchange
            return await whole(request, seconds)

        client.exchange = exchange
        yield
        client.exchange = whole
        assert left == [0]

    async def others_change(self, task_id: str) -> None:
        current = await self.tasks.get(W, task_id)
        theirs = TaskChange(title="Theirs")
        await self.tasks.change(W, task_id, parse_strong(current.etag), theirs)


Write = Callable[[TaskService, str], Awaitable[object]]
WRITERS: dict[str, Write] = {
    "change": lambda tasks, task_id: tasks.change(W, task_id, ANY, MINE),
    "change under a key": lambda tasks, task_id: tasks.change_once(W, task_id, ANY, MINE, "k"),
    "delete": lambda tasks, task_id: tasks.delete(W, task_id, ANY),
}
REFUSALS: dict[str, type[Problem]] = {
    "change": StoreThrottled,
    "change under a key": RequestInProgress,
    "delete": StoreThrottled,
}


@pytest.fixture
async def tracker(store: str) -> AsyncIterator[Tracker]:
    async with Tracker.at(store) as tracker:
        yield tracker


@pytest.mark.parametrize("kind", WRITERS)
async def test_it_looks_again_and_is_made(tracker: Tracker, kind: str) -> None:
    """On the state that the last of the others has left."""
    task = await tracker.tasks.create(W, NewTask(title="Old"))
    with tracker.overtaken(task.id, MOST_LOOKS - 1):
        await WRITERS[kind](tracker.tasks, task.id)
    if kind != "delete":
        current = await tracker.tasks.get(W, task.id)
        assert (current.title, current.version) == ("Mine", MOST_LOOKS + 1)


@pytest.mark.parametrize("kind", WRITERS)
async def test_it_gives_up_in_the_end(tracker: Tracker, kind: str) -> None:
    """With nothing done, which the problem says: there is no doubt about it."""
    task = await tracker.tasks.create(W, NewTask(title="Old"))
    with tracker.overtaken(task.id, MOST_LOOKS), pytest.raises(REFUSALS[kind]) as refused:
        await WRITERS[kind](tracker.tasks, task.id)
    assert refused.value.headers == {"Retry-After": "1"}
    assert "outcome" not in refused.value.members
    assert (await tracker.tasks.get(W, task.id)).title == "Theirs"


@pytest.mark.parametrize("kind", ["change", "change under a key"])
async def test_a_status_that_does_not_allow_it_is_no_contention(
    tracker: Tracker, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking again would find the same."""
    task = await tracker.tasks.create(W, NewTask(title="Done", status=Status.DONE))
    monkeypatch.setitem(globals(), "MINE", TaskChange(status=Status.CANCELLED))
    with pytest.raises(IllegalMove):
        await WRITERS[kind](tracker.tasks, task.id)
