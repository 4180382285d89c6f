"""Restore a table under another name and compare the two: `restore.py TABLE NEW_TABLE`.

It restores the newest second that point-in-time recovery has, --at=TIME (RFC 3339), or
--backup=ARN, and exits with 1 if the new table cannot replace the first one. With --drill it then
deletes the new table. It reads every item of both. It needs AWS credentials and .venv/bin/python.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

# These scripts run by path, so the repository is not on Python's path.
sys.path.insert(0, str(Path(__file__).parents[2]))

from terraform.scripts import aws

# Large tables take hours.
POLL_SECONDS, MAX_POLLS = 20, 3 * 60 * 12
Digests = dict[str, str]
# DynamoDB's names of their types. An attribute of the same name is a dict.
SETS = {"BS", "NS", "SS"}


def restore(client: Any, source: str, target: str, options: argparse.Namespace) -> None:
    """Start the restore, and wait until the new table can be read."""
    if options.backup:
        client.restore_table_from_backup(TargetTableName=target, BackupArn=options.backup)
    else:
        when = {"RestoreDateTime": options.at} if options.at else {"UseLatestRestorableTime": True}
        client.restore_table_to_point_in_time(
            SourceTableName=source, TargetTableName=target, **when
        )
    client.get_waiter("table_exists").wait(
        TableName=target, WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": MAX_POLLS}
    )


def schema(client: Any, table: str) -> dict[str, Any]:
    """Return the keys of a table and of its indexes."""
    found = client.describe_table(TableName=table)["Table"]
    indexes = found.get("GlobalSecondaryIndexes", [])
    return {"": found["KeySchema"]} | {each["IndexName"]: each["KeySchema"] for each in indexes}


def digests(client: Any, table: str) -> Digests:
    """Return a digest of each item by its key."""
    return {
        json.dumps([item["pk"], item["sk"]], sort_keys=True): hashlib.sha256(
            json.dumps(_in_order(item), sort_keys=True, default=repr).encode()
        ).hexdigest()
        for item in _items(client, table)
    }


def _in_order(value: Any) -> Any:
    """Sort the sets of an item, which DynamoDB returns in any order."""
    if isinstance(value, list):
        return [_in_order(each) for each in value]
    if isinstance(value, dict):
        return {
            name: sorted(each) if name in SETS and isinstance(each, list) else _in_order(each)
            for name, each in value.items()
        }
    return value


def _items(client: Any, table: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def compare(source: Digests, target: Digests) -> str:
    """Return how the items differ. Those of the source that were written later are `only there`."""
    changed = sum(1 for key in source.keys() & target.keys() if source[key] != target[key])
    return (
        f"{len(target)} items were restored: {len(source.keys() & target.keys()) - changed} are "
        f"equal, {changed} have changed since, {len(target.keys() - source.keys())} were deleted "
        f"since. {len(source.keys() - target.keys())} items are only in the first table."
    )


def check(client: Any, source: str, target: str) -> None:
    """Compare the tables, and print the result.

    Raises:
        SystemExit: the new table cannot replace the first one.
    """
    if schema(client, source) != schema(client, target):
        sys.exit(f"{target} has other keys or indexes than {source}.")
    before, after = digests(client, source), digests(client, target)
    print(compare(before, after))
    if before and not after:
        sys.exit(f"{target} is empty, and {source} is not.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table")
    parser.add_argument("new_table")
    parser.add_argument("--at", type=datetime.fromisoformat, help="a time, with its time zone")
    parser.add_argument("--backup", help="ARN of a backup")
    parser.add_argument("--drill", action="store_true", help="delete the new table at the end")
    options = parser.parse_args()
    client = aws.client("dynamodb")
    restore(client, options.table, options.new_table, options)
    try:
        check(client, options.table, options.new_table)
    finally:
        if options.drill:
            client.delete_table(TableName=options.new_table)
            print(f"{options.new_table} was deleted.")


if __name__ == "__main__":
    main()
