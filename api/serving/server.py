"""uvicorn's configuration: its HTTP protocol with limits, and nothing it does not need."""

import asyncio
import resource
import socket
import ssl
from contextlib import suppress
from typing import Any

import uvicorn
from fastapi import FastAPI

from api.limits import Limits
from api.serving.connection import Connection
from api.serving.load import Load
from api.serving.tls import TlsConnection

# For the store, the log, and what the runtime opens.
OTHER_DESCRIPTORS = 256
# libuv accepts one connection for each listening socket and turn of the event loop. Beside busy
# connections, whose requests make turns long, a newcomer would wait one for each in the queue.
ACCEPTED_PER_TURN = 16


def uvicorn_config(
    app: FastAPI, tls: ssl.SSLContext | None = None, **options: Any
) -> uvicorn.Config:
    """Configure uvicorn; proxy headers are off, because the app reads them itself."""
    state = app.state
    hops = state.settings.trusted_hops
    end_waits = state.changes.watch.close
    load = Load(state.metrics, state.limits, state.in_flight, hops, end_waits)

    def connection(**options: Any) -> asyncio.Protocol | TlsConnection:
        plain = Connection(load, state.log, state.origins, **options)
        return TlsConnection(load, tls, plain) if tls else plain

    return uvicorn.Config(
        app,
        # uvicorn calls this as it would call a protocol class.
        http=connection,  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        **options,
    )


def serve(config: uvicorn.Config) -> None:
    """Serve until a signal ends it."""
    server = uvicorn.Server(config)
    # uvicorn stops in order at Ctrl-C, and raises this afterwards. It captures signals itself, but
    # only after the port is open.
    with suppress(KeyboardInterrupt), server.capture_signals():
        server.run(sockets=listening_sockets(config))


def listening_sockets(config: uvicorn.Config) -> list[socket.socket]:
    """Listen on the port, and return duplicates of the socket: each accepts from its queue."""
    bound = config.bind_socket()
    # The log says by now that uvicorn is running. What connects during the start waits.
    bound.listen(config.backlog)
    return [bound, *(bound.dup() for _ in range(ACCEPTED_PER_TURN - 1))]


def raise_descriptor_limit(limits: Limits) -> None:
    """Raise the limit of open files to what the connections need, as far as the system allows."""
    needed = limits.connections + limits.reserved_connections + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
