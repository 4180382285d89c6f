"""PynamoDB's connection over a transport, with every call measured."""

import time
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.connection import Connection
from pynamodb.connection.table import TableConnection
from pynamodb.constants import PAY_PER_REQUEST_BILLING_MODE
from pynamodb.models import Model

from api.dynamodb import retry
from api.dynamodb.transport import Transport

# The calls that report their consumed capacity on request.
ITEM_OPERATIONS = frozenset({"GetItem", "PutItem", "UpdateItem", "Query", "TransactWriteItems"})
OK = "ok"

ModelT = TypeVar("ModelT", bound=Model)


class CallObserver(Protocol):
    """Receives one observation for each call, with its duration in seconds."""

    def __call__(
        self,
        operation: str,
        outcome: str,
        seconds: float,
        retried_after: Iterable[str],
        units: float,
    ) -> None: ...


class TransportConnection(Connection):
    """PynamoDB's connection, with a transport in the place of botocore's client."""

    def __init__(self, transport: Transport, observe: CallObserver, region: str) -> None:
        super().__init__(region=region)
        self._adapter: Any = _BotoClientAdapter(transport, observe)

    @property
    def client(self) -> Any:
        return self._adapter

    def dispatch(self, operation_name: str, operation_kwargs: dict[str, Any]) -> dict[str, Any]:
        """Do what PynamoDB does here, without its signals, which nothing listens to."""
        if operation_name in ITEM_OPERATIONS:
            operation_kwargs.setdefault("ReturnConsumedCapacity", "TOTAL")
        return self._make_api_call(operation_name, operation_kwargs)


class _BotoClientAdapter:
    """The one method of botocore's client that PynamoDB calls."""

    def __init__(self, transport: Transport, observe: CallObserver) -> None:
        self._transport = transport
        self._observe = observe

    def _make_api_call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        began = time.perf_counter()
        outcome, metadata, units = "cancelled", {}, 0.0
        try:
            response = self._transport.call(operation, arguments)
            outcome, metadata = OK, response["ResponseMetadata"]
            units = _consumed_units(response.get("ConsumedCapacity"))
        except (ClientError, BotoCoreError) as error:
            outcome, metadata = retry.error_name(error), retry.error_metadata(error)
            raise
        finally:
            seconds = time.perf_counter() - began
            retried_after = metadata.get("RetriedAfter", ())
            self._observe(operation, outcome, seconds, retried_after, units)
        return response


def _consumed_units(capacity: Any) -> float:
    """Add up the consumed capacity; a transaction reports it for each table."""
    tables = capacity if isinstance(capacity, list) else [capacity or {}]
    return float(sum(table.get("CapacityUnits", 0) for table in tables))


def bind(model: type[ModelT], name: str, connection: Connection) -> type[ModelT]:
    """Return the model bound to a table and a connection; nothing is bound at import."""

    class Bound(model):  # type: ignore[valid-type,misc]
        class Meta:
            table_name = name
            region = connection.region
            billing_mode = PAY_PER_REQUEST_BILLING_MODE

    # PynamoDB makes its own connection for each model and offers no way to pass one in.
    table = table_of(Bound)
    connection.add_meta_table(table.get_meta_table())
    table.connection = connection
    return Bound


def table_of(model: type[Model]) -> TableConnection:
    return model._get_connection()  # noqa: SLF001 - PynamoDB has no public name for it
