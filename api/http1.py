"""A small HTTP/1.1 client for one origin: a bounded pool of connections, kept alive.

It exists because a general client costs more than all the rest of a call (docs/performance.md).
One request at a time goes over a connection; whatever ends otherwise than by a whole answer ends
the connection too.
"""

import asyncio
import ssl
import time
from collections import deque
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httptools

# DynamoDB keeps idle connections longer; what is between here and there may not.
IDLE_SECONDS = 30
# After this the loop is given a turn before a connection is used again: where a process is frozen
# between requests, as on Lambda, it has not heard yet that the other end has closed.
QUIET_SECONDS = 1


class Answer(NamedTuple):
    """A whole response; header names are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class ConnectError(OSError):
    """No connection could be made: nothing was sent."""


class BrokenError(OSError):
    """The connection ended before a whole answer: what was sent may have had its effect."""


class Client:
    """Sends requests to one origin, each over a connection of its own while it lasts."""

    def __init__(
        self, url: str, *, connections: int, connect_seconds: float, tls: ssl.SSLContext | None
    ) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self._hostname = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self.tls = tls if parts.scheme == "https" else None
        self._connect_seconds = connect_seconds
        self._free = connections
        self._idle: list[_Connection] = []
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def exchange(self, request: bytes, seconds: float) -> Answer:
        """Send a whole request and return its whole answer.

        Raises:
            ConnectError: nothing was sent.
            BrokenError: the connection ended first.
            TimeoutError: the answer took longer than the given seconds.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        await self._take_place(seconds)
        try:
            connection = await self._reusable() or await self._connect(ends - loop.time())
            try:
                return await connection.exchange(request, ends - loop.time())
            finally:
                self._keep(connection)
        finally:
            self._give_place()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def _take_place(self, seconds: float) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as error:
            # Cancelled in the same moment as its turn came: the place is the next one's.
            if turn.done() and not turn.cancelled():
                self._give_place()
            if isinstance(error, TimeoutError):
                raise ConnectError("every connection was in use") from error
            raise

    def _give_place(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def _reusable(self) -> "_Connection | None":
        # The loop's own clock stands still in a process that is frozen.
        now = time.time()
        if self._idle and now - self._idle[-1].used_at > QUIET_SECONDS:
            await asyncio.sleep(0)
        # The last one used first: the others grow old and are closed.
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
                    _Connection, self._hostname, self._port, ssl=self.tls
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
    """One connection and the one request that is on it, if any."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._open = False
        self.used_at = 0.0

    @property
    def usable(self) -> bool:
        """Whether another request may be sent: open, and nothing is owed on it."""
        return self._open and self._answer is None

    async def exchange(self, request: bytes, seconds: float) -> Answer:
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._headers, self._body = {}, []
        self._transport.write(request)
        timer = loop.call_later(seconds, self._break, TimeoutError())
        try:
            return await self._answer
        finally:
            timer.cancel()

    def close(self) -> None:
        self._open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._open = True

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            # An answer to nothing: whose it is nobody can tell.
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._break(BrokenError(f"not HTTP: {error}"))

    def eof_received(self) -> None:
        # Before the loop has closed it: that takes another turn.
        self._open = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(BrokenError(f"closed before a whole answer: {exc}"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._answer is None:
            self.close()
            return
        self._open = self._open and self._parser.should_keep_alive()
        answer, self._answer = self._answer, None
        if not answer.done():
            status = self._parser.get_status_code()
            answer.set_result(Answer(status, self._headers, b"".join(self._body)))

    def _break(self, error: OSError) -> None:
        self._open = False
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)
        self._transport.abort()
