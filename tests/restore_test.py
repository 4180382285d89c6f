"""terraform/scripts/restore.py: a table is restored beside the first one, and compared with it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from api.local.processes import ROOT

SCRIPT = ROOT / "terraform/scripts/restore.py"
REGION = "eu-central-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": REGION,
}
TABLE = "restore-test"
KEYS = ("pk", "sk")
COMPARED = (
    "3 items were restored: 1 are equal, 1 have changed since, 1 were deleted since. "
    "1 items are only in the first table."
)


def item(number: int, title: str = "kept", labels: str = "ab") -> dict[str, Any]:
    values = {"title": {"S": title}, "labels": {"SS": list(labels)}}
    return {"pk": {"S": "acme"}, "sk": {"S": str(number)}, **values}


@pytest.fixture
def dynamodb(moto: str) -> Iterator[Any]:
    """A client; afterwards there are none of the tables."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=moto,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_table(
        TableName=TABLE,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in KEYS],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(3):
        client.put_item(TableName=TABLE, Item=item(number))
    yield client
    for name in client.list_tables()["TableNames"]:
        if name.startswith(TABLE):
            client.delete_table(TableName=name)


def restore(moto: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, TABLE, f"{TABLE}-new", *arguments],
        env=os.environ | CREDENTIALS | {"AWS_ENDPOINT_URL": moto},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_restored_table_stays_and_is_compared(moto: str, dynamodb: Any) -> None:
    done = restore(moto)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 items were restored: 3 are equal, 0 have changed since,")
    assert dynamodb.scan(TableName=f"{TABLE}-new")["Count"] == 3


def test_a_backup_is_compared_with_what_changed_since(moto: str, dynamodb: Any) -> None:
    """The order of a set is no change. The table of a drill is deleted at the end."""
    backup = dynamodb.create_backup(TableName=TABLE, BackupName="nightly")["BackupDetails"]
    dynamodb.put_item(TableName=TABLE, Item=item(0, "changed"))
    dynamodb.put_item(TableName=TABLE, Item=item(2, labels="ba"))
    dynamodb.put_item(TableName=TABLE, Item=item(3, "created"))
    dynamodb.delete_item(TableName=TABLE, Key={key: item(1)[key] for key in KEYS})
    done = restore(moto, f"--backup={backup['BackupArn']}", "--drill")
    assert done.stdout.splitlines() == [
        COMPARED,
        f"{TABLE}-new was deleted.",
    ]
    assert done.returncode == 0
    assert f"{TABLE}-new" not in dynamodb.list_tables()["TableNames"]


def test_an_empty_restore_fails(moto: str, dynamodb: Any) -> None:
    """A backup of before the first task is no replacement."""
    for number in range(3):
        dynamodb.delete_item(TableName=TABLE, Key={key: item(number)[key] for key in KEYS})
    backup = dynamodb.create_backup(TableName=TABLE, BackupName="empty")["BackupDetails"]
    dynamodb.put_item(TableName=TABLE, Item=item(0))
    done = restore(moto, f"--backup={backup['BackupArn']}")
    assert (done.returncode, done.stderr) == (1, f"{TABLE}-new is empty, and {TABLE} is not.\n")
