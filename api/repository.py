"""Every access pattern of the table, a method each; the only place that knows PynamoDB's errors."""

import logging
from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from pynamodb.constants import ALL_NEW
from pynamodb.exceptions import PynamoDBException
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from api.errors import StoreThrottled, StoreUnavailable, TableMissing, TaskNotFound
from api.etags import Match
from api.listing import Listing
from api.models import Status, Task
from api.table import TASK, TaskItem, attributes, item_of, partition, task_of
from api.wire import THROTTLING_CODES, Wire

if TYPE_CHECKING:
    from pynamodb.attributes import Attribute

CONDITION_FAILED = "ConditionalCheckFailedException"
# Faults of this service, which waiting does not mend; they must not hide behind a 503.
OUR_FAULT = frozenset({"SerializationException", "ValidationException"})

# What one page may cost: a thousand rows of a kilobyte are 125 request units.
MOST_ROWS_READ = 1000

NEW = TaskItem.pk.does_not_exist()
THERE = TaskItem.pk.exists()
NEXT_VERSION = TaskItem.version.add(1)
# The right side is the status before this update: DynamoDB reads before it writes.
KEEP_STATUS = TaskItem.previous_status.set(TaskItem.status)

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class ConditionFailedError(Exception):
    """A write was refused; the task as it is now says why."""

    def __init__(self, current: Task) -> None:
        super().__init__(current.etag)
        self.current = current


class Edit(NamedTuple):
    """A change to make to one task, on the conditions under which it may be made."""

    match: Match
    values: dict[str, Any]
    revision: str
    # The statuses that allow the move; none are named where the status stays.
    from_statuses: frozenset[Status] = frozenset()


class Edited(NamedTuple):
    """A task after a change, and the status it had before."""

    task: Task
    previous_status: Status


def over_the_wire(
    method: Callable[Concatenate["TaskRepository", P], R],
) -> Callable[Concatenate["TaskRepository", P], Coroutine[Any, Any, R]]:
    """Let a method of PynamoDB calls be awaited, and say its failures in the service's words."""

    @wraps(method)
    async def awaitable(self: "TaskRepository", /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await self.wire.run(partial(method, self, *args, **kwargs))
        except PynamoDBException as error:
            raise _problem(error) from error

    return awaitable


class TaskRepository:
    """The tasks of all workspaces; each method reaches into one."""

    def __init__(self, model: type[TaskItem], wire: Wire) -> None:
        self._model = model
        self._table = model._get_connection()  # noqa: SLF001 - see table.bind
        self.wire = wire

    @over_the_wire
    def add(self, workspace: str, task: Task) -> None:
        try:
            self._table.put_item(
                partition(workspace),
                TASK + task.id,
                attributes=item_of(workspace, task),
                condition=NEW,
            )
        except PynamoDBException as error:
            # The id is fresh: what is there was put by an attempt whose answer was lost.
            if error.cause_response_code != CONDITION_FAILED:
                raise

    @over_the_wire
    def get(self, workspace: str, task_id: str) -> Task:
        return task_of(self._item(workspace, task_id))

    @over_the_wire
    def change(self, workspace: str, task_id: str, edit: Edit) -> Edited:
        try:
            item = self._table.update_item(
                partition(workspace),
                TASK + task_id,
                actions=_actions(workspace, task_id, edit),
                condition=_condition(edit),
                return_values=ALL_NEW,
            )["Attributes"]
        except PynamoDBException as error:
            item = self._refused_by(error, workspace, task_id)
            # An attempt whose answer was lost may have made this very change.
            if item["revision"]["S"] != edit.revision:
                raise ConditionFailedError(task_of(item)) from error
        task = task_of(item)
        moved_from = Status(item["previous_status"]["S"]) if "status" in edit.values else None
        return Edited(task, moved_from or task.status)

    @over_the_wire
    def remove(self, workspace: str, task_id: str, match: Match) -> None:
        try:
            self._table.delete_item(partition(workspace), TASK + task_id, condition=_matches(match))
        except PynamoDBException as error:
            current = task_of(self._refused_by(error, workspace, task_id))
            raise ConditionFailedError(current) from error

    @over_the_wire
    def page(
        self, listing: Listing, limit: int, position: str | None
    ) -> tuple[list[Task], str | None]:
        """Read a page behind a position; the second value is where the next one starts, if any.

        A filter can make the page short: what it reads at most stays the same, whatever it drops.
        """
        found: list[dict[str, Any]] = []
        # One more than the page holds tells whether there is a next one.
        rows, rows_read = limit + 1, 0
        while len(found) <= limit and rows_read < MOST_ROWS_READ:
            answer = self._table.query(limit=rows, **listing.query(position))
            found += answer["Items"]
            rows_read += answer["ScannedCount"]
            rows = min(rows * 2, MOST_ROWS_READ - rows_read)
            if not (key := answer.get("LastEvaluatedKey")):
                position = None
                break
            position = listing.position(key)
        if len(found) > limit:
            position = listing.position(found[limit - 1])
        return [task_of(item) for item in found[:limit]], position

    @over_the_wire
    def ping(self) -> None:
        """Read an item that is not there: whoever may do that may read tasks."""
        self._table.get_item("ping", "ping")

    @over_the_wire
    def create_table(self) -> None:
        self._model.create_table(wait=True)

    def _item(self, workspace: str, task_id: str) -> dict[str, Any]:
        answer = self._table.get_item(partition(workspace), TASK + task_id, consistent_read=True)
        if "Item" not in answer:
            raise TaskNotFound
        item: dict[str, Any] = answer["Item"]
        return item

    def _refused_by(self, error: PynamoDBException, workspace: str, task_id: str) -> dict[str, Any]:
        """Read the item whose state refused a write, or pass on what failed otherwise."""
        if error.cause_response_code != CONDITION_FAILED:
            raise error
        return self._item(workspace, task_id)


def _matches(match: Match) -> Condition:
    if match.any_revision:
        return THERE
    # A condition needs a value to compare with, and no revision is a dash.
    return TaskItem.revision.is_in(*match.revisions or {"-"})


def _condition(edit: Edit) -> Condition:
    condition = _matches(edit.match)
    if edit.from_statuses:
        condition &= TaskItem.status.is_in(*edit.from_statuses)
    return condition


def _actions(workspace: str, task_id: str, edit: Edit) -> list[Action]:
    changed = attributes(workspace, task_id, edit.values)
    actions = [_action(name, value) for name, value in changed.items()]
    actions += [TaskItem.revision.set(edit.revision), NEXT_VERSION]
    if "status" in edit.values:
        actions.append(KEEP_STATUS)
    return actions


def _action(name: str, value: Any) -> Action:
    attribute: Attribute[Any] = getattr(TaskItem, name)
    if value is None:
        return attribute.remove()
    # Kept while the task stays done: an edit of a finished task does not finish it anew.
    return attribute.set(attribute | value if name == "completed_at" else value)


def _problem(error: PynamoDBException) -> Exception:
    code = error.cause_response_code
    if code in OUR_FAULT:
        return error
    name = code or type(error.cause).__name__
    logger.warning("store failed", extra={"fields": {"error": name, "detail": error.msg}})
    if code == "ResourceNotFoundException":
        return TableMissing("The table does not exist, or is not yet active.")
    if code in THROTTLING_CODES:
        return StoreThrottled("DynamoDB is throttling.")
    return StoreUnavailable(f"DynamoDB did not answer as it should ({name}).")
