"""What can go wrong between the app and DynamoDB, on purpose: a proxy that spoils calls by plan."""

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
MESSAGE_BYTES = 2**25  # more than the largest request that DynamoDB takes


class Fault(StrEnum):
    """What becomes of a call: whether the store does it, and what the client gets."""

    LOST = "lost"  # done; the connection is closed without an answer
    CUT = "cut"  # done; half of the answer's body, then the connection is closed
    SILENT = "silent"  # done; no answer, and the connection stays open until the client leaves
    LATE = "late"  # no answer; done once the client has left, so a retry may overtake it
    ERROR_AFTER = "error_after"  # done; answered with an internal error
    ERROR_BEFORE = "error_before"  # not done; an internal error
    THROTTLED = "throttled"  # not done; too many calls
    CONFLICT = "conflict"  # not done; another transaction is at the item, the first of several
    REFUSED = "refused"  # not done; the connection is closed
    SLOW = "slow"  # done a little later, and answered
    UNPROCESSED = "unprocessed"  # not done, and answered so; for BatchWriteItem alone


# The fault for a call of the named operation, or None to let it pass.
Plan = Callable[[str], Fault | None]

CLOSING = frozenset({Fault.LOST, Fault.CUT, Fault.SILENT, Fault.LATE, Fault.REFUSED})
ERRORS = {
    Fault.ERROR_BEFORE: (500, "InternalServerError"),
    Fault.THROTTLED: (400, "ProvisionedThroughputExceededException"),
    Fault.CONFLICT: (400, "TransactionConflictException"),
}


class Successive:
    """The first calls of one operation meet these faults in turn; everything else passes."""

    def __init__(self, operation: str, faults: Sequence[Fault]) -> None:
        self._operation = operation
        self._left = deque(faults)

    def __call__(self, operation: str) -> Fault | None:
        return self._left.popleft() if self._left and operation == self._operation else None

    @property
    def hit(self) -> bool:
        """Whether every fault has met its call."""
        return not self._left


def once(operation: str, fault: Fault) -> Successive:
    return Successive(operation, [fault])


def times(operation: str, faults: Sequence[Fault]) -> Successive:
    return Successive(operation, faults)


def randomly(
    seed: int, rate: float, faults: Collection[Fault], operations: Collection[str]
) -> Plan:
    """Spoil this share of some operations' calls; the same calls in order meet the same faults."""
    chance = random.Random(seed)  # noqa: S311 - to be foreseen is what it is for

    def plan(operation: str) -> Fault | None:
        if operation not in operations or chance.random() >= rate:
            return None
        unfit = set() if operation == "BatchWriteItem" else {Fault.UNPROCESSED}
        # Sorted, for the order of a set differs between processes.
        return chance.choice(sorted(set(faults) - unfit))

    return plan


class FaultProxy:
    """A store's stand-in address, where calls pass or meet the faults that a plan has for them.

    Client connections are kept alive, as DynamoDB's are, even where the emulator closes its own.
    A request with the fault LATE is delivered when its client has left: a retry, which has a
    connection of its own, can be done by the store before the first attempt is. Leaving the
    context ends all connections, makes the late deliveries, and raises what a plan has raised.
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
        """Wait until all is done that clients asked for before they left, or wait for still."""
        # What they sent may not be read yet; the event loop needs some six passes for that.
        for _ in range(20):
            self._portal.call(asyncio.sleep, 0)
        while self._busy:
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

            server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=MESSAGE_BYTES)
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
        """Deal with one request, and tell whether there can be another on this connection."""
        head, body = await _read(reader)
        self._busy.add(writer)
        operation = _field(head, "x-amz-target").rpartition(".")[2]
        fault = self.plan(operation)
        self.seen[operation, fault] += 1
        answer = _unasked(fault, operation, body)
        if answer is None:
            answer = await self._asked(head + body, fault, reader)
        writer.write(answer)
        await writer.drain()
        self._busy.discard(writer)
        return fault not in CLOSING

    async def _asked(self, request: bytes, fault: Fault | None, client: StreamReader) -> bytes:
        if fault is Fault.SLOW:
            await asyncio.sleep(self._slow_seconds)
        if fault is Fault.LATE:
            await _left(client)
        head, body = await self._ask(request)
        if fault is Fault.SILENT:
            await _left(client)
        return _spoiled(head, body, fault)

    async def _ask(self, request: bytes) -> tuple[bytes, bytes]:
        reader, writer = await asyncio.open_connection(*self._store, limit=MESSAGE_BYTES)
        try:
            writer.write(request)
            return await _read(reader)
        finally:
            writer.transport.abort()


async def _read(reader: StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    if _field(head, "transfer-encoding") == "chunked":
        # DynamoDB Local's long answers. Its JSON has no line ends, so that these are the last ones.
        return head, await reader.readuntil(b"\r\n0\r\n\r\n")
    return head, await reader.readexactly(int(_field(head, "content-length")))


def _field(head: bytes, name: str) -> str:
    found = re.search(rf"(?im)^{name}:[ \t]*(.*?)[ \t]*\r$", head.decode("latin-1"))
    return found[1] if found else ""


async def _left(client: StreamReader) -> None:
    with suppress(ConnectionError):
        await client.read()


def _spoiled(head: bytes, body: bytes, fault: Fault | None) -> bytes:
    if fault in {Fault.LOST, Fault.SILENT, Fault.LATE}:
        return b""
    if fault is Fault.ERROR_AFTER:
        return _error(*ERRORS[Fault.ERROR_BEFORE])
    shown = body[: len(body) // 2] if fault is Fault.CUT else body
    # Whether a connection lasts is a matter between its two ends.
    return re.sub(rb"(?im)^connection:.*\r\n", b"", head) + shown


def _unasked(fault: Fault | None, operation: str, body: bytes) -> bytes | None:
    """Answer in the store's place, where the fault is that it is not asked."""
    if fault is Fault.REFUSED:
        return b""
    if fault is Fault.UNPROCESSED:
        return _reply(200, {"UnprocessedItems": json.loads(body)["RequestItems"]})
    if fault is Fault.CONFLICT and operation == "TransactWriteItems":
        return _cancelled(len(json.loads(body)["TransactItems"]))
    return _error(*ERRORS[fault]) if fault in ERRORS else None


def _cancelled(items: int) -> bytes:
    conflict = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
    reasons = [conflict, *({"Code": "None"} for _ in range(items - 1))]
    return _error(400, "TransactionCanceledException", CancellationReasons=reasons)


def _error(status: int, name: str, **more: Any) -> bytes:
    kind = f"com.amazonaws.dynamodb.v20120810#{name}"
    return _reply(status, {"__type": kind, "message": "Made up by the proxy", **more})


def _reply(status: int, content: dict[str, Any]) -> bytes:
    body = json.dumps(content).encode()
    head = (
        f"HTTP/1.1 {status} Made up\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"x-amzn-RequestId: MADEUP\r\nx-amz-crc32: {zlib.crc32(body)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
