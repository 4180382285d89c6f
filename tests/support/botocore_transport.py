"""botocore's own client as a transport: the reference for responses and errors."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.retries.quota import RetryQuota

from api.dynamodb import retry
from api.dynamodb.retry import Retries
from api.settings import Settings

T = TypeVar("T")


class BotocoreTransport:
    """A transport that blocks, for comparison with AsyncTransport."""

    def __init__(self, settings: Settings) -> None:
        self._client: Any = client(settings)
        self._quota = RetryQuota()
        self._deadline = 0.0

    def call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        retries = Retries(self._quota, self._deadline)
        while True:
            try:
                return retries.succeeded(self._attempt(operation, arguments))
            except (ClientError, BotoCoreError) as error:
                time.sleep(retries.backoff_after(error))

    def _attempt(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = self._client._make_api_call(operation, arguments)
        metadata = response["ResponseMetadata"]
        metadata["ResponseBytes"] = int(metadata["HTTPHeaders"]["content-length"])
        return response

    async def run(self, function: Callable[[], T]) -> T:
        self._deadline = time.monotonic() + retry.REQUEST_SECONDS
        return function()

    def close(self) -> None:
        self._client.close()


def client(settings: Settings) -> Any:
    """Create botocore's client with the transport's time-outs, and without retries of its own."""
    return botocore.session.get_session().create_client(
        "dynamodb",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        region_name=settings.aws_region,
        endpoint_url=str(settings.dynamodb_endpoint),
        config=Config(
            connect_timeout=retry.CONNECT_SECONDS,
            read_timeout=retry.READ_SECONDS,
            retries={"mode": "legacy", "total_max_attempts": 1},
            parameter_validation=False,
        ),
    )
