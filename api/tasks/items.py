"""Single items, read and conditionally written so that a lost response does no harm.

A refused write may be one that an earlier attempt made before its response was lost. The item
tells: by a task's revision history, by a tombstone, or by the record of an idempotency key.
"""

from typing import Any, NamedTuple

from pynamodb.connection.table import TableConnection
from pynamodb.constants import ALL_NEW, ITEM
from pynamodb.exceptions import GetError, PynamoDBException, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from api.dynamodb import store_errors
from api.dynamodb.item_json import NOT_EXISTS, Item
from api.errors import StoreThrottled
from api.http.etags import etag_of, new_revision, revision_of
from api.tasks.comment_marks import CommentMarks
from api.tasks.errors import TaskNotFound
from api.tasks.idempotency import Claim
from api.tasks.models import Task
from api.tasks.revisions import covers, is_tombstone, last_state
from api.tasks.table import TaskItem, TaskKey, task_of
from api.tasks.trash import TaskRestoration
from api.tasks.updates import TaskDeletion, TaskUpdate

# How often a write under `If-Match: *` re-reads when other writes come in between.
MAX_REREADS = 5


class ConditionFailedError(Exception):
    """A write's condition did not hold; `current` is the task as it is now."""

    def __init__(self, current: Task) -> None:
        super().__init__(current.etag)
        self.current = current


class ConcurrentWriteError(Exception):
    """Another request wrote the item after it was read: nothing was done."""


class Written(NamedTuple):
    """An item after a write."""

    item: Item
    # Whether an earlier run of the bulk that it belongs to made the write, and counted it.
    was_there: bool = False


class Items:
    """The items of one table, by their primary keys."""

    def __init__(self, table: TableConnection) -> None:
        self._table = table
        self.marks = CommentMarks(table)

    def write(self, key: TaskKey, write: TaskUpdate | TaskDeletion) -> Written:
        """Write on the state that If-Match names, and return the item after the write.

        Raises:
            Problem: the task's state does not allow the write.
        """
        try:
            return self._write(key, write)
        except ConditionFailedError as failed:
            raise write.refusal(failed.current) from failed

    def _write(self, key: TaskKey, write: TaskUpdate | TaskDeletion) -> Written:
        """Make the write.

        What depends on the item is bound to the revision that is there, so that a late attempt
        fails: `If-Match: *`, and a change of single labels.
        """
        if not write.needs_item:
            return self._write_on(write.match.revisions, key, write)
        for _ in range(MAX_REREADS):
            item = self.read(key.primary_key)
            if item is not None and write.already_applied(item):
                return Written(item, was_there=True)
            if isinstance(write, TaskDeletion) and item and is_tombstone(item):
                # A repeated deletion, whose first attempt may have set no marks.
                self.marks.follow(key, item)
            item = require_live(item)
            current = item["revision"]["S"]
            if not write.match.accepts(current):
                raise ConditionFailedError(task_of(item))
            try:
                return self._write_on(frozenset({current}), key, write.bound_to(item))
            except ConditionFailedError as failed:
                # Still the same state: its status does not allow the move.
                if failed.current.etag == etag_of(current):
                    raise
        raise StoreThrottled("Other requests keep changing this task.")

    def _write_on(
        self, revisions: frozenset[str], key: TaskKey, write: TaskUpdate | TaskDeletion
    ) -> Written:
        try:
            return self._attempt(revisions, key, write)
        except ConditionFailedError as failed:
            # Either state has other attributes to write; which one it is, the refusal shows.
            corrected = write.in_state_of(failed.current.status)
            if corrected == write or revision_of(failed.current.etag) not in revisions:
                raise
            return self._attempt(revisions, key, corrected)

    def _attempt(
        self, revisions: frozenset[str], key: TaskKey, write: TaskUpdate | TaskDeletion
    ) -> Written:
        try:
            response = self._table.update_item(
                *key.primary_key,
                actions=write.actions(key),
                condition=write.condition(revisions),
                return_values=ALL_NEW,
            )
        except UpdateError as error:
            if not store_errors.condition_failed(error):
                raise
            return self._already_written(error, revisions, key, write)
        return Written(response["Attributes"])

    def _already_written(
        self,
        error: UpdateError,
        revisions: frozenset[str],
        key: TaskKey,
        write: TaskUpdate | TaskDeletion,
    ) -> Written:
        """Return the item if the refused write was made before, or raise why it was refused.

        It was made by this call if one of its attempts may have taken effect.
        """
        item = self.read_after(error, key.primary_key)
        if item is None:
            raise TaskNotFound
        if write.already_applied(item):
            return Written(item, was_there=not store_errors.outcome_unknown(error))
        if store_errors.outcome_unknown(error) and not covers(item, revisions):
            raise error
        if is_tombstone(item):
            raise TaskNotFound
        raise ConditionFailedError(task_of(item)) from error

    def restore(self, key: TaskKey, restoration: TaskRestoration) -> Item:
        """Give a deleted task back, and return it as it is now; one that is there stays."""
        for _ in range(MAX_REREADS):
            item = self.read(key.primary_key)
            if item is None:
                raise TaskNotFound
            if not is_tombstone(item) or restoration.already_applied(item):
                return last_state(item)
            if restoration.is_late(item):
                raise TaskNotFound
            if (restored := self._restore_from(item, key, restoration)) is not None:
                return restored
        raise StoreThrottled("Other requests keep changing this task.")

    def _restore_from(
        self, tombstone: Item, key: TaskKey, restoration: TaskRestoration
    ) -> Item | None:
        """Return the restored item, or None if the tombstone is no longer as it was read."""
        revision = tombstone["revision"]["S"]
        if "comment_count" in tombstone:
            self.marks.remove(key, tombstone)
        try:
            response = self._table.update_item(
                *key.primary_key,
                actions=restoration.actions(key, tombstone),
                condition=TaskItem.revision == revision,
                return_values=ALL_NEW,
            )
        except UpdateError as error:
            if not store_errors.condition_failed(error):
                raise
            if store_errors.outcome_unknown(error):
                require_history(error, self.read_after(error, key.primary_key), revision)
            return None
        restored: Item = response["Attributes"]
        return restored

    def refusal_of(self, puts: list[dict[str, Any]]) -> TransactWriteError | None:
        """Make puts in one transaction; return the error if a condition did not hold."""
        try:
            self._table.connection.transact_write_items(
                [], [], puts, [], client_request_token=new_revision()
            )
        except TransactWriteError as error:
            if not store_errors.condition_failed(error):
                raise
            return error
        return None

    def put(self, key: tuple[str, str], item: Item, condition: Condition) -> dict[str, Any]:
        return self._table.connection.get_operation_kwargs(
            self._table.table_name, *key, key=ITEM, attributes=item, condition=condition
        )

    def change(
        self, key: tuple[str, str], actions: list[Action], condition: Condition
    ) -> dict[str, Any]:
        return self._table.connection.get_operation_kwargs(
            self._table.table_name, *key, actions=actions, condition=condition
        )

    def read(self, key: tuple[str, str]) -> Item | None:
        response = self._table.get_item(*key, consistent_read=True)
        item: Item | None = response.get("Item")
        return item

    def read_after(self, refused: PynamoDBException, key: tuple[str, str]) -> Item | None:
        """Read what refused a write; if that fails, an unknown outcome stays unknown."""
        try:
            return self.read(key)
        except GetError:
            if store_errors.outcome_unknown(refused):
                raise refused from None
            raise

    def live(self, key: TaskKey) -> Item:
        """Read a task's item.

        Raises:
            TaskNotFound: there is none, or only a tombstone.
        """
        return require_live(self.read(key.primary_key))


def is_free(claim: Claim) -> Condition:
    """Return the condition that no valid record has a claim's idempotency key."""
    is_free: Condition = NOT_EXISTS | (TaskItem.expires_at <= claim.now)
    return is_free


def require_history(error: PynamoDBException, item: Item | None, revision: str) -> None:
    """Raise a refusal of unknown outcome that an item's history since a revision cannot explain."""
    known = item is not None and covers(item, frozenset({revision}))
    if store_errors.outcome_unknown(error) and not known:
        raise error


def require_live(item: Item | None) -> Item:
    if item is None or is_tombstone(item):
        raise TaskNotFound
    return item
