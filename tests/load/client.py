"""An open-loop HTTP client: it sends requests at a fixed rate, however slow the responses are.

Run as a program it prints one JSON object. A request's latency counts from its scheduled time.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from typing import Any

import httptools
import uvloop

from api.limits import LIMITS
from api.serving.server import raise_descriptor_limit

TICK_SECONDS = 0.002
MAX_WAIT_SECONDS = 5


class Connection(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    def __init__(self, clients: "Clients") -> None:
        self._clients = clients
        self._due = 0.0
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self._clients.idle.append(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def send(self, due: float) -> None:
        self._due = due
        self.transport.write(self._clients.request)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        self._clients.received(self, status, time.perf_counter() - self._due)


class Clients:
    """All connections, and the latencies in seconds by response status."""

    def __init__(self, path: str) -> None:
        self.request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self.idle: list[Connection] = []
        self._closed_loop = False
        self._latencies: dict[int, list[float]] = {}

    async def connect(self, port: int, connections: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)

    def received(self, connection: Connection, status: int, seconds: float) -> None:
        self._latencies.setdefault(status, []).append(seconds)
        if self._closed_loop:
            connection.send(time.perf_counter())
        else:
            self.idle.append(connection)

    async def saturate(self, seconds: float) -> dict[str, Any]:
        """Send the next request on each connection as soon as its response has arrived."""
        self._closed_loop = True
        while self.idle:
            self.idle.pop().send(time.perf_counter())
        await asyncio.sleep(seconds)
        return self._report(self._responses(), unsent=0)

    async def send_at(self, rate: float, seconds: float) -> dict[str, Any]:
        """Send `rate` requests a second; a request without an idle connection stays unsent."""
        unsent, began, total = 0, time.perf_counter(), int(rate * seconds)
        for number in range(total):
            due = began + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(max(wait, TICK_SECONDS))
            if self.idle:
                self.idle.pop().send(due)
            else:
                unsent += 1
                await asyncio.sleep(0)
        for _ in range(int(MAX_WAIT_SECONDS / TICK_SECONDS)):
            if self._responses() == total - unsent:
                break
            await asyncio.sleep(TICK_SECONDS)
        return self._report(total - unsent, unsent)

    def _responses(self) -> int:
        return sum(map(len, self._latencies.values()))

    def _report(self, sent: int, unsent: int) -> dict[str, Any]:
        return {
            "sent": sent,
            "unsent": unsent,
            "statuses": Counter({status: len(all_) for status, all_ in self._latencies.items()}),
            "p99": {status: quantile(all_, 0.99) for status, all_ in self._latencies.items()},
        }


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


async def main(port: int, path: str, rate: float, seconds: float, connections: int) -> None:
    clients = Clients(path)
    await clients.connect(port, connections)
    report = await (clients.send_at(rate, seconds) if rate else clients.saturate(seconds))
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("--rate", type=float, default=0, help="requests a second; 0: closed loop")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, required=True)
    raise_descriptor_limit(LIMITS)
    uvloop.run(main(**vars(parser.parse_args())))
