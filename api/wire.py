"""How a PynamoDB call reaches DynamoDB: time-outs, retries, credentials and metrics."""

import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import anyio.to_thread
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.connection import Connection

from api.metrics import Metrics
from api.settings import Settings

CONNECT_SECONDS = 1
READ_SECONDS = 2
ATTEMPTS = 3

T = TypeVar("T")


class Wire(Protocol):
    """Carries calls to DynamoDB, and runs the PynamoDB code that makes them."""

    def call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]: ...

    async def run(self, function: Callable[[], T]) -> T: ...


class BotocoreWire:
    """Botocore's own client: it blocks, as one request at a time or a script may."""

    def __init__(self, settings: Settings) -> None:
        access_key, secret_key = _local_credentials(settings)
        self._client: Any = botocore.session.get_session().create_client(
            "dynamodb",
            region_name=settings.aws_region,
            endpoint_url=str(settings.dynamodb_endpoint) if settings.dynamodb_endpoint else None,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                parameter_validation=False,
            ),
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
        )

    def call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._client._make_api_call(operation, arguments)  # noqa: SLF001
        return answer

    async def run(self, function: Callable[[], T]) -> T:
        return function()


class ThreadWire(BotocoreWire):
    """Botocore's client in a thread a call, beside an event loop that must not block."""

    async def run(self, function: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(function)


def _local_credentials(settings: Settings) -> tuple[str | None, str | None]:
    """Name credentials for a local endpoint, which asks for some and looks at none."""
    return ("local", "local") if settings.dynamodb_endpoint else (None, None)


class WiredConnection(Connection):
    """PynamoDB's connection over a given wire, every call of it measured."""

    def __init__(self, wire: Wire, metrics: Metrics, region: str) -> None:
        super().__init__(region=region)
        self._seam: Any = _Seam(wire, metrics)

    @property
    def client(self) -> Any:
        return self._seam


class _Seam:
    """The one method of botocore's client that PynamoDB calls."""

    def __init__(self, wire: Wire, metrics: Metrics) -> None:
        self._wire = wire
        self._metrics = metrics

    def _make_api_call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        began = time.perf_counter()
        outcome, answer = "cancelled", {}
        try:
            answer = self._wire.call(operation, arguments)
            outcome = "ok"
        except ClientError as error:
            outcome, answer = error.response["Error"]["Code"], dict(error.response)
            raise
        except BotoCoreError as error:
            outcome = type(error).__name__
            raise
        finally:
            self._measure(operation, outcome, answer, time.perf_counter() - began)
        return answer

    def _measure(
        self, operation: str, outcome: str, answer: dict[str, Any], seconds: float
    ) -> None:
        self._metrics.calls.labels(operation, outcome).inc()
        self._metrics.call_seconds.labels(operation).observe(seconds)
        retries = answer.get("ResponseMetadata", {}).get("RetryAttempts", 0)
        self._metrics.retries.labels(operation).inc(retries)
        self._metrics.capacity.labels(operation).inc(_units(answer.get("ConsumedCapacity")))


def _units(capacity: Any) -> float:
    """Add up what an answer says it consumed: a transaction's says so for each of its tables."""
    tables = capacity if isinstance(capacity, list) else [capacity or {}]
    return float(sum(table.get("CapacityUnits", 0) for table in tables))
