"""When the comments of a deleted task expire: they go with its tombstone, and stay if it returns.

A comment of a task that is there never has such a mark: DynamoDB would delete it. So a deletion
sets them after the tombstone is written, and a restore removes them before the task is there again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from api.dynamodb import store_errors
from api.dynamodb.item_json import NOT_EXISTS, Item
from api.errors import OutcomeUnknown, RequestInProgress, StoreThrottled
from api.http.etags import new_revision
from api.problem import Problem
from api.tasks.comments import comment_prefix
from api.tasks.revisions import as_read, is_tombstone
from api.tasks.table import TaskItem, TaskKey, partition
from api.tasks.updates import Set

# Until the tombstone is certainly gone.
MARGIN = timedelta(days=1)
# Beside the check of the task: DynamoDB Local of 2020 takes ten items.
MAX_MARKS = 9
IS_COMMENT = Path("text").exists()
EXPIRY = Path("expires_at")


class CommentMarks:
    """The marks on the comments of one table's tasks."""

    def __init__(self, table: TableConnection) -> None:
        self._table = table

    def follow(self, key: TaskKey, item: Item) -> None:
        """Set or remove the marks of a task's comments, as the task is deleted or there.

        A failure leaves the task as it is: repeating the request does the rest.
        """
        if "comment_count" in item:
            with outcome_unknown():
                self._set(key, item) if is_tombstone(item) else self.remove(key, item)

    def remove(self, key: TaskKey, item: Item) -> None:
        """Remove the marks, unless the task is deleted or restored meanwhile."""
        unmarked = [EXPIRY.remove()]
        self._write(key, IS_COMMENT & EXPIRY.exists(), unmarked, _unchanged(item))

    def _set(self, key: TaskKey, tombstone: Item) -> None:
        expires_at = int(tombstone["expires_at"]["N"]) + int(MARGIN.total_seconds())
        other = EXPIRY.does_not_exist() | (expires_at != EXPIRY)
        marked = [Set("expires_at", expires_at)]
        self._write(key, IS_COMMENT & other, marked, _unchanged(tombstone))

    def _write(
        self, key: TaskKey, wanted: Condition, actions: Sequence[Action], unchanged: Condition
    ) -> None:
        """Write the wanted comments while the task is unchanged."""
        comments = list(self._found(key, wanted))
        while comments:
            refused = self._refusal_of(key, comments[:MAX_MARKS], actions, unchanged)
            if refused is None:
                comments = comments[MAX_MARKS:]
            elif _is_of_task(refused):
                return
            else:
                # One of the comments was deleted after it was found.
                comments = list(self._found(key, wanted))

    def _found(self, key: TaskKey, wanted: Condition) -> Iterator[str]:
        """Yield the sort keys of a task's comments that fulfil a condition."""
        after: Item | None = None
        while True:
            response = self._table.query(
                partition(key.workspace),
                range_key_condition=TaskItem.sk.startswith(comment_prefix(key)),
                filter_condition=wanted,
                attributes_to_get=["sk"],
                consistent_read=True,
                exclusive_start_key=after,
            )
            yield from (item["sk"]["S"] for item in response["Items"])
            if (after := response.get("LastEvaluatedKey")) is None:
                return

    def _refusal_of(
        self, key: TaskKey, comments: list[str], actions: Sequence[Action], unchanged: Condition
    ) -> TransactWriteError | None:
        """Write comments; return the error if the task or one of them is not as expected."""
        connection, name = self._table.connection, self._table.table_name
        check = connection.get_operation_kwargs(name, *key.primary_key, condition=unchanged)
        changes = [
            connection.get_operation_kwargs(
                name, partition(key.workspace), sk, actions=actions, condition=IS_COMMENT
            )
            for sk in comments
        ]
        try:
            connection.transact_write_items(
                [check], [], [], changes, client_request_token=new_revision()
            )
        except TransactWriteError as error:
            if store_errors.condition_failed(error):
                return error
            raise _problem_of(error) from error
        return None


def _is_of_task(refused: TransactWriteError) -> bool:
    """Return whether it is the task that has changed: its check is the first operation."""
    reason = refused.cancellation_reasons[0]
    return reason is not None and reason.code in store_errors.CONDITION_CODES


def expires_as(item: Item) -> Condition:
    """Return the condition that an item expires when the one that was read does, or not."""
    condition: Condition = EXPIRY.does_not_exist()
    if "expires_at" in item:
        condition = Path("expires_at") == int(item["expires_at"]["N"])
    return condition


def _unchanged(item: Item) -> Condition:
    """Return the condition that a task is the tombstone that was read, or still there."""
    condition: Condition = ~NOT_EXISTS & EXPIRY.does_not_exist()
    if is_tombstone(item):
        condition = as_read(item)
    return condition


def _problem_of(error: TransactWriteError) -> Exception:
    """Return a problem that needs no idempotency key to go on."""
    problem = store_errors.to_problem(error)
    if isinstance(problem, RequestInProgress):
        return StoreThrottled("Other requests keep changing this task.")
    return problem


@contextmanager
def outcome_unknown() -> Iterator[None]:
    """Raise every failure of the store as an unknown outcome: the task was written before."""
    try:
        yield
    except Problem as failed:
        raise OutcomeUnknown from failed
    except PynamoDBException as error:
        problem = store_errors.to_problem(error)
        raise (OutcomeUnknown() if isinstance(problem, Problem) else problem) from error
