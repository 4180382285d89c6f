"""A client that keeps to its schedule whatever the answers: load as a crowd of users makes it.

Run as a program it prints one JSON object: a request's time counts from when it was due.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httptools
import uvloop

from api.overload import LIMITS
from api.server import allow_descriptors

TICK_SECONDS = 0.002
PATIENCE_SECONDS = 5


class Caller(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, crowd: "Crowd") -> None:
        self._crowd = crowd
        self._due = 0.0
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self._crowd.idle.append(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def ask(self, due: float) -> None:
        self._due = due
        self.transport.write(self._crowd.request)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        self._crowd.answered(self, status, time.perf_counter() - self._due)


class Crowd:
    """All connections, what they are to send, and what they were told; times in seconds."""

    def __init__(self, path: str) -> None:
        self.request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self.idle: list[Caller] = []
        self._repeats = False
        self._seconds: dict[int, list[float]] = {}

    async def connect(self, port: int, connections: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            await loop.create_connection(lambda: Caller(self), "127.0.0.1", port)

    def answered(self, caller: Caller, status: int, seconds: float) -> None:
        self._seconds.setdefault(status, []).append(seconds)
        if self._repeats:
            caller.ask(time.perf_counter())
        else:
            self.idle.append(caller)

    async def saturate(self, seconds: float) -> dict[str, Any]:
        """Let each connection ask again as soon as it is answered."""
        self._repeats = True
        while self.idle:
            self.idle.pop().ask(time.perf_counter())
        await asyncio.sleep(seconds)
        return self._report(sum(map(len, self._seconds.values())), unsent=0)

    async def keep_to(self, rate: float, seconds: float) -> dict[str, Any]:
        """Send so many requests a second; one that finds no free connection stays unsent."""
        sent = unsent = 0
        for due in self._schedule(rate, seconds):
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(max(wait, TICK_SECONDS))
            if self.idle:
                self.idle.pop().ask(due)
                sent += 1
            else:
                unsent += 1
                await asyncio.sleep(0)
        await self._until_answered(sent)
        return self._report(sent, unsent)

    async def _until_answered(self, sent: int) -> None:
        for _ in range(int(PATIENCE_SECONDS / TICK_SECONDS)):
            if sum(map(len, self._seconds.values())) == sent:
                break
            await asyncio.sleep(TICK_SECONDS)

    def _schedule(self, rate: float, seconds: float) -> Iterator[float]:
        began = time.perf_counter()
        return (began + number / rate for number in range(int(rate * seconds)))

    def _report(self, sent: int, unsent: int) -> dict[str, Any]:
        statuses = Counter({status: len(times) for status, times in self._seconds.items()})
        return {
            "sent": sent,
            "unsent": unsent,
            "statuses": statuses,
            "p99": {status: quantile(times, 0.99) for status, times in self._seconds.items()},
        }


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


async def main(port: int, path: str, rate: float, seconds: float, connections: int) -> None:
    crowd = Crowd(path)
    await crowd.connect(port, connections)
    report = await (crowd.keep_to(rate, seconds) if rate else crowd.saturate(seconds))
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("--rate", type=float, default=0, help="requests a second; 0: all it takes")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, required=True)
    allow_descriptors(LIMITS)
    uvloop.run(main(**vars(parser.parse_args())))
