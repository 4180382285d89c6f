"""The one table: its keys, its indexes, and the two conversions between a task and an item.

docs/data-model.md says which access pattern each index serves.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pynamodb.attributes import ListAttribute, NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.constants import PAY_PER_REQUEST_BILLING_MODE
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from api.etags import revision_of, tag
from api.models import Priority, Status, Task

TASK = "task#"
# After every date, so that tasks without a due time end the ascending list.
UNDATED = "~"
# The item says these in its key and in its revision.
NOT_STORED = frozenset({"id", "etag"})
# The last writes of a task, newest first: a write whose answer was lost is known again by them.
LINEAGE = ("revision", "revision_1", "revision_2", "revision_3")
# Where there was no write yet.
NO_REVISION = "-"
# What an item must have to be in a list; a tombstone has none of them.
SCOPES = ("all_scope", "status_scope", "project_scope", "assignee_scope")
# A look-up costs a tenth of what making an enumeration's member from its value does.
STATUSES = {status.value: status for status in Status}
PRIORITIES = {priority.value: priority for priority in Priority}
RANKS = {priority: str(rank) for rank, priority in enumerate(Priority)}


def _index(scope: str, order: str) -> GlobalSecondaryIndex[Any]:
    """Make the index that lists the tasks of one scope in one order."""

    class Index(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call] # PynamoDB's own
        class Meta:
            projection = AllProjection()

        partition = UnicodeAttribute(attr_name=scope, hash_key=True)
        position = UnicodeAttribute(attr_name=order, range_key=True)

    return Index()


class TaskItem(Model):
    """A task as DynamoDB keeps it; unbound: `bind` gives it a table.

    Four scopes (all of a workspace, one status, one project, one assignee) times four orders
    (created, updated, due, priority) are sixteen lists, and an index each. A task without a
    project or an assignee is in none of their indexes. The table's own partition holds more than
    tasks that are there: tombstones of deleted ones, and the records of idempotency keys.
    """

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)

    all_scope = UnicodeAttribute(null=True)
    status_scope = UnicodeAttribute(null=True)
    project_scope = UnicodeAttribute(null=True)
    assignee_scope = UnicodeAttribute(null=True)
    updated_order = UnicodeAttribute()
    due_order = UnicodeAttribute()
    priority_order = UnicodeAttribute()

    title = UnicodeAttribute()
    description = UnicodeAttribute(null=True)
    status = UnicodeAttribute()
    previous_status = UnicodeAttribute(null=True)
    priority = UnicodeAttribute()
    labels = ListAttribute(of=UnicodeAttribute, null=True)
    project = UnicodeAttribute(null=True)
    assignee = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    completed_at = UnicodeAttribute(null=True)
    version = NumberAttribute()
    revision = UnicodeAttribute()
    revision_1 = UnicodeAttribute()
    revision_2 = UnicodeAttribute()
    revision_3 = UnicodeAttribute()
    expires_at = TTLAttribute(null=True)

    all_created = _index("all_scope", "sk")
    all_updated = _index("all_scope", "updated_order")
    all_due = _index("all_scope", "due_order")
    all_priority = _index("all_scope", "priority_order")
    status_created = _index("status_scope", "sk")
    status_updated = _index("status_scope", "updated_order")
    status_due = _index("status_scope", "due_order")
    status_priority = _index("status_scope", "priority_order")
    project_created = _index("project_scope", "sk")
    project_updated = _index("project_scope", "updated_order")
    project_due = _index("project_scope", "due_order")
    project_priority = _index("project_scope", "priority_order")
    assignee_created = _index("assignee_scope", "sk")
    assignee_updated = _index("assignee_scope", "updated_order")
    assignee_due = _index("assignee_scope", "due_order")
    assignee_priority = _index("assignee_scope", "priority_order")


class Place(NamedTuple):
    """Where a task's item lies, whether or not there is one."""

    workspace: str
    task_id: str

    @property
    def key(self) -> tuple[str, str]:
        return partition(self.workspace), TASK + self.task_id


def partition(workspace: str) -> str:
    return f"ws#{workspace}"


def scope(workspace: str, value: str) -> str:
    """Name the partition of one status, project or assignee.

    A workspace's name has no # in it; a value may, for it comes last.
    """
    return f"{workspace}#{value}"


def attributes(place: Place, values: dict[str, Any]) -> dict[str, Any]:
    """Say what the given fields of a task make of its item; None where an attribute goes away."""
    return {
        name: attribute
        for field, value in values.items()
        for name, attribute in _attributes_of(field, value, place)
    }


def _attributes_of(field: str, value: Any, place: Place) -> Iterator[tuple[str, Any]]:
    yield field, value or None
    match field:
        case "status" | "project" | "assignee":
            yield f"{field}_scope", scope(place.workspace, value) if value else None
        case "due_at":
            yield "due_order", f"{value or UNDATED}#{place.task_id}"
        case "updated_at":
            yield "updated_order", f"{value}#{place.task_id}"
        case "priority":
            yield "priority_order", f"{RANKS[value]}#{place.task_id}"
        case _:
            pass


def item_of(place: Place, task: Task) -> dict[str, Any]:
    """Write a new task as DynamoDB's JSON; what is empty is left out."""
    fields = {name: getattr(task, name) for name in Task.__slots__ if name not in NOT_STORED}
    item = {
        name: as_json(value)
        for name, value in attributes(place, fields).items()
        if value is not None
    }
    item["pk"], item["sk"] = map(as_json, place.key)
    item["all_scope"] = as_json(place.workspace)
    item |= dict.fromkeys(LINEAGE, as_json(NO_REVISION))
    item["revision"] = as_json(revision_of(task.etag))
    return item


def as_json(value: str | int | list[str]) -> dict[str, Any]:
    """Write a value as DynamoDB's JSON."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"L": [{"S": text} for text in value]}


def task_of(item: dict[str, Any]) -> Task:
    """Read a task straight from DynamoDB's JSON, without a model in between: a page has many."""
    return Task(
        id=item["sk"]["S"][len(TASK) :],
        title=item["title"]["S"],
        description=item["description"]["S"] if "description" in item else "",
        status=STATUSES[item["status"]["S"]],
        priority=PRIORITIES[item["priority"]["S"]],
        labels=[label["S"] for label in item["labels"]["L"]] if "labels" in item else [],
        project=item["project"]["S"] if "project" in item else None,
        assignee=item["assignee"]["S"] if "assignee" in item else None,
        due_at=item["due_at"]["S"] if "due_at" in item else None,
        created_at=item["created_at"]["S"],
        updated_at=item["updated_at"]["S"],
        completed_at=item["completed_at"]["S"] if "completed_at" in item else None,
        version=int(item["version"]["N"]),
        etag=tag(item["revision"]["S"]),
    )


def bind(name: str, connection: Connection) -> type[TaskItem]:
    """Give the model a table and a connection; nothing is bound at import."""

    class Bound(TaskItem):
        class Meta:
            table_name = name
            region = connection.region
            billing_mode = PAY_PER_REQUEST_BILLING_MODE

    # PynamoDB makes a connection of its own for each model and has no seam to hand one in.
    table = Bound._get_connection()  # noqa: SLF001
    connection.add_meta_table(table.get_meta_table())
    table.connection = connection
    return Bound
