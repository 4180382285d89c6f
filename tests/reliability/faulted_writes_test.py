"""Every fault at every kind of write, over both wires: done once, or not at all, and said so."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from api import attempts
from api.errors import OutcomeUnknown, Problem, TaskNotFound
from api.etags import Match, parse_strong
from api.idempotency import Replay
from api.loop_wire import LoopWire
from api.main import create_app
from api.models import NewTask, Task, TaskChange, TaskQuery
from api.service import TaskService
from tests.support.botocore_wire import BotocoreWire
from tests.support.builders import settings
from tests.support.faults import Fault, FaultProxy, once, times
from tests.support.figures import SOAKING, Figures

pytestmark = pytest.mark.anyio

W = "default"
ANY = Match(frozenset(), any_revision=True)
NEW = NewTask(title="New")
CHANGE = TaskChange(title="Changed")
# The app makes no batches, and this fault is for them alone.
FAULTS = [fault for fault in Fault if fault is not Fault.UNPROCESSED]
# The client's patience in these tests: the faults that make no sound cost it whole.
READ_SECONDS = 0.15
# What three attempts in a row come to, and what the caller hears of it.
MADE = {Fault.LOST, Fault.CUT, Fault.SILENT, Fault.LATE, Fault.ERROR_AFTER}
NOT_MADE = {Fault.ERROR_BEFORE, Fault.REFUSED, Fault.THROTTLED, Fault.CONFLICT}
CLEAR = {Fault.THROTTLED, Fault.CONFLICT}

Write = Callable[[TaskService, Task, str], Awaitable[Task | Replay | None]]
WRITES: dict[str, tuple[str, Write]] = {
    "create": ("PutItem", lambda tasks, _task, _key: tasks.create(W, NEW)),
    "create under a key": (
        "TransactWriteItems",
        lambda tasks, _task, key: tasks.create_once(W, NEW, key),
    ),
    "change": (
        "UpdateItem",
        lambda tasks, task, _key: tasks.change(W, task.id, parse_strong(task.etag), CHANGE),
    ),
    "change whatever is there": (
        "UpdateItem",
        lambda tasks, task, _key: tasks.change(W, task.id, ANY, CHANGE),
    ),
    "change under a key": (
        "TransactWriteItems",
        lambda tasks, task, key: tasks.change_once(
            W, task.id, parse_strong(task.etag), CHANGE, key
        ),
    ),
    "change whatever is there under a key": (
        "TransactWriteItems",
        lambda tasks, task, key: tasks.change_once(W, task.id, ANY, CHANGE, key),
    ),
    "delete": (
        "UpdateItem",
        lambda tasks, task, _key: tasks.delete(W, task.id, parse_strong(task.etag)),
    ),
    "delete whatever is there": (
        "UpdateItem",
        lambda tasks, task, _key: tasks.delete(W, task.id, ANY),
    ),
}
# Those that can be repeated by whoever was left in doubt.
REPEATABLE = [name for name in WRITES if name.endswith("key") or name == "delete"]
# How many tasks there are then, and the version of the first one, from one task of version 1.
NOT_DONE = (1, 1)
DONE = {
    name: (2, 1) if name.startswith("create") else (0, None) if "delete" in name else (1, 2)
    for name in WRITES
}


class Faulty:
    """A service whose calls go through the proxy, and a way past it to see what was done."""

    def __init__(self, proxy: FaultProxy, tasks: TaskService, straight: TaskService) -> None:
        self.proxy = proxy
        self.tasks = tasks
        self._straight = straight

    async def fresh(self) -> Task:
        """Begin with one task."""
        for other in (await self._straight.list(W, TaskQuery())).items:
            await self._straight.delete(W, other.id, ANY)
        return await self._straight.create(W, NewTask(title="Old"))

    async def state(self, task: Task) -> tuple[int, int | None]:
        """Tell how many tasks there are, and the version of one: None where it is deleted."""
        # Not on the loop: it has connections to close before the proxy can settle.
        await asyncio.to_thread(self.proxy.settle)
        number = len((await self._straight.list(W, TaskQuery())).items)
        try:
            return number, (await self._straight.get(W, task.id)).version
        except TaskNotFound:
            return number, None


@asynccontextmanager
async def _faulty(
    store: str, wire: type[LoopWire | BotocoreWire], patience: pytest.MonkeyPatch
) -> AsyncIterator[Faulty]:
    straight = settings(store)
    app = create_app(straight)
    await app.state.repository.create_table()
    app.state.repository.wire.close()
    patience.setattr(attempts, "READ_SECONDS", READ_SECONDS)
    patience.setattr(attempts, "BACKOFF_SECONDS", 0.001)
    # Faults are more frequent here than any budget of retries allows for.
    patience.setattr(attempts, "RETRY_COST", 0)
    with FaultProxy(store) as proxy:
        through = settings(proxy.url, table_name=straight.table_name)
        apps = [create_app(config, wire=wire(config)) for config in (through, straight)]
        yield Faulty(proxy, *(app.state.tasks for app in apps))
        for app in apps:
            app.state.repository.wire.close()


STORES = ("moto", "local_dynamodb")
# What ships is tried in every run, what it is measured by in a soak.
WIRES = (LoopWire, BotocoreWire) if SOAKING else (LoopWire,)


@pytest.fixture(
    params=itertools.product(STORES, WIRES), ids=lambda pair: f"{pair[0]}-{pair[1].__name__}"
)
async def faulty(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Faulty]:
    """A faulty service over a wire to an emulator."""
    store, wire = request.param
    async with _faulty(request.getfixturevalue(store), wire, monkeypatch) as faulty:
        yield faulty


async def test_one_fault_is_not_noticed(faulty: Faulty, figures: Figures) -> None:
    """Whichever it is: the caller hears of a success, of its own, and there was one effect."""
    for (kind, (operation, write)), fault in itertools.product(WRITES.items(), FAULTS):
        task = await faulty.fresh()
        faulty.proxy.plan = plan = once(operation, fault)
        answer = await write(faulty.tasks, task, f"{kind} {fault}")
        assert plan.hit
        assert not isinstance(answer, Replay), (kind, fault)
        assert await faulty.state(task) == DONE[kind], (kind, fault)
        figures.count("faulted_writes", tried=1, failed=0)


async def test_three_faults_are_told_as_what_they_are(faulty: Faulty, figures: Figures) -> None:
    """In doubt where it may have been done, and else not; who repeats it has one effect."""
    for (kind, (operation, write)), fault in itertools.product(WRITES.items(), MADE | NOT_MADE):
        task, key = await faulty.fresh(), f"{kind} {fault}"
        faulty.proxy.plan = plan = times(operation, [fault] * attempts.ATTEMPTS)
        with pytest.raises(Problem) as problem:
            await write(faulty.tasks, task, key)
        assert plan.hit, key
        assert isinstance(problem.value, OutcomeUnknown) is (fault not in CLEAR), key
        assert await faulty.state(task) == (DONE[kind] if fault in MADE else NOT_DONE), key
        if kind in REPEATABLE:
            await write(faulty.tasks, task, key)
            assert await faulty.state(task) == DONE[kind], key
        figures.count("faulted_writes", tried=1, failed=0)


async def test_a_clear_refusal_does_not_end_a_doubt(faulty: Faulty) -> None:
    """Throttled twice after an answer was lost: that it was done is not ruled out."""
    for kind, (operation, write) in WRITES.items():
        task = await faulty.fresh()
        faulty.proxy.plan = times(operation, [Fault.LOST, Fault.THROTTLED, Fault.THROTTLED])
        with pytest.raises(OutcomeUnknown):
            await write(faulty.tasks, task, kind)
        assert await faulty.state(task) == DONE[kind], kind


async def test_no_write_is_a_batch(faulty: Faulty) -> None:
    """So that none can come back unprocessed: these are all the calls that the app makes."""
    for name, (_, write) in WRITES.items():
        await write(faulty.tasks, await faulty.fresh(), name)
    await faulty.tasks.list(W, TaskQuery())
    seen = {operation for operation, _ in faulty.proxy.seen}
    assert seen == {"GetItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"}
