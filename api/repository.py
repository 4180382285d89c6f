"""Every access pattern of the table, a method each; the only place that knows PynamoDB's errors."""

from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

from pynamodb.exceptions import PynamoDBException

from api import edits, failures
from api.edits import Edit, Item, Removal
from api.errors import RequestInProgress, TaskNotFound
from api.idempotency import Claim, Replay, replay
from api.items import MOST_LOOKS, NEW, ConditionFailedError, Items, OvertakenError
from api.listing import Listing
from api.models import Status, Task
from api.table import Place, TaskItem, item_of, task_of
from api.wire import Wire

# What one page may cost: a thousand rows of a kilobyte are 125 request units.
MOST_ROWS_READ = 1000

P = ParamSpec("P")
R = TypeVar("R")


class Edited(NamedTuple):
    """A task after a change, and the status it had before, where that is still known."""

    task: Task
    previous_status: Status | None


class Wired(Protocol):
    """Whatever has a wire for its calls."""

    wire: Wire


W = TypeVar("W", bound=Wired)


def over_the_wire(
    method: Callable[Concatenate[W, P], R],
) -> Callable[Concatenate[W, P], Coroutine[Any, Any, R]]:
    """Let a method of PynamoDB calls be awaited, and say its failures in the service's words."""

    @wraps(method)
    async def awaitable(self: W, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await self.wire.run(partial(method, self, *args, **kwargs))
        except PynamoDBException as error:
            raise failures.problem(error) from error

    return awaitable


class TaskRepository:
    """The tasks of all workspaces; each method reaches into one."""

    def __init__(self, model: type[TaskItem], wire: Wire) -> None:
        self._model = model
        self._table = model._get_connection()  # noqa: SLF001 - see table.bind
        self._items = Items(self._table)
        self.wire = wire

    @over_the_wire
    def add(self, place: Place, task: Task) -> None:
        try:
            self._table.put_item(*place.key, attributes=item_of(place, task), condition=NEW)
        except PynamoDBException as error:
            # The id is fresh: what is there was put by an attempt whose answer was lost.
            if not failures.was_refused(error):
                raise

    @over_the_wire
    def add_once(self, place: Place, task: Task, claim: Claim) -> Replay | None:
        """Add a task under an idempotency key, or return what the key has already done."""
        put = self._items.put(place.key, item_of(place, task), NEW)
        try:
            record = self._items.write_once(claim, task, put)
        except OvertakenError:
            # The id is fresh: it was the record, and that has been swept since.
            raise RequestInProgress from None
        return replay(record) if record else None

    @over_the_wire
    def get(self, place: Place) -> Task:
        return task_of(self._items.live(place))

    @over_the_wire
    def change(self, place: Place, edit: Edit) -> Edited:
        item = self._items.write(place, edit)
        # What a later write has left of the status before is not this change's.
        exact = item["revision"]["S"] == edit.revision
        return _edited(item, edit) if exact else Edited(task_of(edits.last_state(item)), None)

    @over_the_wire
    def change_once(self, place: Place, edit: Edit, claim: Claim) -> Edited | Replay:
        """Change a task under an idempotency key, or return what the key has already done.

        The answer is kept with the change, so it has to be known before: the task is read first.
        """
        for _ in range(MOST_LOOKS):
            item = self._items.read(place.key)
            if item is None or edits.is_tombstone(item) or not edit.allows(item):
                return self._replay_or_refuse(item, claim)
            after = edit.applied(place, item)
            put = self._items.put(place.key, after, TaskItem.revision == item["revision"]["S"])
            try:
                record = self._items.write_once(claim, task_of(after), put)
            except OvertakenError:
                continue
            return replay(record) if record else _edited(after, edit)
        raise RequestInProgress

    @over_the_wire
    def remove(self, place: Place, removal: Removal) -> None:
        self._items.write(place, removal)

    @over_the_wire
    def page(
        self, listing: Listing, limit: int, position: str | None
    ) -> tuple[list[Task], str | None]:
        """Read a page behind a position; the second value is where the next one starts, if any.

        A filter can make the page short: what it reads at most stays the same, whatever it drops.
        """
        found: list[Item] = []
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
        # A table whose time to live is set already refuses to have it set again.
        self._model.create_table(wait=True, ignore_update_ttl_errors=True)

    def _replay_or_refuse(self, item: Item | None, claim: Claim) -> Replay:
        record = self._items.read(claim.key)
        if record is not None and claim.holds(record):
            return replay(record)
        if item is None or edits.is_tombstone(item):
            raise TaskNotFound
        raise ConditionFailedError(task_of(item))


def _edited(item: Item, edit: Edit) -> Edited:
    task = task_of(item)
    moved = "status" in edit.values
    return Edited(task, Status(item["previous_status"]["S"]) if moved else task.status)
