"""A mirror that is kept by the feed equals the table, whatever happens to the writes.

Processes whose clocks differ write at the same time. Their calls are late, fail, or end with their
process. The clock is the test's: it moves on while writes are under way, as far as their deadline.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from fastapi import FastAPI

from api.changes.models import Changes, ChangesQuery
from api.changes.service import ChangesService
from api.changes.tokens import CLOCK_SKEW_SECONDS, HORIZON
from api.changes.watch import Watched
from api.comments.models import Comment, CommentBody
from api.comments.service import CommentService
from api.dynamodb import retry
from api.dynamodb.retry import REQUEST_SECONDS
from api.errors import StoreUnavailable
from api.main import create_app
from api.principal import Principal, Scope
from api.problem import Problem
from api.tasks.bulk_models import BulkRequest
from api.tasks.change_models import TaskChange
from api.tasks.models import NewTask, Status
from api.tasks.service import TaskService
from api.values import PageQuery
from tests.support.builders import settings
from tests.support.clock import Clock
from tests.support.faults import Fault, FaultProxy, Plan, randomly
from tests.support.figures import Figures, rounds
from tests.support.mirror import MAX_LIMIT, Mirror, begin, catch_up, everything
from tests.support.service import ANY, WRITES, is_write

pytestmark = pytest.mark.anyio

STEPS = 40
KINDS = ("create", "change", "move", "delete", "restore", "bulk", "comment", "comment")
MAX_TASKS = 6
# Half the difference that two clocks may have, each way.
SKEWS = (-CLOCK_SKEW_SECONDS / 2, 0, CLOCK_SKEW_SECONDS / 2)
# Not SILENT, which takes as long as a call may.
FAULTS = set(Fault) - {Fault.SILENT}
OPERATIONS = {"Query", *(operation.strip(b".").decode() for operation in WRITES)}

Send = Callable[[bytes, float], Awaitable[Any]]


# When the write that a call belongs to was stamped.
began: ContextVar[datetime] = ContextVar("began")


class Held(NamedTuple):
    """A call that waits on its way to the store, and until when it may."""

    until: datetime
    release: asyncio.Event


class History:
    """Writers, a mirror, and the clock of all of them."""

    def __init__(self, seed: int, apps: list[FastAPI], clock: Clock, proxy: FaultProxy) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - must be repeatable
        self.workspace = f"w{seed}"
        self.clock = clock
        self.proxy = proxy
        reader, *self.writers = apps
        self.tasks: TaskService = reader.state.tasks
        self.feed: ChangesService = reader.state.changes
        self.comments: CommentService = reader.state.comments
        self.mirror = Mirror()
        # Kept by requests that wait.
        self.waiting = Mirror()
        self.watched = Watched()
        self.running: set[asyncio.Task[None]] = set()
        self.held: list[Held] = []

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Let the writers' calls wait on their way."""
        with ExitStack() as stack:
            for writer in self.writers:
                http = writer.state.repository.transport._http
                stack.enter_context(patch.object(http, "send", partial(self._send, http.send)))
            yield

    async def _send(self, send: Send, request: bytes, seconds: float) -> Any:
        if is_write(request) and self.chance.random() < 0.5:
            until = began.get() + timedelta(seconds=REQUEST_SECONDS)
            held = Held(until, asyncio.Event())
            self.held.append(held)
            try:
                await held.release.wait()
            finally:
                self.held.remove(held)
        return await send(request, seconds)

    async def run(self, plan: Plan) -> None:
        """Do random steps, then wait until all has ended, and is below the horizon."""
        self.proxy.plan = lambda _: None
        for mirror in (self.mirror, self.waiting):
            await begin(mirror, self.feed, self.tasks, self.workspace)
        steps = [self.write] * 4 + [self.pass_time, self.kill, self.read, self.read]
        self.proxy.plan = plan
        with self.holding():
            for _ in range(STEPS):
                await self.chance.choice(steps)()
            await self.release_until(datetime.max.replace(tzinfo=UTC))
        self.proxy.plan = lambda _: None
        await asyncio.to_thread(self.proxy.settle)
        self.clock.advance(seconds=HORIZON.total_seconds() + 1)
        await self.read()

    async def write(self) -> None:
        task = asyncio.create_task(self._write())
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        await asyncio.sleep(0.001)

    async def _write(self) -> None:
        began.set(self.clock())
        with suppress(Problem):
            await self._write_with(self.chance.choice(self.writers))

    async def _write_with(self, writer: FastAPI) -> None:
        tasks, ids = writer.state.tasks, sorted(self.mirror.ids)
        kind = self.chance.choice(KINDS)
        if kind == "create" or not ids:
            if len(ids) < MAX_TASKS:
                await tasks.create(self.workspace, NewTask(title="x"))
            return
        task_id = self.chance.choice(ids)
        match kind:
            case "change":
                change = TaskChange(title=str(self.chance.random()))
                key = str(self.chance.random())
                await tasks.change_once(self.workspace, task_id, ANY, change, key)
            case "move":
                change = TaskChange(status=self.chance.choice([Status.TODO, Status.DONE]))
                await tasks.change(self.workspace, task_id, ANY, change)
            case "delete":
                await tasks.delete(self.workspace, task_id, ANY)
            case "restore":
                await tasks.restore(self.workspace, task_id)
            case "comment":
                await self._comment(writer, task_id)
            case _:
                await self._bulk(writer, task_id)

    async def _comment(self, writer: FastAPI, task_id: str) -> None:
        comments, tasks = writer.state.comments, writer.state.tasks
        caller, text = Principal(self.workspace, frozenset(Scope)), str(self.chance.random())
        known = sorted(
            comment.id for comment in self.mirror.comments.values() if comment.task_id == task_id
        )
        match self.chance.choice(["create", "change the task, too", "change", "delete"]):
            case "change" if known:
                body = CommentBody(text=text)
                await comments.change(caller, task_id, known[0], ANY, body, None)
            case "delete" if known:
                await comments.delete(caller, task_id, known[0], ANY)
            case "change the task, too":
                change = TaskChange(title=text, comment=text)
                await tasks.change(self.workspace, task_id, ANY, change)
            case _:
                await comments.create(caller, task_id, CommentBody(text=text), text)

    async def is_mirrored(self) -> bool:
        """Return whether both mirrors equal the table."""
        tasks = {task.id: task for task in await everything(self.tasks, self.workspace)}
        query, comments = PageQuery(limit=MAX_LIMIT), dict[str, Comment]()
        for task in tasks.values():
            page = await self.comments.list(self.workspace, task.id, query)
            assert (len(page.items), page.next_cursor) == (task.comment_count, None)
            comments |= {comment.id: comment for comment in page.items}
        mirrors = (self.mirror, self.waiting)
        return all((each.tasks, each.comments) == (tasks, comments) for each in mirrors)

    async def _bulk(self, writer: FastAPI, task_id: str) -> None:
        patch = {"title": str(self.chance.random())}
        items = [{"change": {"id": task_id, "etag": "*", "patch": patch}}]
        bulk = BulkRequest.model_validate({"items": items})
        if self.chance.random() < 0.5:
            await writer.state.bulks.run_atomic(self.workspace, bulk, None)
        else:
            await writer.state.bulks.run(self.workspace, bulk)

    async def pass_time(self) -> None:
        seconds = self.chance.choice([0.1, 1, 3, 6])
        await self.release_until(self.clock() + timedelta(seconds=seconds))
        await asyncio.to_thread(self.proxy.settle)
        self.clock.advance(seconds=seconds)

    async def release_until(self, moment: datetime) -> None:
        """Let go the calls whose time will be over, and wait until all others wait, too."""
        while True:
            for held in self.held:
                if held.until < moment:
                    held.release.set()
            waiting = [held for held in self.held if not held.release.is_set()]
            if len(self.running) == len(waiting):
                return
            await asyncio.sleep(0.001)

    async def kill(self) -> None:
        """End a write as its process would: a call that was sent may arrive all the same."""
        if self.running:
            self.chance.choice(list(self.running)).cancel()

    async def read(self) -> None:
        """Read on; after a failure, a client repeats the request with the token that it has."""
        limit = self.chance.choice([1, 2, 100])
        with suppress(StoreUnavailable):
            await catch_up(self.mirror, partial(self.feed.read, self.workspace), limit)
        await self.feed.watch._look(self.workspace, self.watched)
        with suppress(StoreUnavailable):
            await catch_up(self.waiting, self._read_latest, limit)

    async def _read_latest(self, query: ChangesQuery) -> Changes:
        return await self.feed._latest(self.workspace, query, self.watched)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def apps(moto: str, clock: Clock) -> AsyncIterator[tuple[list[FastAPI], FaultProxy]]:
    """A reader and writers of one table, behind a proxy; the writers' clocks differ."""
    with FaultProxy(moto) as proxy:
        config = settings(proxy.url)
        skewed = [partial(_skewed, clock, skew) for skew in SKEWS]
        clocks: list[Callable[[], datetime]] = [clock, *skewed]
        made = [create_app(config, clock=each) for each in clocks]
        await made[0].state.repository.create_table()
        yield made, proxy
        for app in made:
            app.state.repository.transport.close()


def _skewed(clock: Clock, seconds: float) -> datetime:
    return clock() + timedelta(seconds=seconds)


async def test_a_mirror_that_is_kept_by_the_feed_equals_the_table(
    apps: tuple[list[FastAPI], FaultProxy],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    figures: Figures,
) -> None:
    """After random histories of concurrent writes, faults and kills."""
    monkeypatch.setattr(retry, "BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(retry, "RETRY_COST", 0)
    made, proxy = apps
    differing = []
    for seed in range(rounds(8, 1000)):
        history = History(seed, made, clock, proxy)
        await history.run(randomly(seed, 0.1, FAULTS, OPERATIONS))
        if not await history.is_mirrored():
            differing.append(seed)
        figures.count("mirrors", tried=1, failed=int(seed in differing))
    assert differing == []
