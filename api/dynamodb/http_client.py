"""A small HTTP/1.1 client for one origin, with a bounded pool of persistent connections.

It exists because a general client costs more than the rest of a call (docs/performance.md). A
connection carries one request at a time, and is closed unless the whole response arrived.
"""

import asyncio
import ssl
import time
from collections import deque
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httptools

# DynamoDB keeps idle connections longer; a NAT gateway or proxy on the way may not.
IDLE_SECONDS = 30
# After this, the loop gets a turn before a connection is reused: a process that was frozen, as on
# Lambda, has not yet noticed that the server closed it.
QUIET_SECONDS = 1


class Response(NamedTuple):
    """A whole response; header names are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class ConnectError(OSError):
    """No connection could be made: nothing was sent."""


class BrokenError(OSError):
    """No whole response arrived: the request may have taken effect."""


class Client:
    """Sends requests to one origin, each on a connection of its own while it lasts."""

    def __init__(
        self, url: str, *, connections: int, connect_seconds: float, tls: ssl.SSLContext | None
    ) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self._hostname = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = tls if parts.scheme == "https" else None
        self._connect_seconds = connect_seconds
        self._free_slots = connections
        self._idle: list[_Connection] = []
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def send(self, request: bytes, seconds: float) -> Response:
        """Send a whole request and return the whole response.

        Raises:
            ConnectError: nothing was sent.
            BrokenError: the connection ended before the response did.
            TimeoutError: the response took longer than the given seconds.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        await self._acquire_slot(seconds)
        try:
            connection = await self._reusable() or await self._connect(ends - loop.time())
            try:
                return await connection.send(request, ends - loop.time())
            finally:
                self._keep(connection)
        finally:
            self._release_slot()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def _acquire_slot(self, seconds: float) -> None:
        if self._free_slots > 0:
            self._free_slots -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as error:
            # Cancelled in the same moment as it got the slot: pass the slot on.
            if turn.done() and not turn.cancelled():
                self._release_slot()
            if isinstance(error, TimeoutError):
                raise ConnectError("every connection was in use") from error
            raise

    def _release_slot(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free_slots += 1

    async def _reusable(self) -> "_Connection | None":
        # Wall-clock time, because the loop's clock stands still in a frozen process.
        now = time.time()
        if self._idle and now - self._idle[-1].used_at > QUIET_SECONDS:
            await asyncio.sleep(0)
        # The most recently used first, so that surplus connections age and are closed.
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.used_at > now - IDLE_SECONDS:
                return connection
            connection.close()
        return None

    async def _connect(self, seconds: float) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(min(seconds, self._connect_seconds)):
                _, connection = await loop.create_connection(
                    _Connection, self._hostname, self._port, ssl=self._tls
                )
        except OSError as error:
            raise ConnectError(*error.args) from error
        return connection

    def _keep(self, connection: "_Connection") -> None:
        if connection.usable:
            connection.used_at = time.time()
            self._idle.append(connection)
        else:
            connection.close()


class _Connection(asyncio.Protocol):
    """One connection and the request that is under way on it, if any."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._response: asyncio.Future[Response] | None = None
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._open = False
        self.used_at = 0.0

    @property
    def usable(self) -> bool:
        """Whether another request may be sent: open, and no response is outstanding."""
        return self._open and self._response is None

    async def send(self, request: bytes, seconds: float) -> Response:
        loop = asyncio.get_running_loop()
        self._response = loop.create_future()
        self._headers, self._body = {}, []
        self._transport.write(request)
        timer = loop.call_later(seconds, self._fail, TimeoutError())
        try:
            return await self._response
        finally:
            timer.cancel()

    def close(self) -> None:
        self._open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._open = True

    def data_received(self, data: bytes) -> None:
        if self._response is None:
            # A response without a request: it cannot be attributed.
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(BrokenError(f"not HTTP: {error}"))

    def eof_received(self) -> None:
        # The loop closes the connection only in its next turn.
        self._open = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(BrokenError(f"closed before the whole response: {exc}"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._response is None:
            self.close()
            return
        status = self._parser.get_status_code()
        if status < 200:
            # An interim response: the final one follows.
            self._headers = {}
            return
        self._open = self._open and self._parser.should_keep_alive()
        response, self._response = self._response, None
        if not response.done():
            response.set_result(Response(status, self._headers, b"".join(self._body)))

    def _fail(self, error: OSError) -> None:
        self._open = False
        if self._response and not self._response.done():
            self._response.set_exception(error)
        self._transport.abort()
