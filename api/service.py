"""The rules of the tracker, the clock and the ids."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from ulid import ULID

from api.cursor import Cursors
from api.edits import Edit, Removal
from api.errors import IllegalMove, KeyReused, StaleTag, TaskNotFound
from api.etags import Match, new_revision, revision_of, tag
from api.idempotency import KEPT_FOR, Claim, Replay, claim
from api.items import ConditionFailedError
from api.listing import plan
from api.metrics import Metrics
from api.models import (
    MOVES,
    ULID_PATTERN,
    NewTask,
    Status,
    Task,
    TaskChange,
    TaskPage,
    TaskQuery,
    rfc3339,
)
from api.repository import Edited, TaskRepository
from api.table import Place

Clock = Callable[[], datetime]
TASK_ID = re.compile(ULID_PATTERN, re.ASCII)


def system_clock() -> datetime:
    return datetime.now(UTC)


class TaskService:
    """What callers can do with tasks; a workspace is always the caller's own."""

    def __init__(
        self, repository: TaskRepository, cursors: Cursors, metrics: Metrics, clock: Clock
    ) -> None:
        self._repository = repository
        self._cursors = cursors
        self._metrics = metrics
        self._clock = clock

    async def create(self, workspace: str, new: NewTask) -> Task:
        task = _new_task(new, self._clock())
        await self._repository.add(Place(workspace, task.id), task)
        return self._created(task)

    async def create_once(self, workspace: str, new: NewTask, key: str) -> Task | Replay:
        """Create a task under an idempotency key: once, however often it is asked for."""
        now = self._clock()
        task = _new_task(new, now)
        claimed = claim(workspace, key, "POST tasks", new, now)
        replay = await self._repository.add_once(Place(workspace, task.id), task, claimed)
        return self._replayed(replay, claimed) if replay else self._created(task)

    async def get(self, workspace: str, task_id: str) -> Task:
        return await self._repository.get(_place(workspace, task_id))

    async def change(self, workspace: str, task_id: str, match: Match, change: TaskChange) -> Task:
        edit = _edit(match, change, self._clock())
        with _refusals_of(edit):
            return self._changed(await self._repository.change(_place(workspace, task_id), edit))

    async def change_once(
        self, workspace: str, task_id: str, match: Match, change: TaskChange, key: str
    ) -> Task | Replay:
        """Change a task under an idempotency key: once, however often it is asked for."""
        now = self._clock()
        edit = _edit(match, change, now)
        claimed = claim(workspace, key, f"PATCH {task_id}", change, now)
        with _refusals_of(edit):
            done = await self._repository.change_once(_place(workspace, task_id), edit, claimed)
        return self._replayed(done, claimed) if isinstance(done, Replay) else self._changed(done)

    async def delete(self, workspace: str, task_id: str, match: Match) -> None:
        """Delete a task; asked again for the same state, it is done already."""
        removal = Removal(match, new_revision(), self._clock() + KEPT_FOR)
        try:
            await self._repository.remove(_place(workspace, task_id), removal)
        except ConditionFailedError as refused:
            raise StaleTag(refused.current.etag) from refused

    async def list(self, workspace: str, query: TaskQuery) -> TaskPage:
        if query.due_from and query.due_before and query.due_from >= query.due_before:
            return TaskPage(items=[], next_cursor=None)
        context = _context(workspace, query)
        position = None if query.cursor is None else self._cursors.open(query.cursor, context)
        tasks, following = await self._repository.page(
            plan(workspace, query), query.limit, position
        )
        next_cursor = self._cursors.seal(following, context) if following else None
        return TaskPage(tasks, next_cursor)

    def _created(self, task: Task) -> Task:
        self._metrics.tasks_created.labels(task.status).inc()
        return task

    def _changed(self, edited: Edited) -> Task:
        task, previous = edited
        if previous is not None and task.status is not previous:
            self._metrics.tasks_moved.labels(previous, task.status).inc()
        return task

    def _replayed(self, replay: Replay, claimed: Claim) -> Replay:
        if replay.fingerprint != claimed.fingerprint:
            raise KeyReused
        self._metrics.replays.inc()
        return replay


def _new_task(new: NewTask, now: datetime) -> Task:
    moment = rfc3339(now)
    return Task(
        **dict(new),
        id=str(ULID.from_datetime(now)),
        created_at=moment,
        updated_at=moment,
        completed_at=moment if new.status is Status.DONE else None,
        version=1,
        etag=tag(new_revision()),
    )


def _edit(match: Match, change: TaskChange, now: datetime) -> Edit:
    values = change.values()
    values["updated_at"] = moment = rfc3339(now)
    wanted = values.get("status")
    if wanted is None:
        return Edit(match, values, new_revision())
    values["completed_at"] = moment if wanted is Status.DONE else None
    return Edit(match, values, new_revision(), _may_become(wanted))


def _may_become(wanted: Status) -> frozenset[Status]:
    return frozenset(status for status in Status if wanted in MOVES[status]) | {wanted}


@contextmanager
def _refusals_of(edit: Edit) -> Iterator[None]:
    """Say why an edit was refused: its state is not the one any more, or allows no such move."""
    try:
        yield
    except ConditionFailedError as refused:
        current, wanted = refused.current, edit.values.get("status")
        if wanted is None or not edit.match.accepts(revision_of(current.etag)):
            raise StaleTag(current.etag) from refused
        raise IllegalMove(current.status, wanted, MOVES[current.status]) from refused


def _place(workspace: str, task_id: str) -> Place:
    """Let nothing but an id's own form near a key; a task that cannot be is not there."""
    if not TASK_ID.fullmatch(task_id):
        raise TaskNotFound
    return Place(workspace, task_id)


def _context(workspace: str, query: TaskQuery) -> str:
    """Name the list that a cursor belongs to: its caller, its filters and its sort."""
    return f"{workspace}\n{query.model_dump_json(exclude={'limit', 'cursor'})}"
