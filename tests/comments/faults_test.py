"""Every fault at every kind of write of a comment: one effect or none, and the count fits."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import pytest

from api.comments.models import Comment, CommentBody
from api.comments.service import CommentService
from api.dynamodb import retry
from api.errors import OutcomeUnknown
from api.http.etags import parse_strong
from api.principal import ANONYMOUS
from api.problem import Problem
from api.tasks.change_models import TaskChange
from api.tasks.idempotency import Replay
from api.tasks.models import NewTask, Task
from api.tasks.service import TaskService
from api.values import PageQuery
from tests.support.faults import Fault, FaultProxy, once, times
from tests.support.faulty_apps import EXECUTED, KNOWN, NOT_EXECUTED, faulty_apps
from tests.support.figures import Figures
from tests.support.service import ANY, WORKSPACE

pytestmark = pytest.mark.anyio

OLD, NEW = CommentBody(text="Old"), CommentBody(text="New")


class Services(NamedTuple):
    """What a test writes with."""

    tasks: TaskService
    comments: CommentService


class State(NamedTuple):
    """A task's version and count, and the texts of its comments."""

    version: int
    comment_count: int
    texts: list[str]


class Existing(NamedTuple):
    """A task and its comment, which a write may change."""

    task: Task
    comment: Comment


Write = Callable[[Services, Existing, str], Awaitable[object]]


def _commenting(*, keyed: bool) -> Write:
    return lambda to, there, key: to.comments.create(
        ANONYMOUS, there.task.id, NEW, key if keyed else None
    )


def _editing(*, keyed: bool) -> Write:
    return lambda to, there, key: to.comments.change(
        ANONYMOUS,
        there.task.id,
        there.comment.id,
        parse_strong(there.comment.etag),
        NEW,
        key if keyed else None,
    )


def _deleting(*, any_state: bool) -> Write:
    return lambda to, there, _key: to.comments.delete(
        ANONYMOUS,
        there.task.id,
        there.comment.id,
        ANY if any_state else parse_strong(there.comment.etag),
    )


def _changing(*, any_state: bool) -> Write:
    return lambda to, there, _key: to.tasks.change(
        WORKSPACE,
        there.task.id,
        ANY if any_state else parse_strong(there.task.etag),
        TaskChange(title="x", comment="New"),
    )


def _changing_once() -> Write:
    return lambda to, there, key: to.tasks.change_once(
        WORKSPACE, there.task.id, ANY, TaskChange(title="x", comment="New"), key
    )


JOINT, SINGLE = "TransactWriteItems", "PutItem"
BEFORE, COMMENTED = State(2, 1, ["Old"]), State(3, 2, ["Old", "New"])
EDITED, DELETED = State(2, 1, ["New"]), State(3, 0, [])
# The call that meets the fault, the write, and the state after it.
WRITES: dict[str, tuple[str, Write, State]] = {
    "comment": (JOINT, _commenting(keyed=False), COMMENTED),
    "comment under a key": (JOINT, _commenting(keyed=True), COMMENTED),
    "change with a comment": (JOINT, _changing(any_state=False), COMMENTED),
    "change whatever is there with one": (JOINT, _changing(any_state=True), COMMENTED),
    "change with a comment under a key": (JOINT, _changing_once(), COMMENTED),
    "edit": (SINGLE, _editing(keyed=False), EDITED),
    "edit under a key": (JOINT, _editing(keyed=True), EDITED),
    "delete": (JOINT, _deleting(any_state=False), DELETED),
    "delete whatever is there": (JOINT, _deleting(any_state=True), DELETED),
}
# Writes that a client may repeat after an unknown outcome.
REPEATABLE = [name for name in WRITES if name.endswith("key") or name == "delete"]


class Faulty:
    """Services whose calls go through the proxy, and others without it to inspect the state."""

    def __init__(self, proxy: FaultProxy, services: Services, direct: Services) -> None:
        self.proxy = proxy
        self.services = services
        self._direct = direct

    async def fresh(self) -> Existing:
        task = await self._direct.tasks.create(WORKSPACE, NewTask(title="Old"))
        comment = await self._direct.comments.create(ANONYMOUS, task.id, OLD, None)
        assert isinstance(comment, Comment)
        return Existing(await self._direct.tasks.get(WORKSPACE, task.id), comment)

    async def state(self, task: Task) -> State:
        # In a thread, because the event loop must close connections before the proxy can settle.
        await asyncio.to_thread(self.proxy.settle)
        current = await self._direct.tasks.get(WORKSPACE, task.id)
        page = await self._direct.comments.list(WORKSPACE, task.id, PageQuery())
        texts = [comment.text for comment in page.items]
        return State(current.version, current.comment_count, texts)


@pytest.fixture
async def faulty(store: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Faulty]:
    async with faulty_apps(store, monkeypatch) as apps:
        states = (apps.proxied.state, apps.direct.state)
        services = (Services(state.tasks, state.comments) for state in states)
        yield Faulty(apps.proxy, *services)


async def test_a_write_survives_one_fault(faulty: Faulty, figures: Figures) -> None:
    """After any one fault it succeeds, has one effect and is not reported as a replay."""
    for (kind, (operation, write, after)), fault in itertools.product(WRITES.items(), Fault):
        there = await faulty.fresh()
        faulty.proxy.plan = plan = once(operation, fault)
        result = await write(faulty.services, there, f"{kind} {fault}")
        assert plan.hit
        assert not isinstance(result, Replay), (kind, fault)
        assert await faulty.state(there.task) == after, (kind, fault)
        figures.count("faulted_writes", tried=1, failed=0)


async def test_a_write_that_always_fails_reports_its_outcome(
    faulty: Faulty, figures: Figures
) -> None:
    """Unknown if it may have been executed; the comment and its count are there or neither."""
    faults = EXECUTED | NOT_EXECUTED
    for (kind, (operation, write, after)), fault in itertools.product(WRITES.items(), faults):
        there, key = await faulty.fresh(), f"{kind} {fault}"
        faulty.proxy.plan = plan = times(operation, [fault] * retry.MAX_ATTEMPTS)
        with pytest.raises(Problem) as problem:
            await write(faulty.services, there, key)
        assert plan.hit, key
        assert isinstance(problem.value, OutcomeUnknown) is (fault not in KNOWN), key
        expected = after if fault in EXECUTED else BEFORE
        assert await faulty.state(there.task) == expected, key
        if kind in REPEATABLE:
            await write(faulty.services, there, key)
            assert await faulty.state(there.task) == after, key
        figures.count("faulted_writes", tried=1, failed=0)
