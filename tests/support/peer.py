"""A server on a socket that does exactly what a test tells it to, byte by byte."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """What a scripted server has seen."""

    def __init__(self) -> None:
        self.connections = 0
        self.ended = asyncio.Event()
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.url = ""

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """Read one whole request.

        Raises:
            asyncio.IncompleteReadError: the client closed instead.
        """
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        self.asked.set()
        return request


@asynccontextmanager
async def scripted(
    answer: Callable[[Peer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Peer]:
    """Serve connections by a script; it ends when the script or the client does."""
    peer = Peer()
    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        peer.connections += 1
        try:
            await answer(peer, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            peer.ended.set()
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    peer.url = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        server.close()
        for task in tasks:
            if task:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)
