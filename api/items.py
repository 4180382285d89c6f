"""Single items: read, and written under a condition so that a lost answer can be made good.

A write that is refused may be one that was made by an attempt whose answer got lost. What was
written tells: a task's lineage, a tombstone, or the record of an idempotency key.
"""

from typing import Any

from pynamodb.connection.table import TableConnection
from pynamodb.constants import ALL_NEW, ITEM
from pynamodb.exceptions import GetError, PynamoDBException, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition

from api import edits, failures
from api.edits import Edit, Item, Removal
from api.errors import StoreThrottled, TaskNotFound
from api.etags import new_revision, tag
from api.idempotency import Claim
from api.models import Task
from api.table import Place, TaskItem, task_of

NEW = TaskItem.pk.does_not_exist()
# How often a write of "whatever is there" looks again, when others write in between.
MOST_LOOKS = 5


class ConditionFailedError(Exception):
    """A write was refused; the task as it is now says why."""

    def __init__(self, current: Task) -> None:
        super().__init__(current.etag)
        self.current = current


class OvertakenError(Exception):
    """Somebody else has written the item since it was read: nothing was done."""


class Items:
    """The items of one table, by their keys."""

    def __init__(self, table: TableConnection) -> None:
        self._table = table

    def write(self, place: Place, write: Edit | Removal) -> Item:
        """Make a write on the state it names, and return the item after it.

        Where it names none, on the one that is there: an attempt that is late finds another.
        """
        if not write.match.any_revision:
            return self._write_on(write.match.revisions, place, write)
        for _ in range(MOST_LOOKS):
            current = self.live(place)["revision"]["S"]
            try:
                return self._write_on(frozenset({current}), place, write)
            except ConditionFailedError as refused:
                # The same state still: its status does not allow the move.
                if refused.current.etag == tag(current):
                    raise
        raise StoreThrottled("Others keep changing this task.")

    def _write_on(self, revisions: frozenset[str], place: Place, write: Edit | Removal) -> Item:
        try:
            answer = self._table.update_item(
                *place.key,
                actions=write.actions(place),
                condition=write.condition(revisions),
                return_values=ALL_NEW,
            )
        except UpdateError as error:
            if not failures.was_refused(error):
                raise
            return self._made_before(error, revisions, place, write)
        item: Item = answer["Attributes"]
        return item

    def _made_before(
        self, error: UpdateError, revisions: frozenset[str], place: Place, write: Edit | Removal
    ) -> Item:
        """Return the item if a write that was refused has been made, or say why it was refused."""
        item = self._read_after(error, place.key)
        if item is None:
            raise TaskNotFound
        if write.was_made(item):
            return item
        if failures.in_doubt(error) and not edits.reaches_back(item, revisions):
            raise error
        if edits.is_tombstone(item):
            raise TaskNotFound
        raise ConditionFailedError(task_of(item)) from error

    def write_once(self, claim: Claim, task: Task, put: dict[str, Any]) -> Item | None:
        """Put an item and the record of its key, or neither; return the record that was first."""
        spare = NEW | (TaskItem.expires_at <= claim.now)
        record = self.put(claim.key, claim.record(task), spare)
        try:
            self._table.connection.transact_write_items(
                [], [], [record, put], [], client_request_token=new_revision()
            )
        except TransactWriteError as error:
            if not failures.was_refused(error):
                raise
            first = self._read_after(error, claim.key)
            if first is None or not claim.holds(first):
                raise OvertakenError from error
            # Its own, from an attempt whose answer was lost: then this request is the first.
            return None if first["revision"] == record[ITEM]["revision"] else first
        return None

    def put(self, key: tuple[str, str], item: Item, condition: Condition) -> dict[str, Any]:
        return self._table.connection.get_operation_kwargs(
            self._table.table_name, *key, key=ITEM, attributes=item, condition=condition
        )

    def read(self, key: tuple[str, str]) -> Item | None:
        answer = self._table.get_item(*key, consistent_read=True)
        item: Item | None = answer.get("Item")
        return item

    def _read_after(self, refused: PynamoDBException, key: tuple[str, str]) -> Item | None:
        """Read what refused a write; where that fails, a write in doubt stays in doubt."""
        try:
            return self.read(key)
        except GetError:
            if failures.in_doubt(refused):
                raise refused from None
            raise

    def live(self, place: Place) -> Item:
        item = self.read(place.key)
        if item is None or edits.is_tombstone(item):
            raise TaskNotFound
        return item
