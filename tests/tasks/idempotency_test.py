"""Idempotency keys: a repeated request has one effect and gets the first response again."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest

from api.main import create_app
from api.settings import Settings
from tests.support import botocore_transport
from tests.support.builders import MERGE_PATCH, Client, settings
from tests.support.clock import Clock
from tests.support.server import serving

# The headers in which a replay differs from the first response.
NOT_REPLAYED = {"date", "x-request-id", "idempotent-replayed"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def config(moto: str) -> Settings:
    return settings(moto)


@pytest.fixture
def clocked(config: Settings, clock: Clock) -> Iterator[Client]:
    """A client of an app whose clock the test advances."""
    with serving(create_app(config, clock=clock)) as url, Client(base_url=url) as client:
        yield client


def assert_replay(first: httpx.Response, again: httpx.Response) -> None:
    """Check that the second response repeats the first and is marked as a replay."""
    assert again.status_code == first.status_code
    assert again.content == first.content
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    for name in set(first.headers) - NOT_REPLAYED:
        assert again.headers[name] == first.headers[name]


def assert_key_reused(response: httpx.Response) -> None:
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/idempotency-key-reused"


def test_a_repeated_create_makes_one_task(any_client: Client) -> None:
    """It is replayed byte for byte, although the task has changed since."""
    first = any_client.create_once("k", "Once", labels=["é"], project="p")
    any_client.changed(first.json(), title="Changed since")
    assert_replay(first, any_client.create_once("k", "Once", labels=["é"], project="p"))
    assert any_client.titles() == ["Changed since"]


@pytest.mark.parametrize("if_match", ["{etag}", "*"])
def test_a_repeated_change_is_made_once(any_client: Client, if_match: str) -> None:
    """It is replayed although the first one has made the ETag stale."""
    task = any_client.create("Old", status="in_progress")
    headers = {"If-Match": if_match.format(**task), "Idempotency-Key": "k"}
    fields = {"title": "New", "status": "done"}
    first = any_client.merge(task["id"], fields, headers)
    assert first.status_code == 200, first.text
    assert_replay(first, any_client.merge(task["id"], fields, headers))
    assert any_client.get(f"/v1/tasks/{task['id']}").json() == first.json()
    assert first.json()["version"] == 2


def test_a_change_is_replayed_after_its_task_was_deleted(any_client: Client) -> None:
    task = any_client.create()
    first = any_client.change_once("k", task, title="New")
    etag = first.headers["ETag"]
    any_client.delete(f"/v1/tasks/{task['id']}", headers={"If-Match": etag})
    assert_replay(first, any_client.change_once("k", task, title="New"))


@pytest.mark.parametrize(
    "other",
    [{"title": "Other"}, {"title": "T", "labels": ["x"]}, {"title": "T", "project": "p"}],
)
def test_an_idempotency_key_of_another_create_is_refused(
    any_client: Client, other: dict[str, Any]
) -> None:
    any_client.create_once("k", "T")
    assert_key_reused(any_client.create_once("k", **other))
    assert len(any_client.titles()) == 1


def test_an_idempotency_key_of_another_change_is_refused(any_client: Client) -> None:
    """The problem is not the 412 that the stale ETag alone would cause."""
    task = any_client.create()
    any_client.change_once("k", task, title="One")
    assert_key_reused(any_client.change_once("k", task, title="Two"))
    assert any_client.titles() == ["One"]


def test_requests_are_compared_by_their_parsed_content(client: Client) -> None:
    """Spaces, the order of members and the spelling of a time do not matter."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    spellings = [
        b'{"title": "T", "due_at": "2027-01-31T10:30:00+01:00"}',
        b'{"due_at":"2027-01-31T09:30:00.000Z","title":"\\u0054"}',
    ]
    first, again = (client.post("/v1/tasks", content=s, headers=headers) for s in spellings)
    assert_replay(first, again)


@pytest.mark.parametrize(
    "defaults", [{"priority": "none"}, {"labels": [], "project": None, "status": "todo"}]
)
def test_a_create_with_its_defaults_spelled_out_is_the_same(
    client: Client, defaults: dict[str, Any]
) -> None:
    assert_replay(client.create_once("k", "T"), client.create_once("k", "T", **defaults))


def test_a_change_to_null_is_the_same_as_one_to_the_default(client: Client) -> None:
    """A field that is left out is not changed, which is another request."""
    task = client.create()
    first = client.change_once("k", task, priority=None, labels=None)
    assert_replay(first, client.change_once("k", task, labels=[], priority="none"))
    assert_key_reused(client.change_once("k", task, labels=None))


def test_an_idempotency_key_belongs_to_its_method_and_path(client: Client) -> None:
    """Creates and the changes of each task do not share idempotency keys."""
    one, two = client.create("one"), client.create("two")
    assert client.create_once("k", "three").status_code == 201
    for task in (one, two):
        assert client.change_once("k", task, title="three").status_code == 200
    assert client.titles() == ["three"] * 3


def test_a_quoted_idempotency_key_equals_the_bare_one(client: Client) -> None:
    """The IETF draft quotes it."""
    assert_replay(client.create_once('"k-1"'), client.create_once("k-1"))


@pytest.mark.parametrize("key", ["", "a b", "a,b", '"', 'a"b', "x" * 256, "é"])
def test_a_malformed_idempotency_key_is_refused_by_name(client: Client, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode())]
    response = client.post("/v1/tasks", json={"title": "x"}, headers=headers)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "Idempotency-Key"
    assert client.titles() == []


def test_a_failed_request_can_be_corrected_under_its_idempotency_key(client: Client) -> None:
    assert client.create_once("k", "").status_code == 422
    assert client.create_once("k", "T").status_code == 201
    old = client.create()
    new = client.changed(old, status="done")
    assert client.change_once("k", old, title="x").status_code == 412
    assert client.change_once("k", new, status="cancelled").status_code == 409
    assert client.change_once("k", new, title="x").status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
def test_setting_done_again_keeps_the_time_of_completion(
    clocked: Client, clock: Clock, headers: dict[str, str]
) -> None:
    done = clocked.create(status="done")
    clock.advance(hours=1)
    headers = {"If-Match": done["etag"], **headers}
    again = clocked.merge(done["id"], {"status": "done"}, headers).json()
    assert again["completed_at"] == done["completed_at"]
    assert again["updated_at"] > done["updated_at"]


def test_a_create_is_replayed_for_24_hours(clocked: Client, clock: Clock) -> None:
    """Then its idempotency key is free, even if DynamoDB has not deleted the record yet."""
    first = clocked.create_once("k")
    clock.advance(hours=24, seconds=-1)
    assert_replay(first, clocked.create_once("k"))
    clock.advance(seconds=1)
    second = clocked.create_once("k")
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]
    assert_replay(second, clocked.create_once("k"))


def test_a_change_is_replayed_for_24_hours(clocked: Client, clock: Clock) -> None:
    """Then its ETag is compared again."""
    task = clocked.create()
    first = clocked.change_once("k", task, title="x")
    clock.advance(hours=23, minutes=59)
    assert_replay(first, clocked.change_once("k", task, title="x"))
    clock.advance(minutes=1)
    assert clocked.change_once("k", task, title="x").status_code == 412
    assert clocked.change_once("k", first.json(), title="x").json()["version"] == 3


@pytest.mark.parametrize(
    ("method", "status", "titles"), [("POST", 201, ["New", "Old"]), ("PATCH", 200, ["New"])]
)
def test_of_concurrent_equal_requests_one_is_executed_and_the_others_are_replays(
    any_client: Client, method: str, status: int, titles: list[str]
) -> None:
    task = any_client.create("Old")

    def send(_number: int) -> httpx.Response:
        if method == "POST":
            return any_client.create_once("k", "New")
        return any_client.change_once("k", task, title="New")

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(send, range(16)))
    assert {response.status_code for response in responses} == {status}
    assert len({response.content for response in responses}) == 1
    assert sum("Idempotent-Replayed" not in response.headers for response in responses) == 1
    assert sorted(any_client.titles()) == titles


def test_of_concurrent_changes_with_one_etag_one_succeeds(any_client: Client) -> None:
    """Idempotency keys of their own do not let the others overwrite it."""
    task = any_client.create()
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda n: any_client.change_once(f"{n}", task), range(8)))
    assert sorted(response.status_code for response in responses) == [200] + [412] * 7


def test_concurrent_changes_with_if_match_star_are_each_made_once(any_client: Client) -> None:
    task = any_client.create()

    def change(number: int) -> int:
        headers = {"If-Match": "*", "Idempotency-Key": f"{number}"}
        for _ in range(100):
            response = any_client.merge(task["id"], {}, headers)
            if response.status_code != 409:
                break
            assert response.headers["Retry-After"]
        return response.status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(change, range(12))) == {200}
    assert any_client.get(f"/v1/tasks/{task['id']}").json()["version"] == 13


def test_a_replay_is_counted_as_a_replay_only(client: Client) -> None:
    task = client.create_once("k").json()
    client.create_once("k")
    for _ in range(2):
        client.change_once("k", task, status="done")
    metrics = client.get("/metrics").text
    assert 'tasks_created_total{status="todo"} 1.0' in metrics
    assert 'tasks_moved_total{from_status="todo",to_status="done"} 1.0' in metrics
    assert "idempotent_replays_total 2.0" in metrics


def test_an_idempotency_key_is_stored_as_a_hash(clocked: Client, config: Settings) -> None:
    """A caller may have put a secret into it."""
    clocked.create_once("my-secret-order-4711")
    items = _stored(config)
    assert len([i for i in items if re.fullmatch("key#[0-9a-f]{64}", i["sk"]["S"])]) == 1
    assert "4711" not in str(items)


def test_records_expire_after_24_hours_tombstones_after_30_days_and_tasks_never(
    clocked: Client, clock: Clock, config: Settings
) -> None:
    deleted = clocked.create_once("k", "deleted").json()
    clocked.create("kept")
    clocked.delete(f"/v1/tasks/{deleted['id']}", headers={"If-Match": "*"})
    items = _stored(config)
    tomorrow, after_30_days = (
        {"N": str(int(clock().timestamp()) + days * 86400)} for days in (1, 30)
    )
    assert {item["title"]["S"]: item.get("expires_at") for item in items if "title" in item} == {
        "deleted": after_30_days,
        "kept": None,
    }
    assert [i["expires_at"] for i in items if "fingerprint" in i] == [tomorrow]
    with closing(botocore_transport.client(config)) as store:
        ttl = store.describe_time_to_live(TableName=config.table_name)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}


def _stored(config: Settings) -> list[dict[str, Any]]:
    with closing(botocore_transport.client(config)) as store:
        items: list[dict[str, Any]] = store.scan(TableName=config.table_name)["Items"]
    return items


def test_an_idempotency_key_has_no_effect_on_get_and_delete(client: Client) -> None:
    """Both can be repeated without one."""
    task = client.create()
    headers = {"Idempotency-Key": "k", "If-Match": task["etag"], "Content-Type": MERGE_PATCH}
    assert client.get(f"/v1/tasks/{task['id']}", headers=headers).status_code == 200
    for _ in range(2):
        assert client.delete(f"/v1/tasks/{task['id']}", headers=headers).status_code == 204
