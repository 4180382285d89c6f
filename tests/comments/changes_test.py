"""A change of a task with a comment: both are made or neither."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.builders import Client
from tests.support.bulk_items import change, send


def _state(client: Client, task: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    return client.get(f"/v1/tasks/{task['id']}").json(), client.comments(task)


def test_a_change_with_a_comment_makes_both(any_client: Client) -> None:
    """In one version of the task, whose fields have no comment."""
    task = any_client.create(status="in_progress")
    response = any_client.change(task, status="done", labels_add=["ink"], comment=" Done.\n")
    changed = response.json()
    assert (changed["status"], changed["labels"]) == ("done", ["ink"])
    assert (changed["version"], changed["comment_count"]) == (2, 1)
    assert response.headers["ETag"] == changed["etag"]
    assert "comment" not in changed
    assert _state(any_client, task) == (changed, ["Done."])
    assert any_client.titles() == []
    assert any_client.walk(state="closed") == [changed]


def test_a_change_may_be_a_comment_alone(any_client: Client) -> None:
    """Under any state, too; it is written by who changed the task, and then."""
    task = any_client.create()
    changed = any_client.merge(task["id"], {"comment": "x"}, {"If-Match": "*"}).json()
    new = {name: changed[name] for name in ("etag", "updated_at")}
    assert changed == task | new | {"comment_count": 1, "version": 2}
    (comment,) = any_client.get(any_client.comments_path(task)).json()["items"]
    assert comment["created_at"] == changed["updated_at"]
    assert comment["created_by"] == changed["updated_by"]


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k"}])
def test_a_refused_change_leaves_no_comment(any_client: Client, key: dict[str, str]) -> None:
    """Whether its ETag is stale, its move illegal, its labels too many, or its task deleted."""
    task = any_client.create(status="done", labels=[f"{number}" for number in range(20)])
    before = _state(any_client, task)
    match = {"If-Match": task["etag"], **key}
    refused: dict[int, tuple[dict[str, Any], dict[str, str]]] = {
        412: ({"title": "x"}, {"If-Match": '"0000000000000000"', **key}),
        409: ({"status": "cancelled"}, match),
        422: ({"labels_add": ["x"]}, match),
    }
    for status, (patch, headers) in refused.items():
        response = any_client.merge(task["id"], patch | {"comment": "x"}, headers)
        assert response.status_code == status, response.text
    assert _state(any_client, task) == before
    any_client.delete(f"/v1/tasks/{task['id']}", headers={"If-Match": "*"})
    assert any_client.merge(task["id"], {"comment": "x"}, match).status_code == 404
    any_client.post(f"/v1/tasks/{task['id']}/restore")
    assert any_client.comments(task) == []


@pytest.mark.parametrize("text", [None, "", " ", "x" * 8001, ["x"]])
def test_an_invalid_comment_refuses_the_change(client: Client, text: object) -> None:
    task = client.create()
    response = client.change(task, title="New", comment=text)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "comment"
    assert _state(client, task) == (task, [])


@pytest.mark.parametrize("if_match", ["{etag}", "*"])
def test_a_replay_adds_no_comment(any_client: Client, if_match: str) -> None:
    """It is byte for byte the first response; another comment is another request."""
    task = any_client.create()
    headers = {"If-Match": if_match.format(**task), "Idempotency-Key": "k"}
    first, again = (
        any_client.merge(task["id"], {"title": "New", "comment": "x"}, headers) for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert _state(any_client, task) == (first.json(), ["x"])
    other = any_client.merge(task["id"], {"title": "New", "comment": "y"}, headers)
    assert other.json()["type"] == "/problems/idempotency-key-reused"


def test_of_concurrent_equal_changes_one_adds_its_comment(any_client: Client) -> None:
    task = any_client.create()

    def send_change(_number: int) -> httpx.Response:
        return any_client.change_once("k", task, title="New", comment="x")

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(send_change, range(16)))
    assert {response.status_code for response in responses} == {200}
    assert _state(any_client, task) == (responses[0].json(), ["x"])


def test_of_concurrent_changes_with_one_etag_one_adds_its_comment(any_client: Client) -> None:
    task = any_client.create()
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda n: any_client.change(task, comment=f"{n}"), range(8)))
    statuses = [response.status_code for response in responses]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 409, 412}
    assert any_client.comments(task) == [str(statuses.index(200))]


def test_a_bulk_has_no_comments(client: Client) -> None:
    task = client.create()
    response = send(client, change(task, comment="x"))
    assert response.status_code == 422
    assert response.json()["errors"][0] == {
        "location": "body",
        "field": "items/0/change/patch/comment",
        "detail": "there is no such field",
    }


def test_a_move_with_a_comment_is_counted(client: Client) -> None:
    task = client.create()
    client.change(task, status="done", comment="x")
    assert (
        'tasks_moved_total{from_status="todo",to_status="done"} 1.0' in client.get("/metrics").text
    )
