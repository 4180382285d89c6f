"""Prints the CPU time that the defences add to a normal request.

Part of `make bench`. The connection's defences are measured as the difference between this app's
protocol and uvicorn's own, both with the same app and without sockets.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from api.http.in_flight import InFlight
from api.keys.rate_limits import TokenBuckets
from api.limits import Limits
from api.logs import RequestLog
from api.metrics import Metrics
from api.serving.connection import Connection
from api.serving.load import Load
from api.tasks.fair_semaphore import FairSemaphore
from tests.support import builders

REQUESTS = 4000
ROUNDS = 15
REQUEST = b"GET /v1/tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n"
HOLDERS = ("key", "192.0.2.1")

Protocol = Callable[[uvicorn.Config], HttpToolsProtocol]


class Transport(asyncio.Transport):
    """Discards what is written."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 80)}.get(name, default)

    def write(self, data: Any) -> None:
        del data

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """Do nothing: there is no socket."""


class App:
    """Responds at once, and tells when it has."""

    def __init__(self) -> None:
        self.responded = asyncio.Event()

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
        self.responded.set()


def defended(config: uvicorn.Config) -> HttpToolsProtocol:
    limits = Limits()
    load = Load(Metrics("bench"), limits, InFlight(limits.in_flight, limits.in_flight_each), 0)
    log = RequestLog(builders.settings("http://127.0.0.1:9"))
    return Connection(
        load, log, frozenset(), config=config, server_state=ServerState(), app_state={}
    )


def undefended(config: uvicorn.Config) -> HttpToolsProtocol:
    return HttpToolsProtocol(config, ServerState(), {})


async def seconds_per_request(make: Protocol) -> float:
    app = App()
    config = uvicorn.Config(app, log_config=None, access_log=False, proxy_headers=False)
    config.load()
    protocol = make(config)
    protocol.connection_made(Transport())
    started = time.process_time()
    for _ in range(REQUESTS):
        app.responded.clear()
        protocol.data_received(REQUEST)
        await app.responded.wait()
    seconds = time.process_time() - started
    protocol.connection_lost(None)
    return seconds / REQUESTS


def connection_microseconds() -> float:
    """Return the difference of the fastest rounds, which alternate."""
    times: dict[Protocol, list[float]] = {defended: [], undefended: []}
    for _ in range(ROUNDS):
        for make, seconds in times.items():
            seconds.append(asyncio.run(seconds_per_request(make)))
    return (min(times[defended]) - min(times[undefended])) * 1e6


def call_microseconds(call: Callable[[], object]) -> float:
    fastest = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(REQUESTS):
            call()
        fastest = min(fastest, time.process_time() - started)
    return fastest / REQUESTS * 1e6


async def lists_microseconds() -> float:
    semaphore, fastest = FairSemaphore(16), float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(REQUESTS):
            async with semaphore.admit("workspace"):
                pass
        fastest = min(fastest, time.process_time() - started)
    return fastest / REQUESTS * 1e6


def main() -> None:
    places = InFlight(256, 64)
    buckets = TokenBuckets(1e6, 10**6, time.monotonic)

    def take_place() -> None:
        places.enter(HOLDERS)
        places.leave(HOLDERS)

    costs = {
        "all limits of the connection": connection_microseconds(),
        "a place in flight for a key and a client": call_microseconds(take_place),
        "the rate limit of a workspace": call_microseconds(lambda: buckets.take("workspace")),
        "a place among the lists": asyncio.run(lists_microseconds()),
    }
    for name, cost in costs.items():
        sys.stdout.write(f"{name}: {cost:.1f} us per request\n")


if __name__ == "__main__":
    main()
