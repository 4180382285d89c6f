"""The app under a real uvicorn, in a thread of the test's process so that coverage measures it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from api.serving.server import uvicorn_config
from tests.support.wait import wait_until

START_SECONDS = 10
TICK_SECONDS = 0.005


class PromptServer(uvicorn.Server):
    """uvicorn's server, which stops sooner, because tests start hundreds of them."""

    async def main_loop(self) -> None:
        while not await self.on_tick(counter=0):  # noqa: ASYNC110 - as uvicorn does
            await asyncio.sleep(TICK_SECONDS)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an app with the configuration of production on a free port; yield its URL."""
    with running(uvicorn_config(app, port=0)) as url:
        yield url


@contextmanager
def running(config: uvicorn.Config) -> Iterator[str]:
    """Run uvicorn; yield its URL."""
    server = PromptServer(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{_port(server)}"
    finally:
        server.should_exit = True
        thread.join()


def _port(server: uvicorn.Server) -> int:
    wait_until(lambda: server.started, START_SECONDS)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port
