"""The lease of the one process that counts the backlog: a record that is written conditionally."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pynamodb.connection.table import TableConnection
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from api.dynamodb import store_errors
from api.dynamodb.item_json import NOT_EXISTS
from api.dynamodb.run_on_loop import run_on_loop
from api.dynamodb.transport import Transport
from api.values import epoch_milliseconds

PRIMARY_KEY = ("backlog", "backlog")
# Longer than the time between two rounds and the longest round together.
LEASE = timedelta(minutes=6)


class LeaseRepository:
    """The lease of a table; times are in milliseconds since 1970."""

    def __init__(self, table: TableConnection, transport: Transport) -> None:
        self._table = table
        self.transport = transport

    @run_on_loop
    def acquire(self, holder: str, now: datetime) -> datetime | None:
        """Take the lease, or keep it; return until when, or None if another process has it."""
        until = now + LEASE
        has_ended = Path("leased_until") <= epoch_milliseconds(now)
        is_free = NOT_EXISTS | (Path("holder") == holder) | has_ended
        actions = [Path("holder").set(holder), Path("leased_until").set(epoch_milliseconds(until))]
        return until if self._write(actions, is_free) else None

    @run_on_loop
    def release(self, holder: str) -> None:
        """End the lease if it is this holder's."""
        self._write([Path("leased_until").set(0)], Path("holder") == holder)

    def _write(self, actions: Sequence[Action], condition: Condition) -> bool:
        """Write the record; return whether the condition held."""
        return store_errors.condition_held(
            lambda: self._table.update_item(*PRIMARY_KEY, actions=actions, condition=condition)
        )
