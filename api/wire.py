"""How a PynamoDB call reaches DynamoDB, whichever way: botocore here, the event loop next door."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials, EnvProvider
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError
from botocore.parsers import ResponseParserError
from botocore.retries.quota import RetryQuota
from pynamodb.connection import Connection

from api import attempts
from api.attempts import Attempts
from api.metrics import OK, Metrics
from api.settings import Settings

DYNAMODB_JSON = "application/x-amz-json-1."
# The calls that say what they consumed, if asked.
ITEM_OPERATIONS = frozenset({"GetItem", "PutItem", "UpdateItem", "Query", "TransactWriteItems"})

# The regions whose endpoints are all named alike.
PLAIN_REGION = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+", re.ASCII)
# What botocore would look at to find another endpoint.
SPECIAL = (
    "AWS_CONFIG_FILE",
    "AWS_DATA_PATH",
    "AWS_ENDPOINT_URL",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_USE_",
)

T = TypeVar("T")


class Wire(Protocol):
    """Carries calls to DynamoDB, and runs the PynamoDB code that makes them."""

    def call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make one call, from inside of what `run` runs.

        Raises:
            ClientError: DynamoDB refused it.
            BotoCoreError: there was no answer.
        """
        ...

    async def run(self, function: Callable[[], T]) -> T: ...

    def close(self) -> None: ...


class BotocoreWire:
    """Botocore's own client: it blocks, as a Lambda with one request at a time or a script may."""

    def __init__(self, settings: Settings) -> None:
        self._client: Any = client(session(settings), settings)
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
            answer: dict[str, Any] = self._client._make_api_call(operation, arguments)  # noqa: SLF001
        except ResponseParserError as error:
            raise ConnectionClosedError(endpoint_url=url) from error
        if not answer["ResponseMetadata"]["HTTPHeaders"]["content-type"].startswith(DYNAMODB_JSON):
            # Somebody's page: botocore makes an empty answer of it, which would say "no such item".
            raise ConnectionClosedError(endpoint_url=url)
        return answer


def endpoint_url(settings: Settings) -> str:
    """Say where DynamoDB answers.

    Botocore's resolver knows, and is one of the longest parts of a cold start: it is asked only
    where the answer is not the usual one.
    """
    if settings.dynamodb_endpoint:
        return str(settings.dynamodb_endpoint)
    if PLAIN_REGION.fullmatch(settings.aws_region) and not _is_configured():
        return f"https://dynamodb.{settings.aws_region}.amazonaws.com"
    url: str = client(session(settings), settings).meta.endpoint_url
    return url


def _is_configured() -> bool:
    # A container's user may have no home, of which pathlib would make an error.
    home = os.path.expanduser("~/.aws")  # noqa: PTH111
    return Path(home).exists() or any(name.startswith(SPECIAL) for name in os.environ)


def credentials(settings: Settings) -> Any:
    """Find credentials as botocore does, without a session where the environment holds them."""
    if settings.dynamodb_endpoint:
        # It asks for credentials and looks at none.
        return Credentials("local", "local")
    return EnvProvider().load() or session(settings).get_credentials()


def session(settings: Settings) -> botocore.session.Session:
    """Make a botocore session: a local endpoint asks for credentials and looks at none."""
    made = botocore.session.get_session()
    if settings.dynamodb_endpoint:
        made.set_credentials("local", "local")
    return made


def client(session: botocore.session.Session, settings: Settings) -> Any:
    """Make botocore's client: one attempt at a time, with time-outs that fit into a request."""
    return session.create_client(
        "dynamodb",
        region_name=settings.aws_region,
        endpoint_url=str(settings.dynamodb_endpoint) if settings.dynamodb_endpoint else None,
        config=Config(
            connect_timeout=attempts.CONNECT_SECONDS,
            read_timeout=attempts.READ_SECONDS,
            # The one mode in which botocore finds a cut answer out without a retry.
            retries={"mode": "legacy", "total_max_attempts": 1},
            parameter_validation=False,
        ),
    )


class WiredConnection(Connection):
    """PynamoDB's connection over a given wire, every call of it measured."""

    def __init__(self, wire: Wire, metrics: Metrics, region: str) -> None:
        super().__init__(region=region)
        self._seam: Any = _Seam(wire, metrics)
        metrics.expect_calls(ITEM_OPERATIONS, attempts.EXPECTED)

    @property
    def client(self) -> Any:
        return self._seam

    def dispatch(self, operation_name: str, operation_kwargs: dict[str, Any]) -> dict[str, Any]:
        """Do what PynamoDB does here, less the signals to which nobody listens."""
        if operation_name in ITEM_OPERATIONS:
            operation_kwargs.setdefault("ReturnConsumedCapacity", "TOTAL")
        return self._make_api_call(operation_name, operation_kwargs)


class _Seam:
    """The one method of botocore's client that PynamoDB calls."""

    def __init__(self, wire: Wire, metrics: Metrics) -> None:
        self._wire = wire
        self._metrics = metrics

    def _make_api_call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        began = time.perf_counter()
        outcome, notes, units = "cancelled", {}, 0.0
        try:
            answer = self._wire.call(operation, arguments)
            outcome, notes = OK, answer["ResponseMetadata"]
            units = _units(answer.get("ConsumedCapacity"))
        except (ClientError, BotoCoreError) as error:
            outcome, notes = attempts.name(error), attempts.notes(error)
            raise
        finally:
            seconds = time.perf_counter() - began
            retried = notes.get("RetriedAfter", ())
            self._metrics.observe_call(operation, outcome, seconds, retried, units)
        return answer


def _units(capacity: Any) -> float:
    """Add up what an answer says it consumed: a transaction's says so for each of its tables."""
    tables = capacity if isinstance(capacity, list) else [capacity or {}]
    return float(sum(table.get("CapacityUnits", 0) for table in tables))
