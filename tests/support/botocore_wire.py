"""The measure of the event loop's wire: botocore itself in its place."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError
from botocore.parsers import ResponseParserError
from botocore.retries.quota import RetryQuota

from api import attempts, wire
from api.attempts import Attempts
from api.settings import Settings

DYNAMODB_JSON = "application/x-amz-json-1."

T = TypeVar("T")


class BotocoreWire:
    """Botocore's own client, which blocks: the event loop's wire answers and raises the same."""

    def __init__(self, settings: Settings) -> None:
        self._client: Any = client(settings)
        self._budget = RetryQuota()
        self._deadline = 0.0

    def call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        tries = Attempts(self._budget, self._deadline)
        while True:
            try:
                return tries.succeeded(self._attempt(operation, arguments, tries))
            except (ClientError, BotoCoreError) as error:
                time.sleep(tries.pause_after(error))

    async def run(self, function: Callable[[], T]) -> T:
        self._deadline = time.monotonic() + attempts.REQUEST_SECONDS
        return function()

    def close(self) -> None:
        self._client.close()

    def _attempt(
        self, operation: str, arguments: dict[str, Any], tries: Attempts
    ) -> dict[str, Any]:
        url = self._client.meta.endpoint_url
        tries.seconds(url)
        try:
            answer: dict[str, Any] = self._client._make_api_call(operation, arguments)
        except ResponseParserError as error:
            raise ConnectionClosedError(endpoint_url=url) from error
        if not answer["ResponseMetadata"]["HTTPHeaders"]["content-type"].startswith(DYNAMODB_JSON):
            # Somebody's page: botocore makes an empty answer of it, which would say "no such item".
            raise ConnectionClosedError(endpoint_url=url)
        return answer


def client(settings: Settings) -> Any:
    """Make a client: one attempt at a time, with time-outs that fit into a request."""
    return wire.session(settings).create_client(
        "dynamodb",
        region_name=settings.aws_region,
        endpoint_url=str(settings.dynamodb_endpoint),
        config=Config(
            connect_timeout=attempts.CONNECT_SECONDS,
            read_timeout=attempts.READ_SECONDS,
            # The one mode in which botocore finds a cut answer out without a retry.
            retries={"mode": "legacy", "total_max_attempts": 1},
            parameter_validation=False,
        ),
    )
