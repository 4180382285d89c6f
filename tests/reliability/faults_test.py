"""The fault proxy does what its faults say: each by what a client sees and the store holds."""

import itertools
import json
import socket
import struct
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

IMPATIENT_SECONDS = 0.3
PATIENT_SECONDS = 10
# SO_LINGER: closing sends a reset.
RESET = struct.pack("ii", 1, 0)
WRITES = ("PutItem", "UpdateItem")
# What differs from answer to answer, and what belongs to one connection.
OF_ONE_ANSWER = ("date", "x-amzn-requestid", "connection")

_table_numbers = itertools.count()


@contextmanager
def client_of(url: str, read_seconds: float = PATIENT_SECONDS) -> Iterator[Any]:
    client: Any = boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(
            read_timeout=read_seconds,
            # The standard mode takes a cut answer for a whole one where no attempt is left.
            retries={"mode": "legacy", "total_max_attempts": 1},
        ),
    )
    try:
        yield client
    finally:
        client.close()


class Table:
    """A table of its own, read and written past every proxy."""

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
        """Read what the store holds, or None where nothing was written."""
        answer = self.direct.get_item(
            TableName=self.name, Key={"id": {"S": key}}, ConsistentRead=True
        )
        value: str | None = answer.get("Item", {}).get("value", {}).get("S")
        return value

    def item(self, value: str, key: str = "a") -> dict[str, Any]:
        return {"TableName": self.name, "Item": {"id": {"S": key}, "value": {"S": value}}}

    def batch(self, *keys: str) -> dict[str, Any]:
        """Make the puts of some items that are all named and valued alike."""
        return {self.name: [{"PutRequest": {"Item": self.item(key, key)["Item"]}} for key in keys]}


@pytest.fixture
def table(moto: str) -> Iterator[Table]:
    with client_of(moto) as direct:
        yield Table(moto, direct)


@pytest.fixture
def proxy(table: Table) -> Iterator[FaultProxy]:
    with FaultProxy(table.url) as proxy:
        yield proxy


def send(proxy: FaultProxy, table: Table, value: str) -> HTTPConnection:
    """Send a put by hand, and return the connection that its answer will come by."""
    connection = HTTPConnection(urlsplit(proxy.url).netloc, timeout=PATIENT_SECONDS)
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
    """Send a put that the proxy has read, and leave when the context is left."""
    before = proxy.seen.total()
    with closing(send(proxy, table, value)) as connection:
        while proxy.seen.total() == before:
            time.sleep(0.001)
        yield connection


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault.LOST, ConnectionClosedError, True),
        (Fault.CUT, ChecksumError, True),
        (Fault.SILENT, ReadTimeoutError, True),
        (Fault.LATE, ReadTimeoutError, True),
        (Fault.REFUSED, ConnectionClosedError, False),
    ],
)
def test_a_connection_fails(
    table: Table, proxy: FaultProxy, fault: Fault, error: type[BotoCoreError], *, done: bool
) -> None:
    """The client cannot tell whether the store has written, and either is so."""
    proxy.plan = once("PutItem", fault)
    seconds = IMPATIENT_SECONDS if error is ReadTimeoutError else PATIENT_SECONDS
    with client_of(proxy.url, seconds) as client, pytest.raises(error):
        client.put_item(**table.item("first"))
    proxy.settle()
    assert table.value() == ("first" if done else None)
    assert proxy.seen == {("PutItem", fault): 1}


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault.ERROR_AFTER, "500 InternalServerError", True),
        (Fault.ERROR_BEFORE, "500 InternalServerError", False),
        (Fault.THROTTLED, "400 ProvisionedThroughputExceededException", False),
        (Fault.CONFLICT, "400 TransactionConflictException", False),
    ],
)
def test_the_store_seems_to_refuse(
    table: Table, proxy: FaultProxy, fault: Fault, error: str, *, done: bool
) -> None:
    """The client gets DynamoDB's own error, after which the item may be there all the same."""
    proxy.plan = once("PutItem", fault)
    with client_of(proxy.url) as client, pytest.raises(ClientError) as refused:
        client.put_item(**table.item("first"))
    answer = refused.value.response
    assert f"{answer['ResponseMetadata']['HTTPStatusCode']} {answer['Error']['Code']}" == error
    assert table.value() == ("first" if done else None)


def test_a_transaction_names_the_item_in_conflict(table: Table, proxy: FaultProxy) -> None:
    """Cancelled for its first item, with a reason for each, and nothing is written."""
    proxy.plan = once("TransactWriteItems", Fault.CONFLICT)
    puts = [{"Put": table.item("first", key)} for key in "abc"]
    with client_of(proxy.url) as client, pytest.raises(ClientError) as refused:
        client.transact_write_items(TransactItems=puts)
    answer: Any = refused.value.response
    assert answer["Error"]["Code"] == "TransactionCanceledException"
    codes = [reason["Code"] for reason in answer["CancellationReasons"]]
    assert codes == ["TransactionConflict", "None", "None"]
    assert [table.value(key) for key in "abc"] == [None, None, None]


def test_a_slow_call_succeeds(table: Table, proxy: FaultProxy) -> None:
    """It is done, and answered as any other."""
    proxy.plan = once("PutItem", Fault.SLOW)
    with client_of(proxy.url) as client:
        client.put_item(**table.item("first"))
    assert table.value() == "first"
    assert proxy.seen == {("PutItem", Fault.SLOW): 1}


def test_a_batch_comes_back_unprocessed(table: Table, proxy: FaultProxy) -> None:
    """Nothing is written, and what is to be sent again is what was sent."""
    proxy.plan = once("BatchWriteItem", Fault.UNPROCESSED)
    with client_of(proxy.url) as client:
        first = client.batch_write_item(RequestItems=table.batch("a", "b"))
        assert table.value("a") is None
        again = client.batch_write_item(RequestItems=first["UnprocessedItems"])
    assert first["UnprocessedItems"] == table.batch("a", "b")
    assert again["UnprocessedItems"] == {}
    assert [table.value("a"), table.value("b")] == ["a", "b"]


def test_a_late_request_undoes_what_overtook_it(table: Table, proxy: FaultProxy) -> None:
    """The store does the second write first, and the first one when its client has left."""
    proxy.plan = once("PutItem", Fault.LATE)
    with sent(proxy, table, "first"), client_of(proxy.url) as client:
        client.put_item(**table.item("second"))
        assert table.value() == "second"
    proxy.settle()
    assert table.value() == "first"


def test_a_client_that_breaks_off_has_left(table: Table, proxy: FaultProxy) -> None:
    """A connection that is reset is over as well: what is late is delivered."""
    proxy.plan = once("PutItem", Fault.LATE)
    with sent(proxy, table, "first") as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    proxy.settle()
    assert table.value() == "first"


def test_settling_waits_for_a_slow_store(table: Table) -> None:
    """A late request counts as delivered when the store has answered it."""
    with (
        FaultProxy(table.url, once("PutItem", Fault.SLOW)) as slow,
        FaultProxy(slow.url, once("PutItem", Fault.LATE)) as proxy,
    ):
        with sent(proxy, table, "first"):
            pass
        proxy.settle()
        assert table.value() == "first"


def test_settling_waits_for_what_is_not_read_yet(table: Table, proxy: FaultProxy) -> None:
    """Clients that left before the proxy looked at their requests are not forgotten."""
    for n in range(10):
        send(proxy, table, str(n)).close()
        proxy.settle()
        assert table.value() == str(n)


def test_a_connection_outlives_its_answer(table: Table, proxy: FaultProxy) -> None:
    """It does with DynamoDB, so that faults befall connections that have been used before."""
    with sent(proxy, table, "first") as client:
        client.getresponse().read()
        assert client.sock is not None


@pytest.mark.parametrize("fault", [Fault.LATE, Fault.SILENT])
def test_leaving_ends_every_connection(table: Table, fault: Fault) -> None:
    """A client that still waits is left without an answer, and its write is made."""
    with ExitStack() as clients:
        with FaultProxy(table.url, once("PutItem", fault)) as proxy:
            client = clients.enter_context(sent(proxy, table, "first"))
        with pytest.raises(RemoteDisconnected):
            client.getresponse()
    assert table.value() == "first"


def test_the_first_call_alone_is_spoiled(table: Table, proxy: FaultProxy) -> None:
    """Calls of other operations do not count, and once it has hit the plan can tell."""
    plan = proxy.plan = once("PutItem", Fault.REFUSED)
    with client_of(proxy.url) as client:
        client.get_item(TableName=table.name, Key={"id": {"S": "a"}})
        assert not plan.hit
        with pytest.raises(ConnectionClosedError):
            client.put_item(**table.item("first"))
        assert plan.hit
        client.put_item(**table.item("second"))
    assert table.value() == "second"
    expected = {("GetItem", None): 1, ("PutItem", Fault.REFUSED): 1, ("PutItem", None): 1}
    assert proxy.seen == expected


def test_faults_come_in_turn() -> None:
    """One a call of the operation, in the order given, and then none."""
    plan = times("PutItem", [Fault.LOST, Fault.THROTTLED])
    operations = ["PutItem", "GetItem", "PutItem", "PutItem"]
    assert [plan(operation) for operation in operations] == [
        Fault.LOST,
        None,
        Fault.THROTTLED,
        None,
    ]
    assert plan.hit


def test_chance_is_the_same_for_the_same_seed() -> None:
    """Equal calls meet equal faults, whatever happens between them; another seed has others."""
    choices = [(1, list(Fault)), (1, list(reversed(Fault))), (2, list(Fault))]
    plans = [randomly(seed, 0.5, faults, WRITES) for seed, faults in choices]
    first = [plans[0]("PutItem") for _ in range(100)]
    second = [(plans[1]("GetItem"), plans[1]("PutItem"))[1] for _ in range(100)]
    other = [plans[2]("PutItem") for _ in range(100)]
    assert first == second != other


def test_chance_spoils_its_share_of_the_operations_named() -> None:
    """Every fault that an operation can meet occurs, and other operations meet none."""
    plan = randomly(1, 0.25, list(Fault), {"PutItem", "BatchWriteItem"})
    puts = Counter(plan("PutItem") for _ in range(1000))
    assert 700 < puts.pop(None) < 800
    assert puts.keys() == set(Fault) - {Fault.UNPROCESSED}
    batches = {plan("BatchWriteItem") for _ in range(1000)}
    assert batches == {None, *Fault}
    assert {plan("GetItem") for _ in range(100)} == {None}


def test_a_failing_plan_is_not_passed_over(table: Table) -> None:
    """What it raises comes out where the proxy is left."""

    def plan(_operation: str) -> Fault:
        raise LookupError

    with pytest.RaisesGroup(LookupError), FaultProxy(table.url, plan) as proxy:  # noqa: SIM117
        with client_of(proxy.url) as client, pytest.raises(ConnectionClosedError):
            client.put_item(**table.item("first"))


def test_without_a_plan_everything_passes_unchanged(store: str) -> None:
    """Answers and refusals, short and long, are those of the store, with its headers."""
    with client_of(store) as direct, FaultProxy(store) as proxy, client_of(proxy.url) as client:
        table = Table(store, direct)
        client.put_item(**table.item("first"))
        client.put_item(**table.item("long " * 50_000, "b"))
        for key, name in [("a", table.name), ("b", table.name), ("a", "no-such-table")]:
            assert gotten(client, name, key) == gotten(direct, name, key)
    assert proxy.seen == {("PutItem", None): 2, ("GetItem", None): 3}


def gotten(client: Any, table: str, key: str) -> dict[str, Any]:
    """Get an item, or the refusal, without what no two answers have in common."""
    try:
        answer: dict[str, Any] = client.get_item(TableName=table, Key={"id": {"S": key}})
    except ClientError as error:
        answer = dict(error.response)
    metadata = answer["ResponseMetadata"]
    del metadata["RequestId"]
    headers = metadata["HTTPHeaders"]
    assert "x-amz-crc32" in headers or metadata["HTTPStatusCode"] != 200
    metadata["HTTPHeaders"] = {
        name: value for name, value in headers.items() if name not in OF_ONE_ANSWER
    }
    return answer
