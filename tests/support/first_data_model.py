"""The table and the items of the first data model, as the first version wrote them."""

from typing import Any

SCOPES = ("all", "status", "project", "assignee")
ORDERS = {
    "created": "sk",
    "updated": "updated_order",
    "due": "due_order",
    "priority": "priority_order",
}
STATUSES = ["todo", "in_progress", "done", "cancelled"]


def _index(scope: str, order: str) -> dict[str, Any]:
    keys = {"HASH": f"{scope}_scope", "RANGE": ORDERS[order]}
    return {
        "IndexName": f"{scope}_{order}",
        "KeySchema": [{"AttributeName": name, "KeyType": kind} for kind, name in keys.items()],
        "Projection": {"ProjectionType": "ALL"},
    }


def first_schema(table: str) -> dict[str, Any]:
    """Return the arguments of CreateTable as the first version called it."""
    attributes = ["pk", "sk", *(f"{scope}_scope" for scope in SCOPES), *list(ORDERS.values())[1:]]
    return {
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "S"} for name in attributes
        ],
        "GlobalSecondaryIndexes": [_index(scope, order) for scope in SCOPES for order in ORDERS],
    }


def first_item(number: int) -> dict[str, Any]:
    """Return a task as the first version stored it."""
    task_id = f"01ARZ3NDEKTSV4RRFFQ6{number:06}"
    time, due = "2026-11-23T12:10:49.322Z", f"2027-01-{1 + number % 28:02}T00:00:00.000Z"
    status = STATUSES[number % 4]
    texts = {
        "pk": "ws#default",
        "sk": f"task#{task_id}",
        "all_scope": "default",
        "status_scope": f"default#{status}",
        "project_scope": "default# cafe\u0301",
        "updated_order": f"{time}#{task_id}",
        "due_order": f"{due}#{task_id}",
        "priority_order": f"{number % 5}#{task_id}",
        "title": f"Task {number}",
        "status": status,
        "priority": ["none", "low", "medium", "high", "urgent"][number % 5],
        "project": " cafe\u0301",
        "due_at": due,
        "created_at": time,
        "updated_at": time,
        "revision": f"{number:016x}",
        "revision_1": "f" * 16,
        "revision_2": "-",
        "revision_3": "-",
    }
    return {name: {"S": text} for name, text in texts.items()} | {"version": {"N": "2"}}


def tombstone() -> dict[str, Any]:
    item = first_item(99) | {"expires_at": {"N": "4000000000"}}
    return {name: value for name, value in item.items() if not name.endswith("_scope")}
