"""Whether the store can be reached, checked once a second however many ask."""

import asyncio
from collections.abc import Awaitable, Callable

from api.clock import Timer
from api.problem import Problem

FRESH_SECONDS = 1


class Readiness:
    """The result of the last check, and until when it is used."""

    def __init__(self, ping: Callable[[], Awaitable[None]], timer: Timer) -> None:
        self._ping = ping
        self._timer = timer
        self._lock = asyncio.Lock()
        self._fresh_until = -float("inf")
        self._problem: Problem | None = None

    async def check(self) -> None:
        """Return if the store responded.

        Raises:
            Problem: it did not.
        """
        async with self._lock:
            if self._timer() >= self._fresh_until:
                self._problem = await self._ping_store()
                self._fresh_until = self._timer() + FRESH_SECONDS
        if self._problem is not None:
            raise self._problem.with_traceback(None)

    async def _ping_store(self) -> Problem | None:
        try:
            await self._ping()
        except Problem as problem:
            return problem
        return None
