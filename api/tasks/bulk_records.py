"""The record of a bulk under an idempotency key, and how it is stored.

It is written before the first item, so that a repetition makes the same writes again, and
recognises those that were made (docs/decisions/0027).
"""

from datetime import datetime, timedelta
from typing import NamedTuple, Self

from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from api.dynamodb import store_errors
from api.dynamodb.item_json import Item, to_attribute
from api.dynamodb.retry import REQUEST_SECONDS
from api.dynamodb.run_on_loop import run_on_loop
from api.dynamodb.transport import Transport
from api.errors import OutcomeUnknown, RequestInProgress
from api.http.etags import new_revision
from api.tasks import updates
from api.tasks.comment_marks import outcome_unknown
from api.tasks.idempotency import RECORD_LIFETIME, Claim
from api.tasks.items import Items, is_free
from api.tasks.table import TaskKey
from api.tasks.updates import TaskUpdate
from api.tasks.writes import Origin
from api.values import epoch_milliseconds, rfc3339

# A run makes no call to the store after this time.
LEASE = timedelta(seconds=REQUEST_SECONDS)


class BulkRecord(NamedTuple):
    """What the writes of a bulk derive from, who may run it, and its results once it is done."""

    claim: Claim
    origin: Origin
    # In milliseconds since 1970; no other run begins before.
    leased_until: int = 0
    results: str | None = None

    @classmethod
    def new(cls, claim: Claim) -> Self:
        return cls(claim, Origin.new(claim.now)).leased()

    @classmethod
    def of(cls, item: Item, claim: Claim) -> Self:
        return cls(
            claim._replace(fingerprint=item["fingerprint"]["S"]),
            Origin(datetime.fromisoformat(item["began"]["S"]), item["seed"]["S"]),
            int(item["leased_until"]["N"]),
            item["results"]["S"] if "results" in item else None,
        )

    def leased(self) -> Self:
        """Return the record with a lease from now on."""
        return self._replace(leased_until=epoch_milliseconds(self.claim.now + LEASE))

    @property
    def is_leased(self) -> bool:
        return self.leased_until > epoch_milliseconds(self.claim.now)

    def item(self) -> Item:
        values: dict[str, str | int] = {
            "fingerprint": self.claim.fingerprint,
            "seed": self.origin.seed,
            "began": rfc3339(self.origin.began),
            "leased_until": self.leased_until,
            "expires_at": int((self.origin.began + RECORD_LIFETIME).timestamp()),
        }
        if self.results is not None:
            values["results"] = self.results
        return {name: to_attribute(value) for name, value in values.items()}


class Operation(NamedTuple):
    """One write of a transaction: it puts an item, or changes the one that was read."""

    key: TaskKey
    item: Item
    condition: Condition
    actions: list[Action] | None = None


class RefusedTransactionError(Exception):
    """A condition of a transaction did not hold."""

    def __init__(self, *, outcome_unknown: bool) -> None:
        super().__init__()
        # Whether it may be an earlier attempt at the same transaction that has changed the items.
        self.outcome_unknown = outcome_unknown


class BulkRepository:
    """The records of bulks, and what their writes need beyond those of single requests."""

    def __init__(self, table: TableConnection, transport: Transport) -> None:
        self._table = table
        self._items = Items(table)
        self.transport = transport

    @run_on_loop
    def begin(self, record: BulkRecord) -> BulkRecord:
        """Store a record if its idempotency key is free; return the one that is stored."""
        claim = record.claim
        if self._put(record, is_free(claim)):
            return record
        stored = self._items.read(claim.primary_key)
        if stored is None or not claim.accepts(stored):
            # It has expired since.
            raise RequestInProgress
        return BulkRecord.of(stored, claim)

    @run_on_loop
    def resume(self, record: BulkRecord) -> BulkRecord:
        """Lease a record whose run has ended without results.

        Raises:
            RequestInProgress: another request leased it first.
        """
        leased = record.leased()
        if not self._put(leased, Path("leased_until") == record.leased_until):
            raise RequestInProgress
        return leased

    @run_on_loop
    def end(self, record: BulkRecord, results: str | None) -> None:
        """Store the results, or without them end the lease: a repetition need not wait."""
        ended = record._replace(leased_until=0, results=results)
        self._put(ended, (Path("seed") == record.origin.seed) & Path("results").does_not_exist())

    @run_on_loop
    def require_known_outcome(self, key: TaskKey, update: TaskUpdate, began: str) -> None:
        """Refuse a change that may have been made since a time, if its item no longer tells.

        Raises:
            OutcomeUnknown: the change, if it was made, is no longer in the revision history.
        """
        item = self._items.read(key.primary_key)
        if item is not None and not updates.shows_since(item, update, began):
            raise OutcomeUnknown

    @run_on_loop
    def find(self, claim: Claim) -> BulkRecord | None:
        item = self._items.read(claim.primary_key)
        return BulkRecord.of(item, claim) if item and claim.accepts(item) else None

    @run_on_loop
    def read(self, key: TaskKey) -> Item | None:
        return self._items.read(key.primary_key)

    @run_on_loop
    def mark_comments(self, key: TaskKey) -> None:
        """Let the comments of a task that was deleted expire with it."""
        with outcome_unknown():
            if (item := self._items.read(key.primary_key)) is not None:
                self._items.marks.follow(key, item)

    @run_on_loop
    def transact(self, operations: list[Operation], record: BulkRecord | None) -> None:
        """Make all writes and store the record, or do nothing.

        Raises:
            RefusedTransactionError: a condition did not hold.
        """
        puts, changes = [], []
        for key, item, condition, actions in operations:
            if actions is None:
                puts.append(self._items.put(key.primary_key, item, condition))
            else:
                changes.append(self._items.change(key.primary_key, actions, condition))
        if record:
            puts.append(
                self._items.put(record.claim.primary_key, record.item(), is_free(record.claim))
            )
        if not puts and not changes:
            return
        try:
            self._table.connection.transact_write_items(
                [], [], puts, changes, client_request_token=new_revision()
            )
        except TransactWriteError as error:
            if not store_errors.condition_failed(error):
                raise
            unknown = store_errors.outcome_unknown(error)
            raise RefusedTransactionError(outcome_unknown=unknown) from error

    def _put(self, record: BulkRecord, condition: Condition) -> bool:
        """Store a record; return whether the condition held."""
        return store_errors.condition_held(
            lambda: self._table.put_item(
                *record.claim.primary_key, attributes=record.item(), condition=condition
            )
        )
