"""PynamoDB on the event loop, without threads.

PynamoDB expects a network call to return its response. Its code therefore runs in a greenlet. At
the one network call, the greenlet switches to the event loop, which sends the request; when the
response is there, the event loop switches back. docs/decisions/0006 compares the alternatives.
"""

import asyncio
import ssl
import time
import zlib
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, NamedTuple, NoReturn, TypeVar, cast

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.httpsession import where
from botocore.retries.quota import RetryQuota
from greenlet import getcurrent, greenlet
from pydantic_core import from_json, to_json

from api.dynamodb import http_client, retry
from api.dynamodb.credentials import Credentials, find_credentials, local_credentials
from api.dynamodb.endpoint import endpoint_url
from api.dynamodb.retry import Retries
from api.dynamodb.sigv4 import Signer

MAX_CONNECTIONS = 64

T = TypeVar("T")


class OutsideTransportError(RuntimeError):
    """A PynamoDB call was made where it would block the event loop."""

    def __init__(self) -> None:
        super().__init__("PynamoDB calls belong inside `await transport.run(...)`")


class _Result(NamedTuple):
    """What the PynamoDB code returned or raised."""

    value: Any = None
    error: BaseException | None = None


class _Worker(greenlet):
    """A greenlet that runs PynamoDB code again and again, because a new one costs 40 us."""

    deadline = 0.0

    def run(self, function: Callable[[], Any]) -> NoReturn:
        while True:
            try:
                result = _Result(function())
            except BaseException as error:  # noqa: BLE001 - `AsyncTransport.run` raises it
                result = _Result(error=error)
            # What the function refers to must not live until the next request.
            del function
            function = self.parent.switch(result)  # type: ignore[union-attr]


class AsyncTransport:
    """Calls DynamoDB on the event loop, with botocore's credentials, TLS roots and errors.

    Binary attributes stay the base64 text that they are in DynamoDB's JSON.
    """

    def __init__(self, region: str, local_endpoint: str | None = None) -> None:
        self._url = local_endpoint or endpoint_url(region)
        self._credentials = Credentials(local_credentials if local_endpoint else find_credentials)
        self._http = http_client.Client(
            self._url,
            connections=MAX_CONNECTIONS,
            connect_seconds=retry.CONNECT_SECONDS,
            tls=ssl.create_default_context(cafile=where()) if self._url[:6] == "https:" else None,
        )
        self._signer = Signer(self._http.host, region)
        self._quota = RetryQuota()
        self._idle_workers: list[_Worker] = []

    async def run(self, function: Callable[[], T]) -> T:
        """Run PynamoDB code, and send the calls that it makes."""
        worker = self._idle_workers.pop() if self._idle_workers else _Worker()
        worker.deadline = retry.deadline()
        # A greenlet starts with an empty context; the request's context holds its trace.
        worker.gr_context = copy_context()
        yielded = worker.switch(function)
        while not isinstance(yielded, _Result):
            try:
                response = await yielded
            except BaseException as error:  # noqa: BLE001 - it belongs to the PynamoDB code
                yielded = worker.throw(error)
            else:
                yielded = worker.switch(response)
        self._idle_workers.append(worker)
        if yielded.error is not None:
            raise yielded.error
        value: T = yielded.value
        return value

    def call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        worker = getcurrent()
        if not isinstance(worker, _Worker) or worker.parent is None:
            raise OutsideTransportError
        response: dict[str, Any] = worker.parent.switch(
            self._send(operation, arguments, worker.deadline)
        )
        return response

    def close(self) -> None:
        self._http.close()

    async def _send(
        self, operation: str, arguments: dict[str, Any], deadline: float
    ) -> dict[str, Any]:
        body = to_json(arguments)
        retries = Retries(self._quota, deadline)
        while True:
            try:
                return retries.succeeded(await self._attempt(operation, body, retries))
            except (ClientError, BotoCoreError) as error:
                await asyncio.sleep(retries.backoff_after(error))

    async def _attempt(self, operation: str, body: bytes, retries: Retries) -> dict[str, Any]:
        credentials = await self._credentials.current(retries.attempt_seconds(self._url))
        request = self._signer.request(operation, body, credentials, time.time())
        try:
            response = await self._http.send(request, retries.attempt_seconds(self._url))
            return _parse(response, operation)
        except http_client.ConnectError as error:
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
        except http_client.BrokenError as error:
            raise ConnectionClosedError(endpoint_url=self._url) from error
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url=self._url) from error


def _parse(response: http_client.Response, operation: str) -> dict[str, Any]:
    """Parse a response as botocore does.

    Only a 200 with a whole JSON object is a success: DynamoDB sends nothing else.

    Raises:
        ClientError: DynamoDB refused the call.
        ChecksumError: the body is not the one that DynamoDB sent.
        BrokenError: a success that DynamoDB does not send; the call's outcome is unknown.
    """
    _verify_checksum(response)
    content = _json_object(response.body)
    if response.status >= 300:
        raise _client_error(response, content, operation)
    if response.status != 200 or content is None:
        raise http_client.BrokenError(f"a {response.status} that is not DynamoDB's")
    content["ResponseMetadata"] = {
        "HTTPStatusCode": response.status,
        "ResponseBytes": len(response.body),
    }
    return content


def _client_error(
    response: http_client.Response, content: dict[str, Any] | None, operation: str
) -> ClientError:
    # A proxy's error is no JSON object; its status is then the code.
    content = content or {"message": response.body[:200].decode(errors="replace")}
    # A name such as com.amazonaws.dynamodb.v20120810#ResourceNotFoundException.
    code = content.pop("__type", str(response.status)).partition(":")[0].rpartition("#")[2]
    message = content.get("message", content.get("Message", ""))
    headers = {
        name.decode("latin-1"): text.decode("latin-1") for name, text in response.headers.items()
    }
    content["Error"] = {"Message": message, "Code": code}
    content["ResponseMetadata"] = {
        "HTTPStatusCode": response.status,
        "RequestId": headers.get("x-amzn-requestid", ""),
        "HTTPHeaders": headers,
    }
    return ClientError(cast("Any", content), operation)


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        content = from_json(body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _verify_checksum(response: http_client.Response) -> None:
    expected, actual = response.headers.get(b"x-amz-crc32"), str(zlib.crc32(response.body))
    if expected is not None and expected != actual.encode():
        raise ChecksumError(
            checksum_type="crc32",
            expected_checksum=expected.decode("latin-1"),
            actual_checksum=actual,
        )
