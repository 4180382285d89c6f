"""Every fault at every kind of write: executed once or not at all, and reported correctly."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from api.dynamodb import retry
from api.errors import OutcomeUnknown
from api.http.etags import Match, parse_strong
from api.problem import Problem
from api.tasks.change_models import TaskChange
from api.tasks.errors import TaskNotFound
from api.tasks.idempotency import Replay
from api.tasks.list_models import TaskQuery
from api.tasks.models import NewTask, Task
from api.tasks.service import TaskService
from tests.support.faults import Fault, FaultProxy, once, times
from tests.support.faulty_apps import EXECUTED, KNOWN, NOT_EXECUTED, faulty_apps
from tests.support.figures import Figures

pytestmark = pytest.mark.anyio

W = "default"
ANY = Match(frozenset(), any_revision=True)
NEW = NewTask(title="New")
CHANGE = TaskChange(title="Changed")

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
# Writes that a client may repeat after an unknown outcome.
REPEATABLE = [name for name in WRITES if name.endswith("key") or name == "delete"]
# The number of tasks and the version of the first one, starting from one task of version 1.
UNCHANGED = (1, 1)
CHANGED = {
    name: (2, 1) if name.startswith("create") else (0, None) if "delete" in name else (1, 2)
    for name in WRITES
}


class Faulty:
    """A service whose calls go through the proxy, and one without it to inspect the state."""

    def __init__(self, proxy: FaultProxy, tasks: TaskService, direct: TaskService) -> None:
        self.proxy = proxy
        self.tasks = tasks
        self._direct = direct

    async def fresh(self) -> Task:
        """Delete all tasks and create one."""
        for other in (await self._direct.list(W, TaskQuery())).items:
            await self._direct.delete(W, other.id, ANY)
        return await self._direct.create(W, NewTask(title="Old"))

    async def state(self, task: Task) -> tuple[int, int | None]:
        """Return the number of tasks, and the version of this one: None if it is deleted."""
        # In a thread, because the event loop must close connections before the proxy can settle.
        await asyncio.to_thread(self.proxy.settle)
        number = len((await self._direct.list(W, TaskQuery())).items)
        try:
            return number, (await self._direct.get(W, task.id)).version
        except TaskNotFound:
            return number, None


@pytest.fixture
async def faulty(store: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Faulty]:
    async with faulty_apps(store, monkeypatch) as apps:
        yield Faulty(apps.proxy, apps.proxied.state.tasks, apps.direct.state.tasks)


async def test_a_write_survives_one_fault(faulty: Faulty, figures: Figures) -> None:
    """After any one fault the write succeeds, has one effect and is not reported as a replay."""
    for (kind, (operation, write)), fault in itertools.product(WRITES.items(), Fault):
        task = await faulty.fresh()
        faulty.proxy.plan = plan = once(operation, fault)
        result = await write(faulty.tasks, task, f"{kind} {fault}")
        assert plan.hit
        assert not isinstance(result, Replay), (kind, fault)
        assert await faulty.state(task) == CHANGED[kind], (kind, fault)
        figures.count("faulted_writes", tried=1, failed=0)


async def test_a_write_that_always_fails_reports_its_outcome(
    faulty: Faulty, figures: Figures
) -> None:
    """The outcome is unknown if the write may have been executed; a repetition has one effect."""
    faults = EXECUTED | NOT_EXECUTED
    for (kind, (operation, write)), fault in itertools.product(WRITES.items(), faults):
        task, key = await faulty.fresh(), f"{kind} {fault}"
        faulty.proxy.plan = plan = times(operation, [fault] * retry.MAX_ATTEMPTS)
        with pytest.raises(Problem) as problem:
            await write(faulty.tasks, task, key)
        assert plan.hit, key
        assert isinstance(problem.value, OutcomeUnknown) is (fault not in KNOWN), key
        expected = CHANGED[kind] if fault in EXECUTED else UNCHANGED
        assert await faulty.state(task) == expected, key
        if kind in REPEATABLE:
            await write(faulty.tasks, task, key)
            assert await faulty.state(task) == CHANGED[kind], key
        figures.count("faulted_writes", tried=1, failed=0)


async def test_an_outcome_stays_unknown_after_throttling(faulty: Faulty) -> None:
    """A lost response and then two throttled attempts: the first attempt may have succeeded."""
    for kind, (operation, write) in WRITES.items():
        task = await faulty.fresh()
        faulty.proxy.plan = times(operation, [Fault.LOST, Fault.THROTTLED, Fault.THROTTLED])
        with pytest.raises(OutcomeUnknown):
            await write(faulty.tasks, task, kind)
        assert await faulty.state(task) == CHANGED[kind], kind
