"""PynamoDB on the event loop, without a thread.

PynamoDB is written as if the network answered at once. Its code runs in a greenlet; where it makes
its one network call, the greenlet stands still and the event loop sends the request; when the
answer is there, the greenlet goes on. docs/decisions/0006 has the alternatives.
"""

import asyncio
import time
import zlib
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple, NoReturn, TypeVar, cast

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.retries.quota import RetryQuota
from greenlet import getcurrent, greenlet
from pydantic_core import from_json, to_json

from api import attempts, http1, trust, wire
from api.attempts import Attempts
from api.settings import Settings
from api.signing import Credentials, Signer

CONNECTIONS = 64

T = TypeVar("T")


class OutsideBridgeError(RuntimeError):
    """A PynamoDB call was made where it would block the event loop."""

    def __init__(self) -> None:
        super().__init__("PynamoDB calls belong inside `await wire.run(...)`")


class _Finished(NamedTuple):
    """What PynamoDB code came to."""

    value: Any = None
    error: BaseException | None = None


class _Bridge(greenlet):
    """A stack of its own for PynamoDB code, used again and again: a new one costs 40 us."""

    deadline = 0.0

    def run(self, function: Callable[[], Any]) -> NoReturn:
        while True:
            try:
                finished = _Finished(function())
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits
                finished = _Finished(error=error)
            # What it held must not live until the next request.
            del function
            function = self.parent.switch(finished)  # type: ignore[union-attr]


class LoopWire:
    """Calls DynamoDB by the event loop, with botocore's configuration, credentials and errors.

    Binary attributes travel as the base64 text that they are in DynamoDB's JSON.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = wire.endpoint_url(settings)
        self._credentials = Credentials(partial(wire.credentials, settings))
        self._http = http1.Client(
            self._url,
            connections=CONNECTIONS,
            connect_seconds=attempts.CONNECT_SECONDS,
            tls=trust.in_amazon() if self._url.startswith("https:") else None,
        )
        self._signer = Signer(self._http.host, settings.aws_region)
        self._budget = RetryQuota()
        self._bridges: list[_Bridge] = []

    async def run(self, function: Callable[[], T]) -> T:
        """Run PynamoDB code, sending its calls as it comes to them."""
        bridge = self._bridges.pop() if self._bridges else _Bridge()
        bridge.deadline = time.monotonic() + attempts.REQUEST_SECONDS
        # A greenlet has a context of its own; the request's holds its trace.
        bridge.gr_context = copy_context()
        wanted = bridge.switch(function)
        while not isinstance(wanted, _Finished):
            try:
                answer = await wanted
            except BaseException as error:  # noqa: BLE001 - it belongs to the code in the bridge
                wanted = bridge.throw(error)
            else:
                wanted = bridge.switch(answer)
        self._bridges.append(bridge)
        if wanted.error is not None:
            raise wanted.error
        result: T = wanted.value
        return result

    def call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        bridge = getcurrent()
        if not isinstance(bridge, _Bridge) or bridge.parent is None:
            raise OutsideBridgeError
        answer: dict[str, Any] = bridge.parent.switch(
            self._send(operation, arguments, bridge.deadline)
        )
        return answer

    def close(self) -> None:
        self._http.close()

    async def _send(
        self, operation: str, arguments: dict[str, Any], deadline: float
    ) -> dict[str, Any]:
        body = to_json(arguments)
        tries = Attempts(self._budget, deadline)
        while True:
            try:
                return tries.succeeded(await self._attempt(operation, body, tries))
            except (ClientError, BotoCoreError) as error:
                await asyncio.sleep(tries.pause_after(error))

    async def _attempt(self, operation: str, body: bytes, tries: Attempts) -> dict[str, Any]:
        credentials = await self._credentials.current(tries.seconds(self._url))
        request = self._signer.request(operation, body, credentials, time.time())
        try:
            answer = await self._http.exchange(request, tries.seconds(self._url))
            return _read(answer, operation)
        except http1.ConnectError as error:
            if trust.is_lacking(error):
                self._http.tls = trust.in_everybody()
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
        except http1.BrokenError as error:
            raise ConnectionClosedError(endpoint_url=self._url) from error
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url=self._url) from error


def _read(answer: http1.Answer, operation: str) -> dict[str, Any]:
    """Read an answer as botocore does, or raise what botocore would.

    Raises:
        ClientError: DynamoDB refused the call.
        ChecksumError: the answer is not the one that was sent.
        BrokenError: it is nothing that DynamoDB says.
    """
    _check_sum(answer)
    content = _content(answer)
    metadata: dict[str, Any] = {"HTTPStatusCode": answer.status}
    if answer.status < 300:
        content["ResponseMetadata"] = metadata
        return content
    # A name such as com.amazonaws.dynamodb.v20120810#ResourceNotFoundException.
    code = content.pop("__type", str(answer.status)).partition(":")[0].rpartition("#")[2]
    message = content.get("message", content.get("Message", ""))
    headers = {
        name.decode("latin-1"): text.decode("latin-1") for name, text in answer.headers.items()
    }
    metadata |= {"RequestId": headers.get("x-amzn-requestid", ""), "HTTPHeaders": headers}
    content |= {"Error": {"Message": message, "Code": code}, "ResponseMetadata": metadata}
    raise ClientError(cast("Any", content), operation)


def _content(answer: http1.Answer) -> dict[str, Any]:
    try:
        content = from_json(answer.body or b"{}")
    except ValueError:
        content = None
    if isinstance(content, dict):
        return content
    if answer.status < 300:
        # Taken for an answer it would say that there is no such item.
        raise http1.BrokenError("a success without DynamoDB's JSON")
    # A proxy on the way speaks for itself; its status says enough.
    return {"message": answer.body[:200].decode(errors="replace")}


def _check_sum(answer: http1.Answer) -> None:
    expected = answer.headers.get(b"x-amz-crc32")
    if expected and int(expected) != (actual := zlib.crc32(answer.body)):
        raise ChecksumError(
            checksum_type="crc32", expected_checksum=expected.decode(), actual_checksum=str(actual)
        )
