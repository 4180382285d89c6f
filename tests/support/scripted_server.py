"""A TCP or TLS server whose response bytes are written by the test."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Peer:
    """The server's address, and what it has received."""

    def __init__(self) -> None:
        self.connections = 0
        self.ended = asyncio.Event()
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.url = ""

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """Read one whole request.

        Raises:
            asyncio.IncompleteReadError: the client closed the connection first.
        """
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        self.asked.set()
        return request


Script = Callable[[Peer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """Run the script for each connection; it ends when the script or the client ends it."""
    peer = Peer()
    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        peer.connections += 1
        try:
            await script(peer, reader, writer)
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
