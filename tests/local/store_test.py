"""The embedded store: its transactions are all or nothing, although its snapshots share items."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.builders import settings

HASH_KEY = {"AttributeName": "pk", "KeyType": "HASH"}
RANGE_KEY = {"AttributeName": "sk", "KeyType": "RANGE"}


@pytest.fixture(params=[[HASH_KEY], [HASH_KEY, RANGE_KEY]], ids=["hash key", "hash and range key"])
def table(moto: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A table with the items a, b and c."""
    resource: Any = boto3.resource(
        "dynamodb",
        endpoint_url=moto,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    names = [key["AttributeName"] for key in request.param]
    table = resource.create_table(
        TableName=settings(moto).table_name,
        KeySchema=request.param,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
        BillingMode="PAY_PER_REQUEST",
    )
    for letter in "abc":
        table.put_item(Item={"pk": letter, "sk": letter, "n": 1})
    yield table
    resource.meta.client.close()


def put(table: Any, letter: str, **more: Any) -> dict[str, Any]:
    item = {"pk": letter, "sk": letter, "n": 2}
    return {"Put": {"TableName": table.name, "Item": item, **more}}


def with_key(table: Any, operation: str, letter: str, **more: Any) -> dict[str, Any]:
    key = {key["AttributeName"]: letter for key in table.key_schema}
    return {operation: {"TableName": table.name, "Key": key, **more}}


def items(table: Any) -> list[tuple[str, int]]:
    return sorted((item["pk"], int(item["n"])) for item in table.scan()["Items"])


def test_a_transaction_executes_all_of_its_parts(table: Any) -> None:
    parts = [put(table, "a"), with_key(table, "Delete", "b"), put(table, "d")]
    table.meta.client.transact_write_items(TransactItems=parts)
    assert items(table) == [("a", 2), ("c", 1), ("d", 2)]


@pytest.mark.parametrize("with_update", [False, True])
def test_a_refused_transaction_changes_nothing(table: Any, with_update: bool) -> None:
    """Even if the parts before the refused one have been executed."""
    update = with_key(
        table,
        "Update",
        "c",
        UpdateExpression="SET n = :two",
        ExpressionAttributeValues={":two": 2},
    )
    parts = [
        put(table, "a"),
        with_key(table, "Delete", "b"),
        put(table, "d"),
        *([update] if with_update else []),
        put(table, "e", ConditionExpression="attribute_exists(pk)"),
    ]
    with pytest.raises(ClientError, match="TransactionCanceled"):
        table.meta.client.transact_write_items(TransactItems=parts)
    assert items(table) == [("a", 1), ("b", 1), ("c", 1)]
