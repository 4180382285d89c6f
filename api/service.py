"""The rules of the tracker, the clock and the ids."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ulid import ULID

from api.cursor import Cursors
from api.errors import IllegalMove, StaleTag, TaskNotFound
from api.etags import Match, new_revision, tag
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
from api.repository import ConditionFailedError, Edit, TaskRepository

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
        now = self._clock()
        moment = rfc3339(now)
        task = Task(
            **dict(new),
            id=str(ULID.from_datetime(now)),
            created_at=moment,
            updated_at=moment,
            completed_at=moment if new.status is Status.DONE else None,
            version=1,
            etag=tag(new_revision()),
        )
        await self._repository.add(workspace, task)
        self._metrics.tasks_created.labels(task.status).inc()
        return task

    async def get(self, workspace: str, task_id: str) -> Task:
        return await self._repository.get(workspace, _known_form(task_id))

    async def change(self, workspace: str, task_id: str, match: Match, change: TaskChange) -> Task:
        values = change.values()
        edit = self._edit(match, values)
        try:
            task, previous = await self._repository.change(workspace, _known_form(task_id), edit)
        except ConditionFailedError as refused:
            raise _refusal(refused.current, match, values) from refused
        if task.status is not previous:
            self._metrics.tasks_moved.labels(previous, task.status).inc()
        return task

    async def delete(self, workspace: str, task_id: str, match: Match) -> None:
        try:
            await self._repository.remove(workspace, _known_form(task_id), match)
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

    def _edit(self, match: Match, values: dict[str, Any]) -> Edit:
        moment = rfc3339(self._clock())
        stamped = {**values, "updated_at": moment}
        wanted = values.get("status")
        if wanted is None:
            return Edit(match, stamped, new_revision())
        stamped["completed_at"] = moment if wanted is Status.DONE else None
        return Edit(match, stamped, new_revision(), _may_become(wanted))


def _may_become(wanted: Status) -> frozenset[Status]:
    return frozenset(status for status in Status if wanted in MOVES[status]) | {wanted}


def _refusal(current: Task, match: Match, values: dict[str, Any]) -> StaleTag | IllegalMove:
    wanted = values.get("status", current.status)
    if match.accepts(current.etag) and current.status not in _may_become(wanted):
        return IllegalMove(current.status, wanted, sorted(MOVES[current.status]))
    return StaleTag(current.etag)


def _known_form(task_id: str) -> str:
    """Let nothing but an id's own form near a key; a task that cannot be is not there."""
    if not TASK_ID.fullmatch(task_id):
        raise TaskNotFound
    return task_id


def _context(workspace: str, query: TaskQuery) -> str:
    """Name the list that a cursor belongs to: its caller, its filters and its sort."""
    return f"{workspace}\n{query.model_dump_json(exclude={'limit', 'cursor'})}"
