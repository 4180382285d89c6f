"""The tracker's rules: ids, times, status moves, and what a repeated request gets."""

from collections.abc import Sequence

from api.clock import Clock
from api.cursor import Cursors
from api.dynamodb.item_json import Item
from api.http.etags import Match
from api.metrics import Metrics
from api.principal import NO_KEY, Actor
from api.tasks.change_models import FieldsChange, TaskChange
from api.tasks.errors import IdempotencyKeyReused
from api.tasks.fair_semaphore import FairSemaphore
from api.tasks.idempotency import Claim, Replay, claim
from api.tasks.list_models import TaskPage, TaskQuery
from api.tasks.models import MOVES, NewTask, Status, Task
from api.tasks.names import NameField, NamesInUse
from api.tasks.query_plan import QueryPlan, plan_query
from api.tasks.repository import TaskRepository, UpdatedTask
from api.tasks.table import TaskKey, task_of
from api.tasks.trash import TaskRestoration, TrashPage, plan_trash, trashed_task_of
from api.tasks.writes import Stamp, deletion_of, key_of, new_task, update_of
from api.values import PageQuery, seconds_between


class TaskService:
    """What clients can do with tasks; the workspace is always that of their API key."""

    def __init__(
        self,
        repository: TaskRepository,
        cursors: Cursors,
        metrics: Metrics,
        clock: Clock,
        max_lists: int,
    ) -> None:
        self._repository = repository
        self._cursors = cursors
        self._metrics = metrics
        self._clock = clock
        # Bounds the memory of lists and counts: each may hold a response of DynamoDB's, up to 1 MB.
        self.lists = FairSemaphore(max_lists)
        metrics.initialise_tasks(MOVES)
        # How long tasks took until these moves.
        self._durations = {
            Status.IN_PROGRESS: metrics.task_wait_seconds,
            Status.DONE: metrics.task_lead_seconds,
        }

    async def create(self, workspace: str, new: NewTask, by: Actor | Stamp = NO_KEY) -> Task:
        task = new_task(new, self._stamp(by))
        if await self._repository.add(TaskKey(workspace, task.id), task):
            self.count_created(task)
        return task

    async def create_once(
        self, workspace: str, new: NewTask, idempotency_key: str, *, by: Actor = NO_KEY
    ) -> Task | Replay:
        """Create a task under an idempotency key, or replay the earlier response."""
        now = self._clock()
        task = new_task(new, Stamp.new(now, by))
        claimed = claim(workspace, idempotency_key, "POST tasks", dict(new), now)
        replay = await self._repository.add_once(TaskKey(workspace, task.id), task, claimed)
        return self.checked(replay, claimed) if replay else self.count_created(task)

    async def get(self, workspace: str, task_id: str) -> Task:
        return await self._repository.get(key_of(workspace, task_id))

    async def change(
        self,
        workspace: str,
        task_id: str,
        match: Match,
        change: FieldsChange,
        by: Actor | Stamp = NO_KEY,
    ) -> Task:
        key = key_of(workspace, task_id)
        update = update_of(key, match, change, self._stamp(by))
        return self._counted(await self._repository.change(key, update))

    async def change_once(  # noqa: PLR0913 - one request's parts
        self,
        workspace: str,
        task_id: str,
        match: Match,
        change: TaskChange,
        idempotency_key: str,
        *,
        by: Actor = NO_KEY,
    ) -> Task | Replay:
        """Change a task under an idempotency key, or replay the earlier response."""
        key, now = key_of(workspace, task_id), self._clock()
        update = update_of(key, match, change, Stamp.new(now, by))
        claimed = claim(workspace, idempotency_key, f"PATCH {task_id}", change.content(), now)
        done = await self._repository.change_once(key, update, claimed)
        if isinstance(done, Replay):
            return self.checked(done, claimed)
        return self._counted(done)

    async def delete(
        self, workspace: str, task_id: str, match: Match, by: Actor | Stamp = NO_KEY
    ) -> None:
        """Delete a task; deleting the same state again succeeds for 30 days."""
        deletion = deletion_of(match, self._stamp(by))
        await self._repository.delete(key_of(workspace, task_id), deletion)

    async def restore(self, workspace: str, task_id: str, by: Actor = NO_KEY) -> Task:
        """Give a deleted task back within 30 days; one that is there is returned as it is."""
        stamp = Stamp.new(self._clock(), by)
        restoration = TaskRestoration(stamp.revision, stamp.now, stamp.by)
        return await self._repository.restore(key_of(workspace, task_id), restoration)

    async def trash(self, workspace: str, query: PageQuery) -> TrashPage:
        plan, context = plan_trash(workspace, self._clock()), f"{workspace}\ntrash"
        items, next_cursor = await self._page(workspace, plan, query, context)
        return TrashPage([trashed_task_of(item) for item in items], next_cursor)

    async def list(self, workspace: str, query: TaskQuery) -> TaskPage:
        if query.is_empty:
            return TaskPage(items=[], next_cursor=None)
        plan, context = plan_query(workspace, query), _cursor_context(workspace, query)
        items, next_cursor = await self._page(workspace, plan, query, context)
        return TaskPage([task_of(item) for item in items], next_cursor)

    async def _page(
        self, workspace: str, plan: QueryPlan, query: TaskQuery | PageQuery, context: str
    ) -> tuple[Sequence[Item], str | None]:
        """Read a page after a cursor, and return it with the cursor of the next one."""
        position = self._cursors.open(query.cursor, context)
        async with self.lists.admit(workspace):
            items, next_position = await self._repository.page(plan, query.limit, position)
        return items, self._cursors.seal(next_position, context)

    async def names_in_use(self, workspace: str, field: NameField) -> NamesInUse:
        async with self.lists.admit(workspace):
            return await self._repository.names_in_use(workspace, field)

    def count_created(self, task: Task) -> Task:
        self._metrics.tasks_created.labels(task.status).inc()
        return task

    def count_moved(self, previous: Status, task: Task) -> None:
        """Count a move of a task that has just been made, if it was one."""
        if task.status is previous:
            return
        self._metrics.tasks_moved.labels(previous, task.status).inc()
        if task.status in self._durations:
            seconds = seconds_between(task.created_at, task.updated_at)
            self._durations[task.status].observe(seconds)

    def checked(self, replay: Replay, claimed: Claim) -> Replay:
        """Count a replay, and return it if it is of the same request."""
        if replay.fingerprint != claimed.fingerprint:
            raise IdempotencyKeyReused
        self._metrics.replays.inc()
        return replay

    def _stamp(self, by: Actor | Stamp) -> Stamp:
        """Return a new stamp, unless the write is one of a bulk, which has made it."""
        return by if isinstance(by, Stamp) else Stamp.new(self._clock(), by)

    def _counted(self, updated: UpdatedTask) -> Task:
        task, previous = updated
        if previous is not None:
            self.count_moved(previous, task)
        return task


def _cursor_context(workspace: str, query: TaskQuery) -> str:
    """Identify the list that a cursor belongs to: its workspace, filters and sort."""
    return f"{workspace}\n{query.model_dump_json(exclude={'view', 'limit', 'cursor'})}"
