"""Readiness: the store is checked at most once a second, for all requests together."""

import asyncio

import pytest

from api.errors import StoreUnavailable
from api.http.readiness import FRESH_SECONDS, Readiness
from tests.support.secured_app import Timer


class Store:
    """A store that can be reached or not, and counts the pings."""

    def __init__(self) -> None:
        self.pings = 0
        self.reachable = True

    async def ping(self) -> None:
        self.pings += 1
        await asyncio.sleep(0)
        if not self.reachable:
            raise StoreUnavailable("gone")


@pytest.mark.anyio
async def test_all_checks_within_a_second_share_one_ping_and_its_result() -> None:
    store, timer = Store(), Timer()
    readiness = Readiness(store.ping, timer)
    await asyncio.gather(*(readiness.check() for _ in range(50)))
    assert store.pings == 1
    timer.seconds += FRESH_SECONDS
    store.reachable = False
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="gone"):
            await readiness.check()
    assert store.pings == 2
    store.reachable = True
    timer.seconds += FRESH_SECONDS
    await readiness.check()
    assert store.pings == 3
