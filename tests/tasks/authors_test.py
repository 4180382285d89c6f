"""Each write says who made it: `created_by` and `updated_by`, by the API key that was sent."""

from typing import Any

import pytest

from api.http.etags import parse_strong
from api.principal import NO_KEY, Actor
from api.tasks.change_models import TaskChange
from api.tasks.models import NewTask
from tests.support.builders import Client
from tests.support.secured_app import TASKS, SecuredApp, bearer, serve
from tests.support.service import WORKSPACE, Service

BULK = "/v1/tasks/bulk"
# A label that contains what separates it from the id where they are stored.
LABELS = ["ci #1", "ada's laptop"]


class Writer:
    """A client with a key of its own, and what responses call it."""

    def __init__(self, app: SecuredApp, label: str) -> None:
        made = app.make(*TASKS, label=label)
        self.name = {"key_id": made["id"], "label": label}
        self.client = app.clients.enter_context(
            Client(base_url=app.client.base_url, headers=bearer(made["key"]))
        )

    def bulk(self, path: str = BULK, **item: Any) -> str:
        """Send a bulk of one item, and return its task's id."""
        response = self.client.post(path, json={"items": [item]})
        (result,) = response.json()["results"]
        assert result["status"] < 400, result
        task_id: str = result["id"]
        return task_id

    def read(self, task_id: str) -> dict[str, Any]:
        task: dict[str, Any] = self.client.get(f"/v1/tasks/{task_id}").json()
        return task


def _authors(task: dict[str, Any]) -> tuple[Any, Any]:
    return task["created_by"], task["updated_by"]


def test_a_task_says_which_keys_created_and_changed_it(store: str) -> None:
    """In responses to each kind of write, in reads and in lists."""
    with serve(store) as app:
        first, second = (Writer(app, label) for label in LABELS)
        created = first.client.create()
        once = first.client.create_once("k").json()
        assert _authors(created) == _authors(once) == (first.name, first.name)
        changed = second.client.changed(created, title="x")
        changed_once = second.client.change_once("l", once, title="x").json()
        assert _authors(changed) == _authors(changed_once) == (first.name, second.name)
        assert first.read(created["id"]) == changed
        assert {str(_authors(task)) for task in first.client.walk()} == {str(_authors(changed))}


@pytest.mark.parametrize("path", [BULK, f"{BULK}?atomic=true"])
def test_the_items_of_a_bulk_say_which_key_wrote_them(path: str, store: str) -> None:
    with serve(store) as app:
        first, second = (Writer(app, label) for label in LABELS)
        task_id = first.bulk(path, create={"title": "x"})
        second.bulk(path, change={"id": task_id, "etag": "*", "patch": {"title": "y"}})
        assert _authors(first.read(task_id)) == (first.name, second.name)


def test_a_replay_says_who_made_the_first_request(moto: str) -> None:
    """It is the same response, whichever key of the workspace repeats the request."""
    with serve(moto) as app:
        first, second = (Writer(app, label) for label in LABELS)
        created, replayed = (each.client.create_once("k") for each in (first, second))
        assert replayed.content == created.content
        assert _authors(replayed.json()) == (first.name, first.name)


@pytest.mark.anyio
async def test_a_change_without_a_key_is_anonymous_also_after_one_with_a_key(store: str) -> None:
    """A stored author does not outlast the write that it belongs to."""
    author = Actor("01ARZ3NDEKTSV4RRFFQ69G5FAW", "ci")
    async with Service.at(store) as service:
        task = await service.tasks.create(WORKSPACE, NewTask(title="x"), author)
        match = parse_strong(task.etag)
        await service.tasks.change(WORKSPACE, task.id, match, TaskChange(title="y"))
        read = await service.tasks.get(WORKSPACE, task.id)
    assert (read.created_by, read.updated_by) == (author, NO_KEY)
