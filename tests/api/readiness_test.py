"""Readiness: one look at the store a second, shared by all who ask."""

import asyncio

import pytest

from api.errors import StoreUnavailable
from api.readiness import FRESH_SECONDS, Readiness
from tests.support.doors import Timer


class Store:
    """A store that is there or not, and how often it was looked at."""

    def __init__(self) -> None:
        self.looks = 0
        self.is_there = True

    async def look(self) -> None:
        self.looks += 1
        await asyncio.sleep(0)
        if not self.is_there:
            raise StoreUnavailable("gone")


@pytest.mark.anyio
async def test_a_crowd_that_asks_is_one_look() -> None:
    """At once and within its second; then it is looked at again."""
    store, timer = Store(), Timer()
    readiness = Readiness(store.look, timer)
    await asyncio.gather(*(readiness.check() for _ in range(50)))
    assert store.looks == 1
    timer.seconds += FRESH_SECONDS
    await readiness.check()
    assert store.looks == 2


@pytest.mark.anyio
async def test_what_was_seen_is_told_to_all() -> None:
    """A store that is gone is gone for a second, and back after it."""
    store, timer = Store(), Timer()
    readiness = Readiness(store.look, timer)
    store.is_there = False
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="gone"):
            await readiness.check()
    assert store.looks == 1
    store.is_there = True
    timer.seconds += FRESH_SECONDS
    await readiness.check()
