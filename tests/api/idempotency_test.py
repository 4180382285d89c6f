"""Idempotency keys: one effect and one answer, however often a request is repeated."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import httpx
import pytest

from api.main import create_app
from api.settings import Settings
from tests.support.builders import MERGE_PATCH, Client, settings
from tests.support.clock import Clock
from tests.support.server import serving

PER_ANSWER = {"date", "x-request-id", "idempotent-replayed"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clocked(moto: str, clock: Clock) -> Iterator[Client]:
    """A client of an app whose clock the test moves."""
    app = create_app(settings(moto), clock=clock)
    with serving(app) as url, Client(base_url=url) as client:
        yield client


def assert_replay(first: httpx.Response, again: httpx.Response) -> None:
    """Check that the second answer is the first one, and says so."""
    assert again.status_code == first.status_code
    assert again.content == first.content
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    for name in set(first.headers) - PER_ANSWER:
        assert again.headers[name] == first.headers[name]


def assert_reused(response: httpx.Response) -> None:
    assert response.status_code == 422
    assert response.json()["type"] == "urn:problem:key-reused"


def test_a_repeated_create_makes_one_task(any_client: Client) -> None:
    """The second answer is the first, byte for byte, whatever has happened to the task."""
    first = any_client.create_once("k", "Once", labels=["é"], project="p")
    any_client.changed(first.json(), title="Changed since")
    assert_replay(first, any_client.create_once("k", "Once", labels=["é"], project="p"))
    assert any_client.titles() == ["Changed since"]


def test_a_repeated_change_is_made_once(any_client: Client) -> None:
    """The key is looked at before the ETag, which the change itself has made stale."""
    task = any_client.create("Old", status="in_progress")
    first = any_client.change_once("k", task, title="New", status="done")
    assert first.status_code == 200, first.text
    assert_replay(first, any_client.change_once("k", task, title="New", status="done"))
    assert any_client.get(f"/v1/tasks/{task['id']}").json() == first.json()
    assert first.json()["version"] == 2


def test_a_change_is_replayed_after_its_task_has_gone(any_client: Client) -> None:
    """The first success stays what it was."""
    task = any_client.create()
    first = any_client.change_once("k", task, title="New")
    etag = first.headers["ETag"]
    any_client.delete(f"/v1/tasks/{task['id']}", headers={"If-Match": etag})
    assert_replay(first, any_client.change_once("k", task, title="New"))


def test_a_change_of_whatever_is_there_is_made_once(any_client: Client) -> None:
    """A star needs a key most: nothing else tells the second time from the first."""
    task = any_client.create()
    headers = {"If-Match": "*", "Idempotency-Key": "k"}
    first = any_client.merge(task["id"], {"title": "New"}, headers)
    assert_replay(first, any_client.merge(task["id"], {"title": "New"}, headers))
    assert any_client.get(f"/v1/tasks/{task['id']}").json()["version"] == 2


@pytest.mark.parametrize(
    "other",
    [{"title": "Other"}, {"title": "T", "labels": ["x"]}, {"title": "T", "project": None}],
)
def test_a_key_says_one_thing(any_client: Client, other: dict[str, Any]) -> None:
    """The same key with any other payload is refused, and nothing is done."""
    any_client.create_once("k", "T")
    assert_reused(any_client.create_once("k", **other))
    assert len(any_client.titles()) == 1


def test_a_changes_key_says_one_thing(any_client: Client) -> None:
    """Also where the ETag would have been refused."""
    task = any_client.create()
    any_client.change_once("k", task, title="One")
    assert_reused(any_client.change_once("k", task, title="Two"))
    assert any_client.titles() == ["One"]


def test_the_payload_is_compared_as_it_is_understood(client: Client) -> None:
    """Other spaces, another order of members, another spelling of a time: the same request."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    spellings = [
        b'{"title": "T", "due_at": "2027-01-31T10:30:00+01:00"}',
        b'{"due_at":"2027-01-31T09:30:00.000Z","title":"\\u0054"}',
    ]
    first, again = (client.post("/v1/tasks", content=s, headers=headers) for s in spellings)
    assert_replay(first, again)


def test_a_key_belongs_to_its_method_and_path(client: Client) -> None:
    """Each task has keys of its own, and so has their creation."""
    one, two = client.create("one"), client.create("two")
    assert client.create_once("k", "three").status_code == 201
    for task in (one, two):
        assert client.change_once("k", task, title="three").status_code == 200
    assert client.titles() == ["three"] * 3


def test_a_key_may_be_quoted(client: Client) -> None:
    """The draft standard's form and the bare one are the same key."""
    assert_replay(client.create_once('"k-1"'), client.create_once("k-1"))


@pytest.mark.parametrize("key", ["", "a b", '"', 'a"b', "x" * 256, "é"])
def test_a_malformed_key_is_refused(client: Client, key: str) -> None:
    """Before anything is done, and by its name."""
    headers = [(b"Idempotency-Key", key.encode())]
    response = client.post("/v1/tasks", json={"title": "x"}, headers=headers)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "Idempotency-Key"
    assert client.titles() == []


def test_failures_are_not_kept(client: Client) -> None:
    """What did nothing can be put right under the same key."""
    assert client.create_once("k", "").status_code == 422
    assert client.create_once("k", "T").status_code == 201
    old = client.create()
    new = client.changed(old, status="done")
    assert client.change_once("k", old, title="x").status_code == 412
    assert client.change_once("k", new, status="cancelled").status_code == 409
    assert client.change_once("k", new, title="x").status_code == 200


def test_a_key_without_a_task_is_not_found(client: Client) -> None:
    """There is nothing to change, and so nothing to keep."""
    missing = {"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "etag": "*"}
    assert client.change_once("k", missing, title="x").status_code == 404


@pytest.mark.parametrize("key", [None, "k"])
def test_what_is_done_already_is_not_done_anew(
    clocked: Client, clock: Clock, key: str | None
) -> None:
    """Under a key as without one: the task keeps the moment in which it was finished."""
    done = clocked.create(status="done")
    clock.advance(hours=1)
    if key:
        again = clocked.change_once(key, done, status="done")
    else:
        again = clocked.change(done, status="done")
    assert again.json()["completed_at"] == done["completed_at"]
    assert again.json()["updated_at"] > done["updated_at"]


def test_a_key_is_kept_for_a_day(clocked: Client, clock: Clock) -> None:
    """To its last second it is replayed; then it is new, though its record still lies there."""
    first = clocked.create_once("k")
    clock.advance(hours=24, seconds=-1)
    assert_replay(first, clocked.create_once("k"))
    clock.advance(seconds=1)
    anew = clocked.create_once("k")
    assert anew.status_code == 201
    assert anew.json()["id"] != first.json()["id"]
    assert_replay(anew, clocked.create_once("k"))


def test_a_changes_key_is_kept_for_a_day(clocked: Client, clock: Clock) -> None:
    """After it the ETag counts again."""
    task = clocked.create()
    first = clocked.change_once("k", task, title="x")
    clock.advance(hours=23, minutes=59)
    assert_replay(first, clocked.change_once("k", task, title="x"))
    clock.advance(minutes=1)
    assert clocked.change_once("k", task, title="x").status_code == 412
    assert clocked.change_once("k", first.json(), title="x").json()["version"] == 3


@pytest.mark.parametrize("kind", ["create", "change"])
def test_of_many_at_once_one_is_made(any_client: Client, kind: str) -> None:
    """All of them get the same answer; one of them is not a replay."""
    task = any_client.create("Old")

    def ask(_number: int) -> httpx.Response:
        if kind == "create":
            return any_client.create_once("k", "New")
        return any_client.change_once("k", task, title="New")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(16)))
    assert {answer.status_code for answer in answers} == {201 if kind == "create" else 200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert sorted(any_client.titles()) == (["New", "Old"] if kind == "create" else ["New"])


def test_of_many_keys_on_one_state_one_wins(any_client: Client) -> None:
    """A key makes a change repeatable; it does not let it past somebody else's."""
    task = any_client.create()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: any_client.change_once(f"{n}", task), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7


def test_of_many_keys_on_whatever_is_there_all_win(any_client: Client) -> None:
    """Each is made once, on the state that the one before has left."""
    task = any_client.create()

    def change(number: int) -> int:
        headers = {"If-Match": "*", "Idempotency-Key": f"{number}"}
        while (answer := any_client.merge(task["id"], {}, headers)).status_code == 409:
            assert answer.headers["Retry-After"]
        return answer.status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(change, range(12))) == {200}
    assert any_client.get(f"/v1/tasks/{task['id']}").json()["version"] == 13


def test_replays_are_counted_apart(client: Client) -> None:
    """A replay is no second task, and an operator sees that clients repeat themselves."""
    task = client.create_once("k").json()
    client.create_once("k")
    for _ in range(2):
        client.change_once("k", task, status="done")
    counted = client.get("/metrics").text
    assert 'tasks_created_total{status="todo"} 1.0' in counted
    assert 'tasks_moved_total{from_status="todo",to_status="done"} 1.0' in counted
    assert "idempotent_replays_total 2.0" in counted


def _stored(moto: str, config: Settings) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Look into the table past the API: its items, and what it sweeps."""
    store: Any = boto3.client(
        "dynamodb",
        endpoint_url=moto,
        region_name=config.aws_region,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    items: list[dict[str, Any]] = store.scan(TableName=config.table_name)["Items"]
    sweeping = store.describe_time_to_live(TableName=config.table_name)["TimeToLiveDescription"]
    store.close()
    return items, sweeping


def test_a_key_is_stored_as_a_hash(moto: str, clock: Clock) -> None:
    """What a caller puts into a key is nobody's to read."""
    config = settings(moto)
    with serving(create_app(config, clock=clock)) as url, Client(base_url=url) as client:
        client.create_once("my-secret-order-4711")
    items, _ = _stored(moto, config)
    assert len([i for i in items if re.fullmatch("key#[0-9a-f]{64}", i["sk"]["S"])]) == 1
    assert "4711" not in str(items)


def test_what_has_served_its_purpose_is_swept(moto: str, clock: Clock) -> None:
    """A record and a tombstone say when: a day later. A task never says so."""
    config = settings(moto)
    with serving(create_app(config, clock=clock)) as url, Client(base_url=url) as client:
        gone = client.create_once("k", "gone").json()
        client.create("kept")
        client.delete(f"/v1/tasks/{gone['id']}", headers={"If-Match": "*"})
    items, sweeping = _stored(moto, config)
    a_day_later = {"N": str(int(clock().timestamp()) + 86400)}
    assert sweeping == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    assert {item["title"]["S"]: item.get("expires_at") for item in items if "title" in item} == {
        "gone": a_day_later,
        "kept": None,
    }
    assert [i["expires_at"] for i in items if "fingerprint" in i] == [a_day_later]


def test_a_key_on_a_read_or_a_deletion_is_no_matter(client: Client) -> None:
    """Both can be repeated as they are."""
    task = client.create()
    headers = {"Idempotency-Key": "k", "If-Match": task["etag"], "Content-Type": MERGE_PATCH}
    assert client.get(f"/v1/tasks/{task['id']}", headers=headers).status_code == 200
    for _ in range(2):
        assert client.delete(f"/v1/tasks/{task['id']}", headers=headers).status_code == 204
