"""Deleted tasks can be listed and restored for 30 days."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.main import create_app
from tests.support.builders import Client, settings
from tests.support.clock import Clock
from tests.support.secured_app import TASKS, bearer, serve
from tests.support.server import serving

FULL: dict[str, Any] = {
    "description": "d",
    "priority": "high",
    "labels": ["a"],
    "project": "p",
    "assignee": "ada",
    "due_at": "2027-01-31T00:00:00.000Z",
}
LISTS: list[dict[str, str]] = [
    {},
    {"sort": "updated"},
    {"sort": "due"},
    {"sort": "priority"},
    {"project": "p"},
    {"project": "p", "sort": "due"},
    {"assignee": "ada"},
    {"assignee": "ada", "sort": "priority"},
    {"status": "todo"},
]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clocked(store: str, clock: Clock) -> Iterator[Client]:
    app = create_app(settings(store), clock=clock)
    with serving(app) as url, Client(base_url=url) as client:
        yield client


def _delete(client: Client, task: dict[str, Any]) -> None:
    path, match = f"/v1/tasks/{task['id']}", {"If-Match": task["etag"]}
    assert client.delete(path, headers=match).status_code == 204


def _restore(client: Client, task: dict[str, Any]) -> httpx.Response:
    return client.post(f"/v1/tasks/{task['id']}/restore")


def _trash(client: Client, **query: Any) -> Any:
    return client.get("/v1/trash", params=query).json()


@pytest.mark.parametrize("fields", [{}, FULL, {**FULL, "status": "done"}])
def test_a_restored_task_is_as_it_was_with_a_new_etag_and_version(
    fields: dict[str, Any], any_client: Client
) -> None:
    task = any_client.create(**fields)
    _delete(any_client, task)
    response = _restore(any_client, task)
    restored = response.json()
    generated = {name: restored[name] for name in ("etag", "updated_at")}
    assert restored == task | generated | {"version": 3}
    assert response.headers["ETag"] == restored["etag"] != task["etag"]
    assert any_client.get(f"/v1/tasks/{task['id']}").json() == restored


def test_a_restored_task_is_in_all_lists_again(any_client: Client) -> None:
    """And can be changed and deleted: its sort keys of open tasks are there again."""
    task = any_client.create(**FULL)
    _delete(any_client, task)
    assert [any_client.titles(**query) for query in LISTS] == [[]] * len(LISTS)
    restored = _restore(any_client, task).json()
    assert [any_client.titles(**query) for query in LISTS] == [["A task"]] * len(LISTS)
    changed = any_client.changed(restored, due_at="2027-02-01T00:00:00Z")
    _delete(any_client, changed)
    assert any_client.titles(sort="due") == []


def test_a_restore_can_be_repeated(client: Client) -> None:
    """A task that is not deleted is returned as it is."""
    task = client.create()
    assert _restore(client, task).json() == task
    _delete(client, task)
    first, again = _restore(client, task), _restore(client, task)
    assert first.content == again.content


def test_a_task_can_be_deleted_again_after_a_restore_with_its_new_etag_only(client: Client) -> None:
    """The ETag before the first deletion names a state that is gone."""
    task = client.create()
    _delete(client, task)
    restored = _restore(client, task).json()
    headers = {"If-Match": task["etag"]}
    assert client.delete(f"/v1/tasks/{task['id']}", headers=headers).status_code == 412
    _delete(client, restored)


def test_a_task_can_be_restored_for_30_days(clocked: Client, clock: Clock) -> None:
    """Then it is missing, also while DynamoDB has not deleted the item yet."""
    early, late = clocked.create(), clocked.create()
    _delete(clocked, early)
    _delete(clocked, late)
    clock.advance(days=30, seconds=-1)
    assert _restore(clocked, early).status_code == 200
    assert [task["id"] for task in _trash(clocked)["items"]] == [late["id"]]
    clock.advance(seconds=2)
    assert _restore(clocked, late).json()["type"] == "/problems/task-not-found"
    assert _trash(clocked) == {"items": [], "next_cursor": None}


def test_the_trash_lists_what_was_deleted_last_first(clocked: Client, clock: Clock) -> None:
    """In pages, and without what was restored."""
    tasks = [clocked.create(str(number), project="p") for number in range(4)]
    for task in tasks:
        clock.advance(seconds=1)
        _delete(clocked, task)
    _restore(clocked, tasks[1])
    page = _trash(clocked, limit=2)
    assert [task["title"] for task in page["items"]] == ["3", "2"]
    assert page["items"][0]["project"] == "p"
    last = _trash(clocked, limit=2, cursor=page["next_cursor"])
    assert [task["title"] for task in last["items"]] == ["0"]
    assert last["next_cursor"] is None


def test_the_trash_says_who_deleted_a_task_and_the_task_who_restored_it(moto: str) -> None:
    with serve(moto) as app:
        made = [app.make(*TASKS, label=label) for label in ("maker", "deleter", "restorer")]
        names = [{"key_id": key["id"], "label": key["label"]} for key in made]
        maker, deleter, restorer = (
            app.clients.enter_context(
                Client(base_url=app.client.base_url, headers=bearer(key["key"]))
            )
            for key in made
        )
        task = maker.create()
        _delete(deleter, task)
        assert _trash(maker)["items"][0]["deleted_by"] == names[1]
        restored = _restore(restorer, task).json()
        assert (restored["created_by"], restored["updated_by"]) == (names[0], names[2])


def test_a_cursor_of_a_list_is_none_of_the_trash(client: Client) -> None:
    client.create()
    client.create()
    cursor = client.page(limit=1)["next_cursor"]
    assert client.get("/v1/trash", params={"cursor": cursor}).status_code == 400
