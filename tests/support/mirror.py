"""A copy of a workspace's tasks that is kept by the feed, as clients keep one."""

from collections.abc import Awaitable, Callable

from api.changes.models import Changes, ChangesQuery
from api.changes.service import ChangesService
from api.tasks.list_models import StateFilter, TaskQuery
from api.tasks.models import Task
from api.tasks.service import TaskService

MAX_LIMIT = 100


class Mirror:
    """The tasks of a workspace, by what was delivered so far; of each the highest version."""

    def __init__(self) -> None:
        self.token: str | None = None
        self._known: dict[str, tuple[int, Task | None]] = {}
        # How often the same version of a task was delivered again.
        self.repeats = 0

    @property
    def tasks(self) -> dict[str, Task]:
        known = self._known.items()
        return {task_id: task for task_id, (_, task) in known if task is not None}

    @property
    def ids(self) -> set[str]:
        """The tasks that it knows, deleted ones included."""
        return set(self._known)

    def apply(self, changes: Changes) -> None:
        for task in changes.tasks:
            self.put(task)
        for deletion in changes.deletions:
            self._note(deletion.id, deletion.version, None)
        self.token = changes.token

    def put(self, task: Task) -> None:
        self._note(task.id, task.version, task)

    def _note(self, task_id: str, version: int, task: Task | None) -> None:
        known = self._known.get(task_id, (0, None))[0]
        self.repeats += version == known
        if version > known:
            self._known[task_id] = version, task


async def begin(mirror: Mirror, feed: ChangesService, tasks: TaskService, workspace: str) -> None:
    """Request a token, then list everything."""
    mirror.apply(await feed.read(workspace, ChangesQuery()))
    for task in await everything(tasks, workspace):
        mirror.put(task)


async def everything(tasks: TaskService, workspace: str) -> list[Task]:
    found, cursor = [], None
    while True:
        query = TaskQuery(state=StateFilter.ALL, limit=MAX_LIMIT, cursor=cursor)
        page = await tasks.list(workspace, query)
        found += page.items
        if (cursor := page.next_cursor) is None:
            return found


async def catch_up(
    mirror: Mirror, read: Callable[[ChangesQuery], Awaitable[Changes]], limit: int = MAX_LIMIT
) -> None:
    """Read on from the mirror's token while there is more."""
    has_more = True
    while has_more:
        changes = await read(ChangesQuery(token=mirror.token, limit=limit))
        mirror.apply(changes)
        has_more = changes.has_more
