"""How a PynamoDB call reaches DynamoDB: by a wire, and by what botocore knows of the way."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import botocore.session
from botocore.credentials import Credentials, EnvProvider
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.connection import Connection

from api import attempts
from api.metrics import OK, Metrics
from api.settings import Settings

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
    """Make botocore's client, which knows where DynamoDB answers."""
    return session.create_client("dynamodb", region_name=settings.aws_region)


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
