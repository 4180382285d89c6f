"""The transport: PynamoDB on the event loop, with botocore's responses and errors."""

import asyncio
import json
import threading
import zlib
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any

import httpx
import pytest
from botocore.exceptions import (
    ChecksumError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from api.dynamodb import retry
from api.dynamodb.async_transport import AsyncTransport, OutsideTransportError
from api.dynamodb.retry import error_metadata
from api.dynamodb.transport import Transport
from api.main import create_app, transport_for
from tests.support.botocore_transport import BotocoreTransport
from tests.support.builders import settings
from tests.support.scripted_server import Peer, Script, scripted

pytestmark = pytest.mark.anyio

GET = {"TableName": "none", "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}}
UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BACKOFF_SECONDS", 0)


def response(status: int, content: Any, **headers: str) -> bytes:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    fields = {"Content-Length": str(len(body)), "x-amzn-RequestId": "R1", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + body


def error(status: int, name: str) -> bytes:
    content = {"__type": f"com.amazonaws.dynamodb.v20120810#{name}", "message": "Because"}
    return response(status, content)


ITEM_BODY = b'{"Item": {"pk": {"S": "a"}}}'
OK = response(200, ITEM_BODY, x_amz_crc32=str(zlib.crc32(ITEM_BODY)))
THROTTLED = error(400, "ProvisionedThroughputExceededException")
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"


def in_turn(*responses: bytes | float) -> Script:
    """Respond to each request with the next response; a number is a delay in seconds."""
    left = list(responses)

    async def script(server: Peer, reader: StreamReader, writer: StreamWriter) -> None:
        while True:
            await server.read(reader)
            following = left.pop(0)
            if isinstance(following, bytes):
                writer.write(following)
                await writer.drain()
            else:
                await asyncio.sleep(following)
            if following is CUT:
                return

    return script


@asynccontextmanager
async def transport_to(script: Script) -> AsyncIterator[tuple[Peer, AsyncTransport]]:
    """Run a scripted DynamoDB; yield it with a transport to it."""
    async with scripted(script) as server:
        transport = transport_for(settings(server.url))
        yield server, transport
        transport.close()


async def call(
    transport: Transport, operation: str = "GetItem", **arguments: Any
) -> dict[str, Any]:
    return await transport.run(lambda: transport.call(operation, arguments or GET))


async def test_a_call_returns_dynamodbs_json_and_metadata() -> None:
    async with transport_to(in_turn(OK)) as (server, transport):
        result = await call(transport)
    metadata = {
        "HTTPStatusCode": 200,
        "ResponseBytes": len(ITEM_BODY),
        "RetryAttempts": 0,
        "RetriedAfter": [],
    }
    assert result == {"Item": {"pk": {"S": "a"}}, "ResponseMetadata": metadata}
    assert b"x-amz-target:DynamoDB_20120810.GetItem" in server.requests[0]
    assert json.loads(server.requests[0].partition(b"\r\n\r\n")[2]) == GET


@pytest.mark.parametrize(
    ("failed", "raised", "unknown"),
    [
        (THROTTLED, ClientError, False),
        (error(500, "InternalServerError"), ClientError, True),
        (response(503, b"<html>busy</html>"), ClientError, True),
        (response(502, b'"bad gateway"'), ClientError, True),
        (response(302, b""), ClientError, True),
        (CUT, ConnectionClosedError, True),
        (response(202, ITEM_BODY), ConnectionClosedError, True),
        (response(204, b""), ConnectionClosedError, True),
        (response(200, b""), ConnectionClosedError, True),
        (response(200, b"[]"), ConnectionClosedError, True),
        (response(200, b"<html>welcome</html>"), ConnectionClosedError, True),
        (response(200, ITEM_BODY, x_amz_crc32="1"), ChecksumError, True),
        (response(200, ITEM_BODY, x_amz_crc32="one"), ChecksumError, True),
    ],
)
async def test_only_a_200_with_a_json_object_is_a_success(
    failed: bytes, raised: type[Exception], unknown: bool
) -> None:
    """Everything else is retried, and unless DynamoDB refused the call its outcome is unknown."""
    responses = [failed] * (2 * retry.MAX_ATTEMPTS - 1)
    async with transport_to(in_turn(*responses, OK)) as (server, transport):
        with pytest.raises(raised) as caught:
            await call(transport)
        assert len(server.requests) == retry.MAX_ATTEMPTS
        result = await call(transport)
    metadata = error_metadata(caught.value)  # type: ignore[arg-type]
    assert metadata["OutcomeUnknown"] is unknown
    assert metadata["RetryAttempts"] == retry.MAX_ATTEMPTS - 1
    assert result["Item"] == {"pk": {"S": "a"}}
    assert result["ResponseMetadata"]["RetryAttempts"] == retry.MAX_ATTEMPTS - 1


async def test_a_create_with_a_202_from_dynamodb_gets_503_with_an_unknown_outcome() -> None:
    async with transport_to(in_turn(*[response(202, {})] * retry.MAX_ATTEMPTS)) as (
        server,
        transport,
    ):
        app = httpx.ASGITransport(create_app(settings(server.url), transport=transport))
        async with httpx.AsyncClient(transport=app, base_url="http://localhost") as client:
            created = await client.post("/v1/tasks", json={"title": "x"})
    assert b"x-amz-target:DynamoDB_20120810.PutItem" in server.requests[0]
    assert (created.status_code, created.json()["outcome"]) == (503, "unknown")


async def test_retries_have_a_quota() -> None:
    """When every call fails, retries soon stop, because they would add to the load."""
    calls = 200
    async with transport_to(in_turn(*[THROTTLED] * 1000)) as (server, transport):
        for _ in range(calls):
            with pytest.raises(ClientError):
                await call(transport)
    assert len(server.requests) - calls == 500 // retry.RETRY_COST


async def test_all_calls_of_a_request_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that reaches it is not retried, and the next one is not sent."""
    monkeypatch.setattr(retry, "REQUEST_SECONDS", 0.1)
    async with transport_to(in_turn(9.0, OK)) as (server, transport):

        def two_calls() -> None:
            with pytest.raises(ReadTimeoutError):
                transport.call("GetItem", GET)
            with pytest.raises(retry.DeadlineError):
                transport.call("GetItem", GET)

        await transport.run(two_calls)
    assert len(server.requests) == 1


async def test_a_refused_connection_raises_botocores_error() -> None:
    with pytest.raises(EndpointConnectionError):
        await call(transport_for(settings(UNREACHABLE)))


async def test_a_call_outside_run_is_refused() -> None:
    """It would block the event loop."""
    transport = transport_for(settings(UNREACHABLE))
    with pytest.raises(OutsideTransportError, match=r"await transport\.run"):
        transport.call("GetItem", GET)


async def test_concurrent_calls_need_no_threads() -> None:
    """Five calls are in progress at once, and their code runs on the event loop's thread."""
    barrier = asyncio.Barrier(5)
    threads: set[threading.Thread] = set()

    async def respond_together(server: Peer, reader: StreamReader, writer: StreamWriter) -> None:
        await server.read(reader)
        await barrier.wait()
        writer.write(OK)

    async with transport_to(respond_together) as (_, transport):

        def work() -> None:
            threads.add(threading.current_thread())
            transport.call("GetItem", GET)
            threads.add(threading.current_thread())

        await asyncio.gather(*(transport.run(work) for _ in range(5)))
    assert threads == {threading.current_thread()}


async def test_cancelling_a_request_cancels_its_call() -> None:
    """The PynamoDB code in between sees the cancellation, and the connection is closed."""
    seen: list[type[BaseException]] = []

    async with transport_to(in_turn(9.0)) as (server, transport):

        def work() -> None:
            try:
                transport.call("GetItem", GET)
            except BaseException as error:
                seen.append(type(error))
                raise

        running = asyncio.create_task(transport.run(work))
        await asyncio.wait_for(server.asked.wait(), 5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert seen == [asyncio.CancelledError]


async def test_a_worker_can_be_used_again_after_an_error() -> None:
    async with transport_to(in_turn(OK)) as (_, transport):

        def fail() -> None:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await transport.run(fail)
        assert "Item" in await call(transport)


async def test_pynamodb_code_has_the_context_of_its_request() -> None:
    name: ContextVar[str] = ContextVar("name")
    transport = transport_for(settings(UNREACHABLE))

    async def read_back(own: str) -> str:
        name.set(own)
        await asyncio.sleep(0)
        return await transport.run(name.get)

    assert await asyncio.gather(*map(read_back, "abc")) == ["a", "b", "c"]


TABLE = {
    "TableName": "errors",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
ITEM = {"pk": {"S": "a"}, "n": {"N": "1"}}
PUT_NEW = {
    "TableName": "errors",
    "Item": ITEM,
    "ConditionExpression": "attribute_not_exists(pk)",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
PUT_OTHER = {"TableName": "errors", "Item": {"pk": {"S": "b"}}}
REFUSED_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "missing table": ("GetItem", {"TableName": "nowhere", "Key": {"pk": {"S": "a"}}}),
    "failed condition": ("PutItem", PUT_NEW),
    "missing key": ("PutItem", {"TableName": "errors", "Item": {"n": {"N": "1"}}}),
    "transaction": (
        "TransactWriteItems",
        {"TransactItems": [{"Put": PUT_OTHER}, {"Put": PUT_NEW}]},
    ),
}


@pytest.mark.parametrize("name", REFUSED_CALLS)
async def test_a_refused_call_raises_the_error_that_botocore_raises(store: str, name: str) -> None:
    """PynamoDB reads its code, message, cancellation reasons and the item that was there."""
    operation, arguments = REFUSED_CALLS[name]
    errors: list[Any] = []
    for kind in (BotocoreTransport, transport_for):
        transport = kind(settings(store))
        with suppress(ClientError):  # the table exists from the second call on
            await call(transport, "CreateTable", **TABLE)
        await call(transport, "PutItem", TableName="errors", Item=ITEM)
        with pytest.raises(ClientError) as refused:
            await call(transport, operation, **arguments)
        errors.append(refused.value)
        transport.close()
    expected, actual = errors
    assert actual.operation_name == expected.operation_name
    for field in ("Error", "CancellationReasons", "Item"):
        assert actual.response.get(field) == expected.response.get(field)
    for field in ("HTTPStatusCode", "RetryAttempts"):
        metadata = actual.response["ResponseMetadata"]
        assert metadata[field] == expected.response["ResponseMetadata"][field]
