"""A copy of a workspace's tasks and comments that is kept by the feed, as clients keep one."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from api.changes.models import Changes, ChangesQuery
from api.changes.service import ChangesService
from api.comments.models import Comment
from api.tasks.list_models import StateFilter, TaskQuery
from api.tasks.models import Task
from api.tasks.service import TaskService

MAX_LIMIT = 100

T = TypeVar("T")


class Known(Generic[T]):
    """Things by id, as they were in the highest version of each; None if it was deleted."""

    def __init__(self) -> None:
        self.states: dict[str, tuple[int, T | None]] = {}
        # How often the same version was delivered again.
        self.repeats = 0

    def put(self, thing_id: str, version: int, state: T | None) -> None:
        known = self.states.get(thing_id, (0, None))[0]
        self.repeats += version == known
        if version > known:
            self.states[thing_id] = version, state

    @property
    def present(self) -> dict[str, T]:
        states = self.states.items()
        return {thing_id: state for thing_id, (_, state) in states if state is not None}


class Mirror:
    """The tasks of a workspace and their comments, by what was delivered so far."""

    def __init__(self) -> None:
        self.token: str | None = None
        self._tasks: Known[Task] = Known()
        self._comments: Known[Comment] = Known()

    @property
    def tasks(self) -> dict[str, Task]:
        return self._tasks.present

    @property
    def comments(self) -> dict[str, Comment]:
        """The comments of tasks that are there."""
        comments, tasks = self._comments.present, self.tasks
        return {key: comment for key, comment in comments.items() if comment.task_id in tasks}

    @property
    def ids(self) -> set[str]:
        """The tasks that it knows, deleted ones included."""
        return set(self._tasks.states)

    @property
    def repeats(self) -> int:
        return self._tasks.repeats + self._comments.repeats

    def apply(self, changes: Changes) -> None:
        for task in changes.tasks:
            self.put(task)
        for deletion in changes.deletions:
            self._tasks.put(deletion.id, deletion.version, None)
        for comment in changes.comments:
            self._comments.put(comment.id, comment.version, comment)
        for gone in changes.comment_deletions:
            self._comments.put(gone.id, gone.version, None)
        self.token = changes.token

    def put(self, task: Task) -> None:
        self._tasks.put(task.id, task.version, task)


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
