"""The access patterns of tasks, one method each."""

from typing import NamedTuple, cast

from pynamodb.exceptions import PynamoDBException

from api.dynamodb import store_errors
from api.dynamodb.connection import table_of
from api.dynamodb.item_json import NOT_EXISTS, Item
from api.dynamodb.run_on_loop import run_on_loop
from api.dynamodb.transport import Transport
from api.errors import RequestInProgress
from api.tasks.idempotency import Claim, Replay, recorded_task, replay_of
from api.tasks.items import ConcurrentWriteError, Items
from api.tasks.joint_changes import JointChange, write_once
from api.tasks.models import Status, Task
from api.tasks.names import NameField, NamesInUse, count_names
from api.tasks.pages import PageReader
from api.tasks.query_plan import QueryPlan
from api.tasks.revisions import last_state
from api.tasks.table import TaskItem, TaskKey, item_of, task_of
from api.tasks.trash import TaskRestoration
from api.tasks.updates import TaskDeletion, TaskUpdate


class UpdatedTask(NamedTuple):
    """A task after a change, and its status before, if that is known and not yet counted."""

    task: Task
    previous_status: Status | None


class TaskRepository:
    """The tasks of all workspaces; each method reads or writes one workspace."""

    def __init__(self, model: type[TaskItem], transport: Transport) -> None:
        self._model = model
        self._table = table_of(model)
        self._items = Items(self._table)
        self.transport = transport

    @run_on_loop
    def add(self, key: TaskKey, task: Task) -> bool:
        """Add a task; return whether it was this call, and no earlier run of the same bulk."""
        try:
            self._table.put_item(
                *key.primary_key, attributes=item_of(key, task), condition=NOT_EXISTS
            )
        except PynamoDBException as error:
            # The id is new: an item under it is from an attempt whose response was lost, or from
            # an earlier run.
            if not store_errors.condition_failed(error):
                raise
            return store_errors.outcome_unknown(error)
        return True

    @run_on_loop
    def add_once(self, key: TaskKey, task: Task, claim: Claim) -> Replay | None:
        """Add a task under an idempotency key, or return the earlier response."""
        put = self._items.put(key.primary_key, item_of(key, task), NOT_EXISTS)
        try:
            record = write_once(self._items, claim, recorded_task(task), put)
        except ConcurrentWriteError:
            # The id is new, so the record was in the way; it has expired since.
            raise RequestInProgress from None
        return replay_of(record) if record else None

    @run_on_loop
    def get(self, key: TaskKey) -> Task:
        return task_of(self._items.live(key))

    @run_on_loop
    def change(self, key: TaskKey, update: TaskUpdate) -> UpdatedTask:
        if update.comment:
            # Without an idempotency key there is no earlier response.
            return _updated(cast("Item", JointChange(key, update).make(self._items)), update)
        item, was_there = self._items.write(key, update)
        if item["revision"]["S"] == update.revision and not was_there:
            return _updated(item, update)
        # A later write has replaced the previous status that this change stored, or the move was
        # counted before.
        return UpdatedTask(task_of(last_state(item)), None)

    @run_on_loop
    def change_once(self, key: TaskKey, update: TaskUpdate, claim: Claim) -> UpdatedTask | Replay:
        """Change a task under an idempotency key, or return the earlier response.

        The response is stored with the change, so the task must be read before.
        """
        done = JointChange(key, update, claim).make(self._items)
        return done if isinstance(done, Replay) else _updated(done, update)

    @run_on_loop
    def delete(self, key: TaskKey, deletion: TaskDeletion) -> None:
        item, _ = self._items.write(key, deletion)
        self._items.marks.follow(key, item)

    @run_on_loop
    def restore(self, key: TaskKey, restoration: TaskRestoration) -> Task:
        item = self._items.restore(key, restoration)
        # A deletion that was repeated meanwhile may have marked some again.
        self._items.marks.follow(key, item)
        return task_of(item)

    @run_on_loop
    def page(
        self, plan: QueryPlan, limit: int, position: str | None
    ) -> tuple[list[Item], str | None]:
        """Read a page after a position, and return it with the position of the next one."""
        return PageReader(self._table, plan, limit, position).read()

    @run_on_loop
    def names_in_use(self, workspace: str, field: NameField) -> NamesInUse:
        return count_names(self._table, workspace, field)

    @run_on_loop
    def ping(self) -> None:
        """Read an item that does not exist, with the permission that reading a task needs."""
        self._table.get_item("ping", "ping")

    @run_on_loop
    def create_table(self) -> None:
        # A table whose time to live is enabled refuses to enable it again.
        self._model.create_table(wait=True, ignore_update_ttl_errors=True)


def _updated(item: Item, update: TaskUpdate) -> UpdatedTask:
    task = task_of(item)
    moved = "status" in update.values
    return UpdatedTask(task, Status(item["previous_status"]["S"]) if moved else task.status)
