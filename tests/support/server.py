"""The app under a real uvicorn, in a thread of the test's process so that coverage sees it."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from api.server import configuration

START_SECONDS = 10
TICK_SECONDS = 0.005


class PromptServer(uvicorn.Server):
    """uvicorn's server, which looks more often whether it is to stop: tests start hundreds."""

    async def main_loop(self) -> None:
        while not await self.on_tick(counter=0):  # noqa: ASYNC110 - uvicorn's way
            await asyncio.sleep(TICK_SECONDS)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an app as it is served, on a free port, and give its address."""
    with running(configuration(app, port=0)) as url:
        yield url


@contextmanager
def running(config: uvicorn.Config) -> Iterator[str]:
    """Run uvicorn, and give its address."""
    server = PromptServer(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{_port(server)}"
    finally:
        server.should_exit = True
        thread.join()


def _port(server: uvicorn.Server) -> int:
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        assert time.monotonic() < deadline, "uvicorn did not start"
        time.sleep(0.005)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port
