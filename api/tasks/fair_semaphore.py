"""A semaphore of which one tenant gets only a part."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

# One name may have this part of it.
SHARES = 4


class FairSemaphore:
    """Admits a limited number at once, and of each name a quarter of that; others wait."""

    def __init__(self, limit: int) -> None:
        self._all = asyncio.Semaphore(limit)
        self._share = max(limit // SHARES, 1)
        # Each lives as long as it is used.
        self._by_name: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def admit(self, name: str) -> AsyncIterator[None]:
        own = self._by_name.setdefault(name, asyncio.Semaphore(self._share))
        async with own, self._all:
            yield
