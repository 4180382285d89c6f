"""One look at a workspace's feed a second, which serves all requests that wait for it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from api.changes.feed import Page
from api.changes.models import Changes
from api.changes.recent import Recent
from api.changes.tokens import Token
from api.clock import Clock
from api.errors import StoreUnavailable

POLL_SECONDS = 1.0

logger = logging.getLogger(__name__)

Read = Callable[[str, Token], Awaitable[Page]]
Pending = dict[tuple[object, ...], asyncio.Task[Changes]]


class Watched:
    """A workspace that requests wait for."""

    def __init__(self) -> None:
        self.waiting = 0
        self.event = asyncio.Event()
        self.polling: asyncio.Task[None] | None = None
        # Whether there was a first look, and what the last one has shown; None if it failed.
        self.was_looked_at = asyncio.Event()
        self.recent: Recent | None = None
        # An unexpected failure is logged once until a look succeeds.
        self.is_failure_logged = False
        # What is being read, by what was asked.
        self.pending: Pending = {}

    def notify(self) -> None:
        """Wake all that wait; who waits from now on waits for the next time."""
        self.event.set()
        self.event = asyncio.Event()


class Watch:
    """Polls the feed of each workspace that a request waits for."""

    def __init__(self, read: Read, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._workspaces: dict[str, Watched] = {}
        self.is_closed = False

    def close(self) -> None:
        """End all waits, now and from now on: the server stops."""
        self.is_closed = True
        for watched in self._workspaces.values():
            watched.notify()

    @asynccontextmanager
    async def watching(self, workspace: str) -> AsyncIterator[Watched]:
        """Poll a workspace's feed until the last request that waits for it has ended."""
        watched = self._workspaces.setdefault(workspace, Watched())
        watched.waiting += 1
        if watched.polling is None:
            watched.polling = asyncio.create_task(self._poll(workspace, watched))
        try:
            await watched.was_looked_at.wait()
            yield watched
        finally:
            watched.waiting -= 1
            if not watched.waiting:
                del self._workspaces[workspace]
                watched.polling.cancel()

    async def _poll(self, workspace: str, watched: Watched) -> None:
        while True:
            try:
                await self._look(workspace, watched)
            finally:
                watched.was_looked_at.set()
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self, workspace: str, watched: Watched) -> None:
        """Read what is new and notify of it; what a failed look misses is seen by the next one."""
        recent = watched.recent or Recent(self._clock())
        has_more, is_news = True, False
        try:
            while has_more:
                now = self._clock()
                page = await self._read(workspace, recent.token)
                recent.add(page, now)
                has_more, is_news = page.has_more, is_news or bool(page.items)
        except StoreUnavailable:
            watched.recent = None
        except Exception:
            if not watched.is_failure_logged:
                logger.exception("changes not read")
            watched.recent, watched.is_failure_logged = None, True
        else:
            watched.recent, watched.is_failure_logged = recent, False
            if is_news:
                watched.notify()
