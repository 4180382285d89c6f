"""Convert a table of an earlier version: `python -m api.tasks.conversion TABLE`.

It removes the indexes that this version does not have, rewrites the tasks, and adds the missing
indexes one at a time, as DynamoDB requires. It can be repeated after it was interrupted. Nothing
else may write to the table meanwhile. It needs AWS credentials.
"""

import os
import sys
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from api.dynamodb.item_json import Item
from api.tasks.models import Task
from api.tasks.revisions import is_tombstone
from api.tasks.table import (
    REVISION_HISTORY,
    TASK_PREFIX,
    TaskItem,
    TaskKey,
    item_of,
    task_of,
    with_open_orders,
)

POLL_SECONDS = 0.5


def convert(client: Any, table: str) -> Iterator[str]:
    """Convert a table, and yield a line for each step that was necessary."""
    _wait_until_active(client, table)
    present = _key_schemas(client, table)
    schemas = {index["index_name"]: index["key_schema"] for index in _indexes()}
    for name, schema in present.items():
        if schemas.get(name) != schema:
            yield f"Removing the index {name}"
            _update(client, table, {"Delete": {"IndexName": name}})
            _wait_until_active(client, table, absent=name)
    rewritten = sum(_rewrite(client, table, item) for item in _tasks(client, table))
    if rewritten:
        yield f"Rewrote {rewritten} tasks"
    for index in _indexes():
        name = index["index_name"]
        if present.get(name) != index["key_schema"]:
            yield f"Adding the index {name}"
            attributes = {"AttributeDefinitions": index["attribute_definitions"]}
            _update(client, table, {"Create": _creation(index)}, **attributes)
            _wait_until_active(client, table, present=name)


def is_converted(client: Any, table: str) -> bool:
    """Return whether a table has this version's indexes, or does not exist yet.

    An index that is still being filled counts: it is the embedded store that this is for.
    """
    try:
        present = _key_schemas(client, table)
    except client.exceptions.ResourceNotFoundException:
        return True
    return present == {index["index_name"]: index["key_schema"] for index in _indexes()}


def _indexes() -> list[Any]:
    # What PynamoDB's create_table uses.
    return list(TaskItem._get_schema()["global_secondary_indexes"])  # noqa: SLF001


def _creation(index: dict[str, Any]) -> dict[str, Any]:
    return {
        "IndexName": index["index_name"],
        "KeySchema": index["key_schema"],
        "Projection": index["projection"],
    }


def _key_schemas(client: Any, table: str) -> dict[str, Any]:
    description = client.describe_table(TableName=table)["Table"]
    indexes = description.get("GlobalSecondaryIndexes", [])
    return {index["IndexName"]: index["KeySchema"] for index in indexes}


def _update(client: Any, table: str, update: dict[str, Any], **attributes: Any) -> None:
    client.update_table(TableName=table, GlobalSecondaryIndexUpdates=[update], **attributes)


def _wait_until_active(client: Any, table: str, *, absent: str = "", present: str = "") -> None:
    """Wait until no index is being changed, and a change of one is seen.

    DynamoDB fills a new index from the items, and describes a table with a delay.
    """
    while True:
        description = client.describe_table(TableName=table)["Table"]
        indexes = description.get("GlobalSecondaryIndexes", [])
        names = {index["IndexName"] for index in indexes}
        states = {description["TableStatus"], *(index["IndexStatus"] for index in indexes)}
        if states == {"ACTIVE"} and absent not in names and (not present or present in names):
            return
        time.sleep(POLL_SECONDS)


def _tasks(client: Any, table: str) -> Iterator[Item]:
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    for page in pages:
        for item in page["Items"]:
            # Tombstones are in no list, and expire.
            if item["sk"]["S"].startswith(TASK_PREFIX) and not is_tombstone(item):
                yield item


def _rewrite(client: Any, table: str, item: Item) -> bool:
    """Write a task as this version does, and return whether that was a change."""
    key = TaskKey(item["pk"]["S"].partition("#")[2], item["sk"]["S"].removeprefix(TASK_PREFIX))
    written = item_of(key, _normalised(task_of(item)))
    current = {name: value for name, value in written.items() if name not in REVISION_HISTORY}
    converted = with_open_orders(item | current)
    if converted == item:
        return False
    client.put_item(
        TableName=table,
        Item=converted,
        ConditionExpression="revision = :read",
        ExpressionAttributeValues={":read": item["revision"]},
    )
    return True


def _normalised(task: Task) -> Task:
    """Write texts as filters look for them; earlier versions stored them as they were sent."""

    def normal(text: str) -> str:
        return unicodedata.normalize("NFC", text).strip()

    return replace(
        task,
        title=normal(task.title),
        labels=list(dict.fromkeys(map(normal, task.labels))),
        project=task.project and normal(task.project),
        assignee=task.assignee and normal(task.assignee),
    )


def main() -> None:
    try:
        # botocore itself reads AWS_DEFAULT_REGION only.
        client = Session().create_client("dynamodb", region_name=os.environ.get("AWS_REGION"))
        for line in convert(client, sys.argv[1]):
            sys.stdout.write(f"{line}\n")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The conversion stopped, and can be repeated: {error}")


if __name__ == "__main__":
    main()
