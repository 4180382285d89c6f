"""The fault proxy: what the client receives and what the store holds after each fault."""

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, RemoteDisconnected
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectionClosedError,
    ReadTimeoutError,
)

from tests.support.faults import Fault, FaultProxy, once, randomly, times

SHORT_SECONDS = 0.3
LONG_SECONDS = 10
# Headers that differ from response to response or belong to one connection.
VARYING_HEADERS = ("date", "x-amzn-requestid", "connection")

_table_numbers = itertools.count()


@contextmanager
def client_of(url: str, read_seconds: float = LONG_SECONDS) -> Iterator[Any]:
    client: Any = boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(
            read_timeout=read_seconds,
            # The standard mode accepts a cut response as a whole one on the last attempt.
            retries={"mode": "legacy", "total_max_attempts": 1},
        ),
    )
    try:
        yield client
    finally:
        client.close()


class Table:
    """A table of its own, read and written without a proxy."""

    def __init__(self, url: str, direct: Any) -> None:
        self.url = url
        self.direct = direct
        self.name = f"faults-{next(_table_numbers)}"
        direct.create_table(
            TableName=self.name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def value(self, key: str = "a") -> str | None:
        """Read what the store holds; None if nothing was written."""
        response = self.direct.get_item(
            TableName=self.name, Key={"id": {"S": key}}, ConsistentRead=True
        )
        value: str | None = response.get("Item", {}).get("value", {}).get("S")
        return value

    def item(self, value: str, key: str = "a") -> dict[str, Any]:
        return {"TableName": self.name, "Item": {"id": {"S": key}, "value": {"S": value}}}


@pytest.fixture
def table(moto: str) -> Iterator[Table]:
    with client_of(moto) as direct:
        yield Table(moto, direct)


@pytest.fixture
def proxy(table: Table) -> Iterator[FaultProxy]:
    with FaultProxy(table.url) as proxy:
        yield proxy


def send(proxy: FaultProxy, table: Table, value: str) -> HTTPConnection:
    """Send a PutItem request, and return the connection without reading the response."""
    connection = HTTPConnection(urlsplit(proxy.url).netloc, timeout=LONG_SECONDS)
    scope = "Credential=local/20270101/eu-central-1/dynamodb/aws4_request"
    headers = {
        "X-Amz-Target": "DynamoDB_20120810.PutItem",
        "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=none",
        "Content-Type": "application/x-amz-json-1.0",
    }
    connection.request("POST", "/", json.dumps(table.item(value)), headers)
    return connection


@contextmanager
def sent(proxy: FaultProxy, table: Table, value: str) -> Iterator[HTTPConnection]:
    """Send a PutItem request, wait until the proxy has read it, and close the connection."""
    before = proxy.seen.total()
    deadline = time.monotonic() + LONG_SECONDS
    with closing(send(proxy, table, value)) as connection:
        while proxy.seen.total() == before:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        yield connection


@pytest.mark.parametrize(
    ("fault", "error", "executed"),
    [
        (Fault.LOST, ConnectionClosedError, True),
        (Fault.CUT, ChecksumError, True),
        (Fault.SILENT, ReadTimeoutError, True),
        (Fault.LATE, ReadTimeoutError, True),
        (Fault.REFUSED, ConnectionClosedError, False),
    ],
)
def test_connection_faults_execute_the_write_or_not(
    table: Table, proxy: FaultProxy, fault: Fault, error: type[BotoCoreError], *, executed: bool
) -> None:
    """The client gets the same kind of error whether the store has written or not."""
    proxy.plan = once("PutItem", fault)
    seconds = SHORT_SECONDS if error is ReadTimeoutError else LONG_SECONDS
    with client_of(proxy.url, seconds) as client, pytest.raises(error):
        client.put_item(**table.item("first"))
    proxy.settle()
    assert table.value() == ("first" if executed else None)
    assert proxy.seen == {("PutItem", fault): 1}


@pytest.mark.parametrize(
    ("fault", "error", "executed"),
    [
        (Fault.ERROR_AFTER, "500 InternalServerError", True),
        (Fault.ERROR_BEFORE, "500 InternalServerError", False),
        (Fault.THROTTLED, "400 ProvisionedThroughputExceededException", False),
        (Fault.CONFLICT, "400 TransactionConflictException", False),
    ],
)
def test_error_faults_return_dynamodbs_error(
    table: Table, proxy: FaultProxy, fault: Fault, error: str, *, executed: bool
) -> None:
    """The client gets an error as DynamoDB sends it, and ERROR_AFTER has written the item."""
    proxy.plan = once("PutItem", fault)
    with client_of(proxy.url) as client, pytest.raises(ClientError) as refused:
        client.put_item(**table.item("first"))
    response = refused.value.response
    assert f"{response['ResponseMetadata']['HTTPStatusCode']} {response['Error']['Code']}" == error
    assert table.value() == ("first" if executed else None)


def test_a_transaction_conflict_names_its_item(table: Table, proxy: FaultProxy) -> None:
    """The transaction is cancelled with a reason for each item, and nothing is written."""
    proxy.plan = once("TransactWriteItems", Fault.CONFLICT)
    puts = [{"Put": table.item("first", key)} for key in "abc"]
    with client_of(proxy.url) as client, pytest.raises(ClientError) as refused:
        client.transact_write_items(TransactItems=puts)
    response: Any = refused.value.response
    assert response["Error"]["Code"] == "TransactionCanceledException"
    codes = [reason["Code"] for reason in response["CancellationReasons"]]
    assert codes == ["TransactionConflict", "None", "None"]
    assert [table.value(key) for key in "abc"] == [None, None, None]


def test_a_late_write_overwrites_a_newer_one(table: Table, proxy: FaultProxy) -> None:
    """The store executes the second write first, and the late one when its client has left."""
    proxy.plan = once("PutItem", Fault.LATE)
    with sent(proxy, table, "first"), client_of(proxy.url) as client:
        client.put_item(**table.item("second"))
        assert table.value() == "second"
    proxy.settle()
    assert table.value() == "first"


def test_settling_waits_for_requests_not_yet_read(table: Table, proxy: FaultProxy) -> None:
    """A request is executed even if its client left before the proxy read it."""
    for n in range(10):
        send(proxy, table, str(n)).close()
        proxy.settle()
        assert table.value() == str(n)


def test_a_connection_stays_open_after_a_response(table: Table, proxy: FaultProxy) -> None:
    """DynamoDB keeps connections alive, so faults must hit connections that were used before."""
    with sent(proxy, table, "first") as client:
        client.getresponse().read()
        assert client.sock is not None


@pytest.mark.parametrize("fault", [Fault.LATE, Fault.SILENT])
def test_leaving_closes_every_connection(table: Table, fault: Fault) -> None:
    """A waiting client gets no response when the proxy stops, and its write is executed."""
    with ExitStack() as clients:
        with FaultProxy(table.url, once("PutItem", fault)) as proxy:
            client = clients.enter_context(sent(proxy, table, "first"))
        with pytest.raises(RemoteDisconnected):
            client.getresponse()
    assert table.value() == "first"


def test_planned_faults_hit_one_operation_in_order() -> None:
    """Calls of other operations pass, and so do calls after the last fault."""
    plan = times("PutItem", [Fault.LOST, Fault.THROTTLED])
    assert [plan("PutItem"), plan("GetItem")] == [Fault.LOST, None]
    assert not plan.hit
    assert [plan("PutItem"), plan("PutItem")] == [Fault.THROTTLED, None]
    assert plan.hit


def test_random_faults_are_repeatable_and_cover_all() -> None:
    """A seed gives one sequence and the named share; only the named operations are spoiled."""
    plans = [randomly(seed, 0.25, set(Fault), ["PutItem"]) for seed in (1, 1, 2)]
    assert {plans[0]("GetItem") for _ in range(100)} == {None}
    first, second, other = [[plan("PutItem") for _ in range(1000)] for plan in plans]
    assert first == second != other
    counted = Counter(first)
    assert 700 < counted.pop(None) < 800
    assert counted.keys() == set(Fault)


def test_an_error_in_a_plan_is_raised(table: Table) -> None:
    """Leaving the proxy raises what the plan has raised."""

    def plan(_operation: str) -> Fault:
        raise LookupError

    with pytest.RaisesGroup(LookupError), FaultProxy(table.url, plan) as proxy:  # noqa: SIM117
        with client_of(proxy.url) as client, pytest.raises(ConnectionClosedError):
            client.put_item(**table.item("first"))


def test_without_a_plan_everything_passes_unchanged(store: str) -> None:
    """Short and long responses and errors have the store's body and headers."""
    with client_of(store) as direct, FaultProxy(store) as proxy, client_of(proxy.url) as client:
        table = Table(store, direct)
        client.put_item(**table.item("first"))
        client.put_item(**table.item("long " * 50_000, "b"))
        for key, name in [("a", table.name), ("b", table.name), ("a", "no-such-table")]:
            assert get_item(client, name, key) == get_item(direct, name, key)
    assert proxy.seen == {("PutItem", None): 2, ("GetItem", None): 3}


def get_item(client: Any, table: str, key: str) -> dict[str, Any]:
    """Get an item or the error, without the headers that differ from response to response."""
    try:
        response: dict[str, Any] = client.get_item(TableName=table, Key={"id": {"S": key}})
    except ClientError as error:
        response = dict(error.response)
    metadata = response["ResponseMetadata"]
    del metadata["RequestId"]
    headers = metadata["HTTPHeaders"]
    assert "x-amz-crc32" in headers or metadata["HTTPStatusCode"] != 200
    metadata["HTTPHeaders"] = {
        name: value for name, value in headers.items() if name not in VARYING_HEADERS
    }
    return response
