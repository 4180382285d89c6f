"""PynamoDB on the event loop: the same answers and errors as botocore, and no thread."""

import asyncio
import json
import threading
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from api import attempts
from api.loop_wire import LoopWire, OutsideBridgeError
from api.wire import Wire
from tests.support.botocore_wire import BotocoreWire
from tests.support.builders import settings
from tests.support.peer import Peer, scripted

pytestmark = pytest.mark.anyio

GET = {"TableName": "none", "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}}


def reply(status: int, content: Any, **headers: str) -> bytes:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    fields = {"Content-Length": str(len(body)), "x-amzn-RequestId": "R1", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + body


def failure(status: int, name: str) -> bytes:
    content = {"__type": f"com.amazonaws.dynamodb.v20120810#{name}", "message": "Because"}
    return reply(status, content)


def in_turn(
    *answers: bytes | float,
) -> Callable[[Peer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Answer request after request, over all connections; a number is a silence in seconds."""
    left = list(answers)

    async def script(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await peer.read(reader)
            answer = left.pop(0)
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await asyncio.sleep(answer)

    return script


async def call(sender: Wire, operation: str = "GetItem", **arguments: Any) -> dict[str, Any]:
    return await sender.run(lambda: sender.call(operation, arguments or GET))


def loop_wire_to(peer: Peer) -> LoopWire:
    return LoopWire(settings(peer.url))


THROTTLED = failure(400, "ProvisionedThroughputExceededException")
FINE = reply(200, {"Item": {"pk": {"S": "a"}}})


async def test_an_answer_is_read() -> None:
    """DynamoDB's JSON as it is, with how it came."""
    async with scripted(in_turn(FINE)) as peer:
        sender = loop_wire_to(peer)
        answer = await call(sender)
        sender.close()
    metadata = answer.pop("ResponseMetadata")
    assert answer == {"Item": {"pk": {"S": "a"}}}
    assert metadata == {"HTTPStatusCode": 200, "RetryAttempts": 0, "RetriedAfter": []}
    assert b"x-amz-target:DynamoDB_20120810.GetItem" in peer.requests[0]
    assert json.loads(peer.requests[0].partition(b"\r\n\r\n")[2]) == GET


@pytest.mark.parametrize(
    "fault",
    [
        THROTTLED,
        failure(400, "ThrottlingException"),
        failure(500, "InternalServerError"),
        reply(503, b"<html>busy</html>"),
        b"HTTP/1.1 200 OK\r\n\r\ncut",
        reply(200, {"Item": {}}, x_amz_crc32="1"),
        reply(200, b"<html>welcome</html>"),
        reply(200, b"[]"),
        reply(502, b'"bad gateway"'),
    ],
)
async def test_what_may_pass_is_tried_again(fault: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Throttling, failed services, a broken connection, a false checksum, a proxy's page."""
    monkeypatch.setattr(attempts, "BACKOFF_SECONDS", 0)

    async def at_last(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await peer.read(reader)
            if len(peer.requests) == attempts.ATTEMPTS:
                writer.write(FINE)
            else:
                writer.write(fault)
                await writer.drain()
                if fault.endswith(b"cut"):
                    return

    async with scripted(at_last) as peer:
        sender = loop_wire_to(peer)
        answer = await call(sender)
        sender.close()
    assert answer["Item"] == {"pk": {"S": "a"}}
    assert answer["ResponseMetadata"]["RetryAttempts"] == attempts.ATTEMPTS - 1
    assert len(peer.requests) == attempts.ATTEMPTS


@pytest.mark.parametrize(
    "name",
    ["ConditionalCheckFailedException", "ValidationException", "ResourceNotFoundException"],
)
async def test_what_will_not_pass_is_not_tried_again(name: str) -> None:
    """A refusal is an answer."""
    async with scripted(in_turn(failure(400, name))) as peer:
        sender = loop_wire_to(peer)
        with pytest.raises(ClientError) as refused:
            await call(sender)
        sender.close()
    assert refused.value.response["Error"] == {"Code": name, "Message": "Because"}
    assert len(peer.requests) == 1


async def test_attempts_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third failure is the caller's."""
    monkeypatch.setattr(attempts, "BACKOFF_SECONDS", 0)
    async with scripted(in_turn(THROTTLED, THROTTLED, THROTTLED, FINE)) as peer:
        sender = loop_wire_to(peer)
        with pytest.raises(ClientError) as refused:
            await call(sender)
        sender.close()
    assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == attempts.ATTEMPTS - 1
    assert len(peer.requests) == attempts.ATTEMPTS


async def test_retries_have_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where everything fails, calls are soon made once each; successes earn retries again."""
    monkeypatch.setattr(attempts, "BACKOFF_SECONDS", 0)
    tried = 200
    async with scripted(in_turn(*[THROTTLED] * 1000)) as peer:
        sender = loop_wire_to(peer)
        for _ in range(tried):
            with pytest.raises(ClientError):
                await call(sender)
        sender.close()
    retries = len(peer.requests) - tried
    assert retries == 500 // attempts.RETRY_COST


async def test_a_request_has_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that uses it up is not tried again, and the next one is not sent at all."""
    monkeypatch.setattr(attempts, "REQUEST_SECONDS", 0.1)
    async with scripted(in_turn(9.0, FINE)) as peer:
        sender = loop_wire_to(peer)

        def two_calls() -> None:
            with pytest.raises(ReadTimeoutError):
                sender.call("GetItem", GET)
            with pytest.raises(attempts.DeadlineError):
                sender.call("GetItem", GET)

        await sender.run(two_calls)
        sender.close()
    assert len(peer.requests) == 1


@pytest.mark.parametrize("kind", [LoopWire, BotocoreWire])
async def test_nobody_there_is_an_error_of_botocores(kind: type[Any]) -> None:
    """Both wires fail alike where no server is."""
    sender = kind(settings("http://127.0.0.1:9"))
    with pytest.raises(BotoCoreError, match="Could not connect to the endpoint URL"):
        await call(sender)
    sender.close()


async def test_a_call_outside_the_bridge_is_refused() -> None:
    """It would have to block the loop; the error says what to do."""
    sender = LoopWire(settings("http://127.0.0.1:9"))
    with pytest.raises(OutsideBridgeError, match=r"await wire\.run"):
        sender.call("GetItem", GET)


async def test_no_thread_is_made_for_a_call(moto: str) -> None:
    """A hundred calls at once run on the loop's own thread."""
    sender = LoopWire(settings(moto))
    seen: set[threading.Thread] = set()

    def work() -> None:
        seen.add(threading.current_thread())
        with pytest.raises(ClientError):
            sender.call("GetItem", GET)
        seen.add(threading.current_thread())

    await asyncio.gather(*(sender.run(work) for _ in range(100)))
    sender.close()
    assert seen == {threading.current_thread()}


async def test_calls_overlap() -> None:
    """While one waits for its answer the others are sent."""
    here = asyncio.Barrier(5)

    async def together(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await peer.read(reader)
        await here.wait()
        writer.write(FINE)

    async with scripted(together) as peer:
        sender = loop_wire_to(peer)
        answers = await asyncio.gather(*(call(sender) for _ in range(5)))
        sender.close()
    assert len(answers) == 5


async def test_cancelling_a_request_cancels_its_call() -> None:
    """The PynamoDB code in between sees it, and its connection is closed."""
    seen: list[type[BaseException]] = []

    async with scripted(in_turn(9.0)) as peer:
        sender = loop_wire_to(peer)

        def work() -> None:
            try:
                sender.call("GetItem", GET)
            except BaseException as error:
                seen.append(type(error))
                raise

        running = asyncio.create_task(sender.run(work))
        await peer.asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert seen == [asyncio.CancelledError]


async def test_a_bridge_that_failed_serves_the_next() -> None:
    """An error in one request leaves nothing behind for another."""
    async with scripted(in_turn(FINE)) as peer:
        sender = loop_wire_to(peer)

        def fails() -> None:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await sender.run(fails)
        assert "Item" in await call(sender)
        sender.close()


async def test_the_requests_context_is_there() -> None:
    """What the request knows of itself, its PynamoDB code knows, and no other's does."""
    name: ContextVar[str] = ContextVar("name")
    sender = LoopWire(settings("http://127.0.0.1:9"))

    async def ask(mine: str) -> str:
        name.set(mine)
        await asyncio.sleep(0)
        return await sender.run(name.get)

    assert await asyncio.gather(*map(ask, "abc")) == ["a", "b", "c"]


async def test_a_checksum_that_fits_is_no_fault() -> None:
    """DynamoDB sends one with every answer."""
    body = b'{"Item": {}}'
    fine = reply(200, body, x_amz_crc32=str(zlib.crc32(body)))
    async with scripted(in_turn(fine)) as peer:
        sender = loop_wire_to(peer)
        assert (await call(sender))["Item"] == {}
        sender.close()


TABLE = {
    "TableName": "errors",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
ITEM = {"pk": {"S": "a"}, "n": {"N": "1"}}
REFUSALS: dict[str, tuple[str, dict[str, Any]]] = {
    "no table": ("GetItem", {"TableName": "nowhere", "Key": {"pk": {"S": "a"}}}),
    "a condition": (
        "PutItem",
        {
            "TableName": "errors",
            "Item": ITEM,
            "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
    ),
    "an item without its key": ("PutItem", {"TableName": "errors", "Item": {"n": {"N": "1"}}}),
    "a transaction": (
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Put": {"TableName": "errors", "Item": {"pk": {"S": "b"}}}},
                {
                    "Put": {
                        "TableName": "errors",
                        "Item": ITEM,
                        "ConditionExpression": "attribute_not_exists(pk)",
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }
                },
            ]
        },
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
async def test_a_refusal_has_the_fields_that_botocore_gives(store: str, what: str) -> None:
    """Code, message, cancellation reasons, the item that was there: PynamoDB reads them all."""
    operation, arguments = REFUSALS[what]
    errors: list[ClientError] = []
    for kind in (BotocoreWire, LoopWire):
        sender = kind(settings(store))
        with suppress(ClientError):  # it is there already
            await call(sender, "CreateTable", **TABLE)
        await call(sender, "PutItem", TableName="errors", Item=ITEM)
        with pytest.raises(ClientError) as refused:
            await call(sender, operation, **arguments)
        errors.append(refused.value)
        sender.close()
    theirs, ours = errors
    assert ours.operation_name == theirs.operation_name
    for name in ("Error", "CancellationReasons", "Item"):
        assert ours.response.get(name) == theirs.response.get(name)
    for name in ("HTTPStatusCode", "RetryAttempts"):
        mine = ours.response["ResponseMetadata"][name]  # type: ignore[literal-required]
        assert mine == theirs.response["ResponseMetadata"][name]  # type: ignore[literal-required]
