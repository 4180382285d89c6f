"""The feed of changes: what a client gets after its token."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from api.changes.feed import Page, page_after, plan_changes
from api.changes.models import Changes, ChangesQuery, CommentDeletion, Deletion
from api.changes.recent import Recent
from api.changes.tokens import Token, Tokens, horizon
from api.changes.watch import Watch, Watched
from api.clock import Clock
from api.comments.models import comment_of, is_deleted_comment
from api.dynamodb.item_json import Item
from api.errors import StoreUnavailable
from api.tasks.comments import comment_ids, is_comment
from api.tasks.fair_semaphore import FairSemaphore
from api.tasks.repository import TaskRepository
from api.tasks.revisions import is_tombstone
from api.tasks.table import TASK_PREFIX, actor_of, task_of, time_of_update
from api.values import MAX_PAGE_LIMIT

EVERYTHING = ChangesQuery(limit=MAX_PAGE_LIMIT)
# Shorter than proxies keep a silent connection.
HEARTBEAT_SECONDS = 15


class ChangesService:
    """What changed in a workspace, each change at least once."""

    def __init__(
        self, repository: TaskRepository, lists: FairSemaphore, tokens: Tokens, clock: Clock
    ) -> None:
        self._repository = repository
        # A page of changes takes the memory of a list.
        self._lists = lists
        self._tokens = tokens
        self._clock = clock
        self.watch = Watch(self._read_all, clock)

    async def wait(self, workspace: str, query: ChangesQuery) -> Changes:
        """Return what changed as soon as something has, or nothing when the time is over."""
        async with self.watch.watching(workspace) as watched:
            time = asyncio.get_running_loop().time
            end, is_over = time() + query.wait, False
            while True:
                # Before the read, so that nothing can happen unnoticed in between.
                happened = watched.event
                changes = await self._latest(workspace, query, watched)
                if changes.is_news or is_over or self.watch.is_closed:
                    return changes
                query = query.after(changes.token)
                # Of many changes that do not pass the filters, each read passes over some.
                is_over = time() >= end if changes.has_more else await _is_over(happened, end)

    async def follow(
        self, workspace: str, query: ChangesQuery, changes: Changes, seconds: float
    ) -> AsyncGenerator[Changes, None]:
        """Yield changes that were read, and what changes then.

        From time to time that is nothing, which keeps the connection alive.
        """
        yield changes
        time = asyncio.get_running_loop().time
        end = time() + seconds
        async with self.watch.watching(workspace) as watched:
            while time() < end and not self.watch.is_closed:
                happened, has_more = watched.event, False
                with suppress(StoreUnavailable):
                    changes = await self._latest(workspace, query.after(changes.token), watched)
                    has_more = changes.has_more
                    yield changes
                if not has_more:
                    await _is_over(happened, min(end, time() + HEARTBEAT_SECONDS))

    async def read(self, workspace: str, query: ChangesQuery) -> Changes:
        """Return what changed since the query's token; without one, a token of now.

        Raises:
            FeedExpired: the token is too old, or not one of this feed.
        """
        context = _context(workspace, query)
        if query.token is None:
            fresh = Token.at_horizon(self._clock())
            return Changes([], [], [], [], self._tokens.seal(fresh, context), has_more=False)
        token = self._tokens.open(query.token, context)
        page = await self._page(workspace, query, token)
        return self._changes(page, context)

    async def _latest(self, workspace: str, query: ChangesQuery, watched: Watched) -> Changes:
        """Return what changed as of the last look, once for all who ask the same meanwhile.

        Most do: a look wakes all of them, and after it their tokens are equal.
        """
        # The event, because what was asked before the last news need not have it.
        asked = watched.event, query.filters, query.limit, query.token
        if (pending := watched.pending.get(asked)) is None:
            pending = asyncio.create_task(self._as_of_look(workspace, query, watched.recent))
            watched.pending[asked] = pending
            pending.add_done_callback(lambda done: _forget(watched, asked, done))
        return await asyncio.shield(pending)

    async def _as_of_look(
        self, workspace: str, query: ChangesQuery, recent: Recent | None
    ) -> Changes:
        """Return what changed from memory, or read it if the last look does not reach back."""
        context = _context(workspace, query)
        token = self._tokens.open(query.token or "", context)
        if recent is not None and recent.covers(token):
            page = recent.page(workspace, query, token)
        else:
            # As far as from memory, so that all who read get equal tokens.
            complete = recent.token.position if recent else None
            page = await self._page(workspace, query, token, complete)
        return self._changes(page, context)

    async def _read_all(self, workspace: str, token: Token) -> Page:
        return await self._page(workspace, EVERYTHING, token)

    async def _page(
        self, workspace: str, query: ChangesQuery, token: Token, complete: str | None = None
    ) -> Page:
        plan = plan_changes(workspace, query, token)
        async with self._lists.admit(workspace):
            complete = complete or horizon(self._clock())
            items, position = await self._repository.page(plan, query.limit, token.position)
        return page_after(token, items, position, complete)

    def _changes(self, page: Page, context: str) -> Changes:
        comments = [item for item in page.items if is_comment(item)]
        tasks = [item for item in page.items if not is_comment(item)]
        return Changes(
            tasks=[task_of(item) for item in tasks if not is_tombstone(item)],
            deletions=[_deletion_of(item) for item in tasks if is_tombstone(item)],
            comments=[comment_of(item) for item in comments if not is_deleted_comment(item)],
            comment_deletions=[
                _comment_deletion_of(item) for item in comments if is_deleted_comment(item)
            ],
            token=self._tokens.seal(page.token, context),
            has_more=page.has_more,
        )


def _forget(watched: Watched, asked: tuple[object, ...], done: asyncio.Task[Changes]) -> None:
    del watched.pending[asked]
    # All clients that wanted it may have left: its failure is then no one's, and not logged.
    if not done.cancelled():
        done.exception()


async def _is_over(happened: asyncio.Event, end: float) -> bool:
    """Wait until something happens; return whether the time was over before."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(end):
            await happened.wait()
    return not happened.is_set()


def _deletion_of(item: Item) -> Deletion:
    return Deletion(
        id=item["sk"]["S"].removeprefix(TASK_PREFIX),
        version=int(item["version"]["N"]),
        deleted_at=time_of_update(item),
        deleted_by=actor_of(item, "deleted_by"),
    )


def _comment_deletion_of(item: Item) -> CommentDeletion:
    task_id, comment_id = comment_ids(item)
    return CommentDeletion(
        id=comment_id,
        task_id=task_id,
        version=int(item["version"]["N"]),
        deleted_at=time_of_update(item),
        deleted_by=actor_of(item, "deleted_by"),
    )


def _context(workspace: str, query: ChangesQuery) -> str:
    """Identify the feed that a token belongs to: its workspace and filters."""
    return f"{workspace}\nchanges\n{query.filters}"
