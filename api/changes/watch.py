"""One look at a workspace's feed a second, however many requests wait for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from api.changes.feed import Page
from api.changes.tokens import Token
from api.clock import Clock
from api.errors import StoreUnavailable

POLL_SECONDS = 1.0

Read = Callable[[str, Token], Awaitable[Page]]


class Watched:
    """A workspace that requests wait for."""

    def __init__(self) -> None:
        self.waiting = 0
        self.event = asyncio.Event()
        self.polling: asyncio.Task[None] | None = None

    def notify(self) -> None:
        """Wake all that wait; who waits from now on waits for the next time."""
        self.event.set()
        self.event = asyncio.Event()


class Watch:
    """Polls the feed of each workspace that a request waits for."""

    def __init__(self, read: Read, clock: Clock, poll_seconds: float = POLL_SECONDS) -> None:
        self._read = read
        self._clock = clock
        self._poll_seconds = poll_seconds
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
            yield watched
        finally:
            watched.waiting -= 1
            if not watched.waiting:
                del self._workspaces[workspace]
                watched.polling.cancel()

    async def _poll(self, workspace: str, watched: Watched) -> None:
        """Notify of each change; what a failed look misses is seen by the next one."""
        token = Token.at_horizon(self._clock())
        while True:
            await asyncio.sleep(self._poll_seconds)
            with suppress(StoreUnavailable):
                page = await self._read(workspace, token)
                token = page.token
                if page.items or page.is_held:
                    watched.notify()
