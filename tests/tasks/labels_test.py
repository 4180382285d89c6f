"""Changes of single labels."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.errors import InvalidRequest
from api.http.etags import parse_strong
from api.tasks.change_models import TaskChange
from api.tasks.errors import StaleEtag
from api.tasks.models import MAX_LABELS, NewTask, Task
from tests.support.builders import Client
from tests.support.bulk_items import change, create, results, send
from tests.support.concurrency import contention
from tests.support.service import ANY, WORKSPACE, Service

FULL = [str(number) for number in range(MAX_LABELS)]


def merge(client: Client, task: dict[str, Any], key: str | None, **patch: Any) -> httpx.Response:
    headers = {"If-Match": "*", **({"Idempotency-Key": key} if key else {})}
    return client.merge(task["id"], patch, headers)


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize(
    ("patch", "labels"),
    [
        ({"labels_add": ["c"]}, ["a", "b", "c"]),
        ({"labels_add": ["b", "c"]}, ["a", "b", "c"]),
        ({"labels_remove": ["a"]}, ["b"]),
        ({"labels_remove": ["x"]}, ["a", "b"]),
        ({"labels_remove": ["a", "b"]}, []),
        ({"labels_add": ["c"], "labels_remove": ["a"]}, ["b", "c"]),
        ({"labels_add": ["a"], "labels_remove": ["a"]}, ["b", "a"]),
        ({"labels_add": []}, ["a", "b"]),
    ],
)
def test_labels_are_added_and_removed(
    any_client: Client, key: str | None, patch: dict[str, Any], labels: list[str]
) -> None:
    """No error for one that is there already, or is not there; removed first, then added."""
    task = any_client.create(labels=["a", "b"])
    response = merge(any_client, task, key, **patch, title="Changed")
    assert (response.json()["labels"], response.json()["title"]) == (labels, "Changed")
    assert any_client.get(f"/v1/tasks/{task['id']}").json() == response.json()


@pytest.mark.parametrize("key", [None, "k"])
def test_a_task_has_a_limited_number_of_labels_after_a_change(
    client: Client, key: str | None
) -> None:
    task = client.create(labels=FULL)
    response = merge(client, task, key, labels_add=["x"])
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "labels_add"
    response = merge(client, task, key, labels_add=["x"], labels_remove=["0"])
    assert response.json()["labels"] == [*FULL[1:], "x"]


@pytest.mark.parametrize(
    "patch",
    [
        {"labels": ["a"], "labels_add": ["b"]},
        {"labels": None, "labels_remove": ["b"]},
        {"labels_add": None},
        {"labels_add": ["a", "a"]},
        {"labels_remove": [""]},
    ],
)
def test_invalid_changes_of_labels_are_refused(client: Client, patch: dict[str, Any]) -> None:
    task = client.create(labels=["x"])
    assert merge(client, task, None, **patch).status_code == 422
    assert client.get(f"/v1/tasks/{task['id']}").json() == task


def test_a_stale_etag_is_refused(client: Client) -> None:
    task = client.create()
    client.changed(task, title="Changed")
    assert client.change(task, labels_add=["x"]).status_code == 412


def test_a_replay_comes_before_the_limit(client: Client) -> None:
    """Others may have added labels since."""
    task = client.create(labels=FULL[1:])
    first = merge(client, task, "k", labels_add=["mine"])
    merge(client, task, None, labels_remove=["mine"])
    merge(client, task, None, labels_add=["theirs"])
    assert merge(client, task, "k", labels_add=["mine"]).content == first.content


@pytest.mark.parametrize("atomic", [True, False])
def test_a_bulk_changes_single_labels(any_client: Client, atomic: bool) -> None:
    one, full = any_client.create(labels=["a"]), any_client.create(labels=FULL)
    items = [change(one, labels_add=["b"]), create(), change(full, labels_add=["x"])]
    response = send(any_client, *items, atomic=atomic)
    refused = response.json() if atomic else results(response)[2]
    assert (refused["status"], refused["errors"][0]["field"]) == (422, "labels_add")
    if atomic:
        assert refused["item"] == 2
        send(any_client, *items[:2], atomic=True)
    assert any_client.get(f"/v1/tasks/{one['id']}").json()["labels"] == ["a", "b"]


@pytest.fixture
async def service(store: str) -> AsyncIterator[Service]:
    async with Service.at(store) as service:
        yield service


@pytest.fixture
async def task(service: Service) -> Task:
    return await service.tasks.create(WORKSPACE, NewTask(title="Old", labels=FULL[:18]))


@pytest.mark.anyio
@pytest.mark.parametrize("theirs", ["theirs", "mine"])
async def test_labels_that_two_clients_add_at_once_both_hold(
    service: Service, task: Task, theirs: str
) -> None:
    other = TaskChange(labels_add=[theirs])
    with contention(service, task.id, 1, other):
        mine = TaskChange(labels_add=["mine"])
        changed = await service.tasks.change(WORKSPACE, task.id, ANY, mine)
    assert set(changed.labels) == {*FULL[:18], theirs, "mine"}
    assert await service.tasks.get(WORKSPACE, task.id) == changed


@pytest.mark.anyio
async def test_the_limit_holds_for_labels_that_two_clients_add_at_once(
    service: Service, task: Task
) -> None:
    with (
        contention(service, task.id, 1, TaskChange(labels_add=["1st", "2nd"])),
        pytest.raises(InvalidRequest),
    ):
        await service.tasks.change(WORKSPACE, task.id, ANY, TaskChange(labels_add=["3rd"]))


@pytest.mark.anyio
async def test_a_change_of_labels_under_an_etag_overwrites_no_other(
    service: Service, task: Task
) -> None:
    mine = TaskChange(labels_add=["mine"])
    with contention(service, task.id, 1), pytest.raises(StaleEtag):
        await service.tasks.change(WORKSPACE, task.id, parse_strong(task.etag), mine)
