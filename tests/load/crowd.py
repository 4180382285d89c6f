"""Clients that take a place and give nothing for it: they are silent, or send a byte a second.

Run as a program it keeps their numbers up, whoever cuts them off, until it is killed or its time is
up. It prints a line when all have been there once.
"""

import asyncio
import sys

import uvloop

from api.overload import LIMITS
from api.server import allow_descriptors

HEAD = b"GET /v1/tasks HTTP/1.1\r\nHost: localhost\r\nX-Patience: " + b"a" * 1000
OPENING_SECONDS = 2
# Whoever started it may be gone without a word.
MOST_SECONDS = 120


class Crowd:
    """So many of each, on one port."""

    def __init__(self, port: int, silent: int, trickling: int) -> None:
        self._port = port
        self._silent = silent
        self._all = silent + trickling
        self._there = 0
        self.complete = asyncio.Event()

    async def stay(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._all):
                group.create_task(self._come_again(number))

    async def _come_again(self, number: int) -> None:
        await asyncio.sleep(number / self._all * OPENING_SECONDS)
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._there += 1
            if self._there == self._all:
                self.complete.set()
            trickle = asyncio.create_task(self._trickle(writer, number))
            await _until_cut(reader)
            trickle.cancel()
            writer.close()

    async def _trickle(self, writer: asyncio.StreamWriter, number: int) -> None:
        for byte in HEAD if number >= self._silent else b"":
            writer.write(bytes([byte]))
            await asyncio.sleep(1)


async def _until_cut(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(4096):
            pass
    except ConnectionError:
        pass


async def main(port: int, silent: int, trickling: int) -> None:
    crowd = Crowd(port, silent, trickling)
    staying = asyncio.create_task(crowd.stay())
    await asyncio.wait(
        {staying, asyncio.create_task(crowd.complete.wait())}, return_when="FIRST_COMPLETED"
    )
    print("there", flush=True)
    await asyncio.wait({staying}, timeout=MOST_SECONDS)
    staying.cancel()


if __name__ == "__main__":
    allow_descriptors(LIMITS)
    uvloop.run(main(*map(int, sys.argv[1:])))
