"""The app under a real uvicorn, in a thread of the test's process so that coverage sees it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from api.server import configuration

START_SECONDS = 10


@contextmanager
def serving(app: FastAPI, **options: Any) -> Iterator[str]:
    """Serve an app on a free port, and give its address."""
    server = uvicorn.Server(configuration(app, port=0, **options))
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
