"""The table's keys and indexes, and the two conversions between a task and an item.

docs/data-model.md lists the access pattern that each index serves.
"""

from typing import Any, NamedTuple

from pynamodb.attributes import ListAttribute, NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from api.dynamodb.item_json import Item, to_attribute
from api.http.etags import etag_of, revision_of
from api.principal import NO_KEY, Actor
from api.tasks.list_models import folded
from api.tasks.models import STATES, Priority, State, Status, Task

TASK_PREFIX = "task#"
# Sorts after every date: tasks without a due time come last in ascending order.
UNDATED = "~"
# Stored in the primary key and in the revision.
NOT_STORED = frozenset({"id", "etag"})
# The last writes of a task, newest first: they show whether a write with a lost response was made.
REVISION_HISTORY = ("revision", "revision_1", "revision_2", "revision_3")
# Fills the history of a task that has had fewer writes.
NO_REVISION = "-"
# The partition of `all_updated` that holds tombstones; no list reads it.
DELETED = "deleted"
# The partition of `all_updated` that holds comments, deleted ones included.
COMMENTS = "comments"
# The sort keys that only open tasks have, and the attributes that every task has for reopening it.
OPEN_ORDERS = {"open_due": "due_order", "open_priority": "priority_order"}
# What a tombstone loses, and with it its place in all indexes but `all_created` and `all_updated`.
LIST_ATTRIBUTES = ("status_scope", "project_scope", "assignee_scope", *OPEN_ORDERS)
# Ten times as fast as Status(value).
STATUSES = {status.value: status for status in Status}
PRIORITIES = {priority.value: priority for priority in Priority}
# The fields with who made a write, as `<id of the API key>#<its label>`; absent without a key.
ACTORS = ("created_by", "updated_by")
RANKS = {priority: str(rank) for rank, priority in enumerate(Priority)}


def _index(partition: str, order: str) -> GlobalSecondaryIndex[Any]:
    """Declare the index that lists the tasks of one partition in one order."""

    class Index(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call] # PynamoDB's own
        class Meta:
            projection = AllProjection()

        hash_attribute = UnicodeAttribute(attr_name=partition, hash_key=True)
        range_attribute = UnicodeAttribute(attr_name=order, range_key=True)

    return Index()


class TaskItem(Model):
    """A task as DynamoDB stores it; `connection.bind` gives it a table.

    Open and closed tasks are apart in every index, and only open ones are ordered by due time and
    priority. A task without a project or an assignee is in none of their indexes. The table's own
    partition also holds tombstones of deleted tasks, comments and the records of idempotency keys.
    """

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)

    all_scope = UnicodeAttribute()
    status_scope = UnicodeAttribute(null=True)
    project_scope = UnicodeAttribute(null=True)
    assignee_scope = UnicodeAttribute(null=True)
    state_created = UnicodeAttribute()
    updated_order = UnicodeAttribute()
    due_order = UnicodeAttribute()
    priority_order = UnicodeAttribute()
    open_due = UnicodeAttribute(null=True)
    open_priority = UnicodeAttribute(null=True)

    title = UnicodeAttribute()
    title_folded = UnicodeAttribute()
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
    created_by = UnicodeAttribute(null=True)
    updated_by = UnicodeAttribute(null=True)
    comment_count = NumberAttribute(null=True)
    version = NumberAttribute()
    revision = UnicodeAttribute()
    revision_1 = UnicodeAttribute()
    revision_2 = UnicodeAttribute()
    revision_3 = UnicodeAttribute()
    deleted_by = UnicodeAttribute(null=True)
    expires_at = TTLAttribute(null=True)

    all_created = _index("all_scope", "sk")
    all_updated = _index("all_scope", "updated_order")
    all_due = _index("all_scope", "open_due")
    all_priority = _index("all_scope", "open_priority")
    status_created = _index("status_scope", "sk")
    project_created = _index("project_scope", "state_created")
    project_due = _index("project_scope", "open_due")
    project_priority = _index("project_scope", "open_priority")
    assignee_created = _index("assignee_scope", "state_created")
    assignee_due = _index("assignee_scope", "open_due")
    assignee_priority = _index("assignee_scope", "open_priority")


class TaskKey(NamedTuple):
    """The identity of a task: its workspace and its id."""

    workspace: str
    task_id: str

    @property
    def primary_key(self) -> tuple[str, str]:
        return partition(self.workspace), TASK_PREFIX + self.task_id


def partition(workspace: str) -> str:
    return f"ws#{workspace}"


def state_partition(workspace: str, state: str) -> str:
    """Return the index partition of one state; API keys are listed in `apikey#<workspace>`.

    The state comes first, so that no workspace's name makes it another one's partition.
    """
    return f"{state}#{workspace}"


def list_partition(workspace: str, value: str) -> str:
    """Return the index partition of one status, project or assignee.

    A workspace's name contains no #; the value may, because it comes last.
    """
    return f"{workspace}#{value}"


def attributes_of(key: TaskKey, values: dict[str, Any]) -> dict[str, Any]:
    """Return the item's attributes for the given fields; None where an attribute is removed.

    All but those of OPEN_ORDERS, which depend on the state that the task has.
    """
    attributes = {field: value or None for field, value in values.items()}
    if "title" in values:
        attributes["title_folded"] = folded(values["title"])
    if "status" in values:
        state = STATES[values["status"]]
        attributes["all_scope"] = state_partition(key.workspace, state)
        attributes["state_created"] = f"{state}#{key.task_id}"
    for field in ("status", "project", "assignee"):
        if field in values:
            value = values[field]
            attributes[f"{field}_scope"] = list_partition(key.workspace, value) if value else None
    if "due_at" in values:
        attributes["due_order"] = f"{values['due_at'] or UNDATED}#{key.task_id}"
    if "updated_at" in values:
        attributes["updated_order"] = updated_order(key, values["updated_at"])
    if "priority" in values:
        attributes["priority_order"] = f"{RANKS[values['priority']]}#{key.task_id}"
    for field in ACTORS:
        if field in values:
            attributes[field] = actor_attribute(values[field])
    return attributes


def actor_attribute(actor: Actor) -> str | None:
    return actor.key_id and f"{actor.key_id}#{actor.label}"


def actor_of(item: Item, name: str) -> Actor:
    if name not in item:
        return NO_KEY
    key_id, _, label = item[name]["S"].partition("#")
    return Actor(key_id, label)


def updated_order(key: TaskKey, timestamp: str) -> str:
    return f"{timestamp}#{key.task_id}"


def time_of_update(item: Item) -> str:
    """Return when an item was last written; a tombstone, when the task was deleted."""
    order: str = item["updated_order"]["S"]
    return order.partition("#")[0]


def with_open_orders(item: Item) -> Item:
    """Return an item with the sort keys of open tasks if it is open, or without them."""
    if STATES[STATUSES[item["status"]["S"]]] is State.OPEN:
        return item | {name: item[source] for name, source in OPEN_ORDERS.items()}
    return {name: value for name, value in item.items() if name not in OPEN_ORDERS}


def item_of(key: TaskKey, task: Task) -> Item:
    """Convert a new task to DynamoDB's JSON, without its empty fields."""
    fields = {name: getattr(task, name) for name in Task.__slots__ if name not in NOT_STORED}
    item = {
        name: to_attribute(value)
        for name, value in attributes_of(key, fields).items()
        if value is not None
    }
    item["pk"], item["sk"] = map(to_attribute, key.primary_key)
    item |= dict.fromkeys(REVISION_HISTORY, to_attribute(NO_REVISION))
    item["revision"] = to_attribute(revision_of(task.etag))
    return with_open_orders(item)


def task_of(item: Item) -> Task:
    """Convert DynamoDB's JSON to a task, without a PynamoDB model, which is slow for pages."""
    return Task(
        id=item["sk"]["S"][len(TASK_PREFIX) :],
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
        created_by=actor_of(item, "created_by"),
        updated_by=actor_of(item, "updated_by"),
        comment_count=int(item["comment_count"]["N"]) if "comment_count" in item else 0,
        version=int(item["version"]["N"]),
        etag=etag_of(item["revision"]["S"]),
    )
