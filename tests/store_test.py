"""The embedded store: its transactions are all or nothing, whatever its snapshots share."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.builders import settings

KEY = {"AttributeName": "pk", "KeyType": "HASH"}
RANGE = {"AttributeName": "sk", "KeyType": "RANGE"}


@pytest.fixture(params=[[KEY], [KEY, RANGE]], ids=["without a range key", "with one"])
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
    made = resource.create_table(
        TableName=settings(moto).table_name,
        KeySchema=request.param,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
        BillingMode="PAY_PER_REQUEST",
    )
    for letter in "abc":
        made.put_item(Item={**dict.fromkeys(("pk", "sk"), letter), "n": 1})
    yield made
    resource.meta.client.close()


def _key(table: Any, letter: str) -> dict[str, str]:
    return {key["AttributeName"]: letter for key in table.key_schema}


def _put(table: Any, letter: str, **more: Any) -> dict[str, Any]:
    item = dict.fromkeys(("pk", "sk"), letter)
    return {"Put": {"TableName": table.name, "Item": {**item, "n": 2}, **more}}


def _state(table: Any) -> list[tuple[str, int]]:
    return sorted((item["pk"], int(item["n"])) for item in table.scan()["Items"])


def test_a_transaction_is_made_whole(table: Any) -> None:
    """All of its parts are there afterwards."""
    gone = {"Delete": {"TableName": table.name, "Key": _key(table, "b")}}
    table.meta.client.transact_write_items(TransactItems=[_put(table, "a"), gone, _put(table, "d")])
    assert _state(table) == [("a", 2), ("c", 1), ("d", 2)]


@pytest.mark.parametrize("with_update", [False, True])
def test_a_transaction_that_is_refused_changes_nothing(table: Any, with_update: bool) -> None:
    """None of its parts, whichever of them was made before the one that was refused."""
    update = {
        "Update": {
            "TableName": table.name,
            "Key": _key(table, "c"),
            "UpdateExpression": "SET n = :two",
            "ExpressionAttributeValues": {":two": 2},
        }
    }
    parts = [
        _put(table, "a"),
        {"Delete": {"TableName": table.name, "Key": _key(table, "b")}},
        _put(table, "d"),
        *([update] if with_update else []),
        _put(table, "e"),
    ]
    parts[-1] = {"Put": {**parts[-1]["Put"], "ConditionExpression": "attribute_exists(pk)"}}
    with pytest.raises(ClientError, match="TransactionCanceled"):
        table.meta.client.transact_write_items(TransactItems=parts)
    assert _state(table) == [("a", 1), ("b", 1), ("c", 1)]
