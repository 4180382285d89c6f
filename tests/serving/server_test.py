"""How the server accepts connections."""

import asyncio
import socket
from contextlib import ExitStack

import uvicorn
import uvloop

from api.serving.server import listening_sockets

NEWCOMERS = 16


def test_newcomers_do_not_wait_a_turn_of_the_event_loop_for_each_other() -> None:
    """Beside many busy connections a turn takes so long that clients would give up."""
    assert uvloop.run(_turns_until_accepted()) < NEWCOMERS / 2


async def _turns_until_accepted() -> int:
    accepted: list[asyncio.Protocol] = []

    class Newcomer(asyncio.Protocol):
        def connection_made(self, _: asyncio.BaseTransport) -> None:
            accepted.append(self)

    loop = asyncio.get_running_loop()
    sockets = listening_sockets(uvicorn.Config("", port=0))
    servers = [await loop.create_server(Newcomer, sock=each) for each in sockets]
    with ExitStack() as clients:
        for _ in range(NEWCOMERS):
            clients.enter_context(socket.create_connection(sockets[0].getsockname()))
        turns = 0
        while len(accepted) < NEWCOMERS:
            await asyncio.sleep(0)
            turns += 1
    for server in servers:
        server.close()
    return turns
