"""Slow clients: they occupy connections and send nothing, or one byte a second.

Run as a program it reconnects each client that is cut off, until it is killed or MAX_SECONDS have
passed. It prints a line once all clients have connected.
"""

import asyncio
import sys

import uvloop

from api.limits import LIMITS
from api.serving.server import raise_descriptor_limit

HEAD = b"GET /v1/tasks HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 1000
CONNECTING_SECONDS = 2
# The program ends by itself if its parent was killed.
MAX_SECONDS = 120


class SlowClients:
    """Silent and trickling clients of one port."""

    def __init__(self, port: int, silent: int, trickling: int) -> None:
        self._port = port
        self._silent = silent
        self._total = silent + trickling
        self._connected = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._total):
                group.create_task(self._reconnect(number))

    async def _reconnect(self, number: int) -> None:
        await asyncio.sleep(number / self._total * CONNECTING_SECONDS)
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._connected += 1
            if self._connected == self._total:
                print("connected", flush=True)
            trickle = asyncio.create_task(self._trickle(writer, number))
            await _until_cut_off(reader)
            trickle.cancel()
            writer.close()

    async def _trickle(self, writer: asyncio.StreamWriter, number: int) -> None:
        for byte in HEAD if number >= self._silent else b"":
            writer.write(bytes([byte]))
            await asyncio.sleep(1)


async def _until_cut_off(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(4096):
            pass
    except ConnectionError:
        pass


async def main(port: int, silent: int, trickling: int) -> None:
    await asyncio.wait_for(SlowClients(port, silent, trickling).run(), MAX_SECONDS)


if __name__ == "__main__":
    raise_descriptor_limit(LIMITS)
    uvloop.run(main(*map(int, sys.argv[1:])))
