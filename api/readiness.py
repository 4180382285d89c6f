"""Whether the table can be reached, asked of it once a second however many want to know."""

import asyncio
from collections.abc import Awaitable, Callable

from api.errors import Problem
from api.keyring import Timer

FRESH_SECONDS = 1


class Readiness:
    """The last look at the store, and the time until which it is believed."""

    def __init__(self, look: Callable[[], Awaitable[None]], timer: Timer) -> None:
        self._look = look
        self._timer = timer
        self._lock = asyncio.Lock()
        self._fresh_until = -float("inf")
        self._problem: Problem | None = None

    async def check(self) -> None:
        """Do nothing if the store answered.

        Raises:
            Problem: it did not, and why.
        """
        async with self._lock:
            if self._timer() >= self._fresh_until:
                self._problem = await self._asked()
                self._fresh_until = self._timer() + FRESH_SECONDS
        if self._problem is not None:
            raise self._problem.with_traceback(None)

    async def _asked(self) -> Problem | None:
        try:
            await self._look()
        except Problem as problem:
            return problem
        return None
