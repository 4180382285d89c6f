"""A proxy in front of DynamoDB that spoils calls: lost, cut, late, failed or throttled ones."""

import asyncio
import json
import random
import re
import time
import zlib
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from enum import StrEnum
from typing import Any, Self
from urllib.parse import urlsplit

from anyio.from_thread import start_blocking_portal

SLOW_SECONDS = 0.05
MAX_SETTLE_SECONDS = 60
MAX_MESSAGE_BYTES = 2**25  # more than the largest request that DynamoDB accepts


class Fault(StrEnum):
    """Whether the store executes the call, and what the client receives."""

    LOST = "lost"  # executed; the connection is closed without a response
    CUT = "cut"  # executed; half of the response's body, then the connection is closed
    SILENT = "silent"  # executed; no response, and the connection stays open
    LATE = "late"  # no response; executed once the client has left, so a retry may overtake it
    ERROR_AFTER = "error_after"  # executed; an internal error
    ERROR_BEFORE = "error_before"  # not executed; an internal error
    THROTTLED = "throttled"  # not executed; throughput exceeded
    CONFLICT = "conflict"  # not executed; a conflict with another transaction on the first item
    REFUSED = "refused"  # not executed; the connection is closed
    SLOW = "slow"  # executed a little later; the response


# The fault for a call of the named operation, or None to let it pass.
Plan = Callable[[str], Fault | None]

CLOSING = frozenset({Fault.LOST, Fault.CUT, Fault.SILENT, Fault.LATE, Fault.REFUSED})
ERRORS = {
    Fault.ERROR_BEFORE: (500, "InternalServerError"),
    Fault.THROTTLED: (400, "ProvisionedThroughputExceededException"),
    Fault.CONFLICT: (400, "TransactionConflictException"),
}


class Successive:
    """A plan: the first calls of one operation meet these faults in turn."""

    def __init__(self, operation: str, faults: Sequence[Fault]) -> None:
        self._operation = operation
        self._left = deque(faults)

    def __call__(self, operation: str) -> Fault | None:
        return self._left.popleft() if self._left and operation == self._operation else None

    @property
    def hit(self) -> bool:
        """Whether every fault has met its call."""
        return not self._left


class Contention:
    """A plan: all transactions but the first few conflict with others."""

    def __init__(self, *, after: int = 0) -> None:
        self._left = after

    def __call__(self, operation: str) -> Fault | None:
        if operation != "TransactWriteItems":
            return None
        self._left -= 1
        return Fault.CONFLICT if self._left < 0 else None


def once(operation: str, fault: Fault) -> Successive:
    return Successive(operation, [fault])


def times(operation: str, faults: Sequence[Fault]) -> Successive:
    return Successive(operation, faults)


def randomly(
    seed: int, rate: float, faults: Collection[Fault], operations: Collection[str]
) -> Plan:
    """Spoil this share of the operations' calls; the same seed gives the same sequence."""
    chance = random.Random(seed)  # noqa: S311 - must be repeatable
    # The order of a set differs between processes.
    ordered = sorted(faults)

    def plan(operation: str) -> Fault | None:
        spoiled = operation in operations and chance.random() < rate
        return chance.choice(ordered) if spoiled else None

    return plan


class FaultProxy:
    """A proxy at `url` that forwards calls to the store, or applies the faults of its plan.

    Client connections are kept alive, as DynamoDB's are, even if the emulator closes its own.
    A call with the fault LATE is forwarded when its client has left. A retry uses another
    connection, so the store can execute it before the first attempt. Leaving the context ends
    all connections, forwards the late calls, and raises what a plan has raised.
    """

    def __init__(
        self, store_url: str, plan: Plan | None = None, *, slow_seconds: float = SLOW_SECONDS
    ) -> None:
        self.plan: Plan = plan or (lambda _operation: None)
        self._slow_seconds = slow_seconds
        self.seen: Counter[tuple[str, Fault | None]] = Counter()
        self.url = ""
        parts = urlsplit(store_url)
        self._store = (parts.hostname, parts.port)
        self._clients: set[StreamWriter] = set()
        self._busy: set[StreamWriter] = set()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal("asyncio"))
            stack.enter_context(self._portal.wrap_async_context_manager(self._serving()))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def settle(self) -> None:
        """Wait until every call is executed whose client has left or still waits."""
        # A request may be sent but not read yet; the event loop needs about six passes for that.
        for _ in range(20):
            self._portal.call(asyncio.sleep, 0)
        deadline = time.monotonic() + MAX_SETTLE_SECONDS
        while self._busy:
            assert time.monotonic() < deadline, "a call does not end"
            time.sleep(0.005)

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as connections:

            def accept(reader: StreamReader, writer: StreamWriter) -> None:
                if server.is_serving():
                    self._clients.add(writer)
                    connections.create_task(self._serve(reader, writer))
                else:
                    writer.transport.abort()

            server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=MAX_MESSAGE_BYTES)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            try:
                yield
            finally:
                server.close()
                for client in self._clients:
                    client.transport.abort()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            with suppress(IncompleteReadError, ConnectionError):
                while await self._handle(reader, writer):
                    pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self._clients.discard(writer)
            self._busy.discard(writer)

    async def _handle(self, reader: StreamReader, writer: StreamWriter) -> bool:
        """Handle one request; return whether the connection stays open."""
        head, body = await _read(reader)
        self._busy.add(writer)
        operation = _field(head, "x-amz-target").rpartition(".")[2]
        fault = self.plan(operation)
        self.seen[operation, fault] += 1
        response = _without_store(fault, operation, body)
        if response is None:
            response = await self._with_store(head + body, fault, reader)
        writer.write(response)
        await writer.drain()
        self._busy.discard(writer)
        return fault not in CLOSING

    async def _with_store(self, request: bytes, fault: Fault | None, client: StreamReader) -> bytes:
        if fault is Fault.SLOW:
            await asyncio.sleep(self._slow_seconds)
        if fault is Fault.LATE:
            await _client_left(client)
        head, body = await self._forward(request)
        if fault is Fault.SILENT:
            await _client_left(client)
        return _spoiled(head, body, fault)

    async def _forward(self, request: bytes) -> tuple[bytes, bytes]:
        reader, writer = await asyncio.open_connection(*self._store, limit=MAX_MESSAGE_BYTES)
        try:
            writer.write(request)
            return await _read(reader)
        finally:
            writer.transport.abort()


async def _read(reader: StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    if _field(head, "transfer-encoding") == "chunked":
        # DynamoDB Local's long responses. Its JSON contains no line ends.
        return head, await reader.readuntil(b"\r\n0\r\n\r\n")
    return head, await reader.readexactly(int(_field(head, "content-length")))


def _field(head: bytes, name: str) -> str:
    found = re.search(rf"(?im)^{name}:[ \t]*(.*?)[ \t]*\r$", head.decode("latin-1"))
    return found[1] if found else ""


async def _client_left(client: StreamReader) -> None:
    with suppress(ConnectionError):
        await client.read()


def _spoiled(head: bytes, body: bytes, fault: Fault | None) -> bytes:
    if fault in {Fault.LOST, Fault.SILENT, Fault.LATE}:
        return b""
    if fault is Fault.ERROR_AFTER:
        return _error(*ERRORS[Fault.ERROR_BEFORE])
    shown = body[: len(body) // 2] if fault is Fault.CUT else body
    # The header Connection concerns the proxy's connection to the store only.
    return re.sub(rb"(?im)^connection:.*\r\n", b"", head) + shown


def _without_store(fault: Fault | None, operation: str, body: bytes) -> bytes | None:
    """Build the response of a call that the fault keeps from the store; None for other calls."""
    if fault is Fault.REFUSED:
        return b""
    if fault is Fault.CONFLICT and operation == "TransactWriteItems":
        return _cancelled(len(json.loads(body)["TransactItems"]))
    return _error(*ERRORS[fault]) if fault in ERRORS else None


def _cancelled(items: int) -> bytes:
    conflict = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
    reasons = [conflict, *({"Code": "None"} for _ in range(items - 1))]
    return _error(400, "TransactionCanceledException", CancellationReasons=reasons)


def _error(status: int, name: str, **more: Any) -> bytes:
    kind = f"com.amazonaws.dynamodb.v20120810#{name}"
    content = {"__type": kind, "message": "Made up by the proxy", **more}
    body = json.dumps(content).encode()
    head = (
        f"HTTP/1.1 {status} Made up\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"x-amzn-RequestId: MADEUP\r\nx-amz-crc32: {zlib.crc32(body)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
