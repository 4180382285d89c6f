"""Floods of one API, as a program: it prints what it sent and received as JSON.

`python -m tests.load.flood <port> <kind> <seconds> [<API key> ...]`. Clients have source addresses
of the loopback range, with 100 connections each, because one address may not have many more.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import uvloop

from api.limits import LIMITS
from api.serving.server import raise_descriptor_limit

PER_ADDRESS = 100
CONNECTIONS = 200
HEAD = "Host: localhost\r\nConnection: keep-alive\r\n"
CHUNKED = f"POST /v1/tasks HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode()
BODY_BYTES = 130_000
# Below the rate of an API key.
PACED_RATE = 45
TRAILERS = {
    "trailers of 5 bytes": b"0\r\n" + b"aa:\r\n" * 4000,
    "trailers of 9 bytes": b"0\r\n" + b"aa: bbb\r\n" * 2000,
    "trailers of 8 KB": b"0\r\n" + (b"aa: " + b"x" * 8000 + b"\r\n") * 3,
    "one endless trailer": b"0\r\naa: " + b"x" * 20_000,
}
FULL_HEADERS = (b"a" * 80 + b":" + b"b" * 78 + b"\r\n") * 99
# Numbers of connections, and what each sends: as much as it may, without an API key.
UNFINISHED = {
    "unfinished headers": (LIMITS.connections, b"GET / HTTP/1.1\r\n" + FULL_HEADERS),
    "unfinished headers of 4 bytes": (
        2500,
        b"GET / HTTP/1.1\r\n" + b"a:\r\n" * (LIMITS.head_bytes // 4 - 10),
    ),
    "unfinished trailers": (1000, CHUNKED + b"0\r\naa: " + b"x" * (LIMITS.raw_body_bytes - 10_000)),
}


def get(path: str, key: str = "") -> bytes:
    bearer = f"Authorization: Bearer {key}\r\n" if key else ""
    return f"GET {path} HTTP/1.1\r\n{HEAD}{bearer}\r\n".encode()


class Flood:
    """Connections that do the same until the time is over."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._ends = asyncio.get_running_loop().time() + seconds
        self.seen: Counter[str] = Counter()

    async def run(self, count: int, act: Callable[[int], Awaitable[None]]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._ends):
                await asyncio.gather(*(self._repeat(number, act) for number in range(count)))

    async def _repeat(self, number: int, act: Callable[[int], Awaitable[None]]) -> None:
        while asyncio.get_running_loop().time() < self._ends:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await act(number)
            self.seen["reconnected"] += 1
            await asyncio.sleep(0.05)

    async def connect(self, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        source = (f"127.0.1.{2 + number // PER_ADDRESS}", 0)
        return await asyncio.open_connection("127.0.0.1", self._port, local_addr=source)

    async def ask(self, number: int, request: bytes) -> None:
        """Send a request again as soon as its response has arrived."""
        reader, writer = await self.connect(number)
        try:
            while True:
                await self._exchange(reader, writer, request)
        finally:
            writer.close()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> None:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
        self.seen[head[9:12].decode()] += 1

    async def ask_slowly(self, number: int, request: bytes) -> None:
        """Send again and again, all connections together at no more than a constant rate."""
        reader, writer = await self.connect(number)
        try:
            await asyncio.sleep(number / PACED_RATE)
            while True:
                pause = asyncio.create_task(asyncio.sleep(CONNECTIONS / PACED_RATE))
                await self._exchange(reader, writer, request)
                await pause
        finally:
            writer.close()

    async def pour(self, number: int, start: bytes, more: bytes) -> None:
        """Send the same bytes again and again behind a request's headers."""
        _, writer = await self.connect(number)
        try:
            writer.write(CHUNKED + start)
            while True:
                writer.write(more)
                self.seen["bytes"] += len(more)
                await writer.drain()
        finally:
            writer.close()

    async def hold(self, number: int, data: bytes) -> None:
        """Send something, and then nothing until the server closes the connection."""
        reader, writer = await self.connect(number)
        try:
            writer.write(data)
            self.seen["held"] += 1
            while await reader.read(65536):
                pass
        finally:
            writer.close()


def unfinished_body(key: str) -> bytes:
    head = (
        f"POST /v1/tasks HTTP/1.1\r\n{HEAD}Content-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {BODY_BYTES + 1}\r\n\r\n"
    )
    return head.encode() + b"x" * BODY_BYTES


async def main(port: str, kind: str, seconds: str, *keys: str) -> None:
    flood = Flood(int(port), float(seconds))
    if kind in TRAILERS:
        start, _, more = TRAILERS[kind].partition(b"\r\n")
        await flood.run(4, lambda number: flood.pour(number, start + b"\r\n", more))
    elif kind == "idle connections":
        await flood.run(LIMITS.connections, lambda number: flood.hold(number, get("/livez")))
    elif kind in UNFINISHED:
        count, data = UNFINISHED[kind]
        await flood.run(count, lambda number: flood.hold(number, data))
    elif kind == "slow lists":
        request = get("/v1/tasks?label=none", keys[0])
        await flood.run(CONNECTIONS, lambda number: flood.ask_slowly(number, request))
    elif kind == "unfinished bodies":
        bodies = [unfinished_body(key) for key in keys]
        await flood.run(2500, lambda number: flood.hold(number, bodies[number % len(bodies)]))
    else:
        requests = [get(kind, key) for key in keys] or [get(kind)]
        await flood.run(
            CONNECTIONS, lambda number: flood.ask(number, requests[number % len(requests)])
        )
    print(json.dumps(flood.seen))


if __name__ == "__main__":
    raise_descriptor_limit(LIMITS)
    uvloop.run(main(*sys.argv[1:]))
