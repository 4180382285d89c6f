"""Bulk requests: each item has the effect and the result of a single request."""

from typing import Any

import pytest

from api.tasks.bulk_models import MAX_ITEMS
from tests.support.builders import Client
from tests.support.bulk_items import change, create, delete, results, send

UNKNOWN_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
STALE = '"0000000000000000"'


def test_each_item_is_done_and_has_a_result_in_its_place(any_client: Client) -> None:
    """With the status, the id and the ETag of a single request."""
    old, gone = any_client.create("Old"), any_client.create("Gone")
    created, changed, deleted = results(
        send(any_client, create("New", labels=["é"]), change(old, title="Changed"), delete(gone))
    )
    assert [each["status"] for each in (created, changed, deleted)] == [201, 200, 204]
    for result, title in ((created, "New"), (changed, "Changed")):
        response = any_client.get(f"/v1/tasks/{result['id']}")
        assert response.json()["title"] == title
        assert response.headers["ETag"] == result["etag"]
        assert result.keys() == {"status", "id", "etag"}
    assert deleted == {"status": 204, "id": gone["id"], "etag": None}
    assert any_client.get(f"/v1/tasks/{gone['id']}").status_code == 404


def test_new_tasks_sort_by_their_index(any_client: Client) -> None:
    titles = [f"{number:03}" for number in range(MAX_ITEMS)]
    assert len(results(send(any_client, *map(create, titles)))) == MAX_ITEMS
    assert any_client.titles(sort="created", limit=100) == titles


def test_a_refused_item_has_the_problem_of_a_single_request(client: Client) -> None:
    """The others are done."""
    task, done = client.create("Old"), client.create("Done", status="done")
    items = {
        "stale": change(task, STALE, title="New"),
        "illegal": change(done, status="cancelled"),
        "unknown": change({"id": UNKNOWN_ID}, "*", title="New"),
        "no id": change({"id": "no id"}, "*", title="New"),
        "deletion": delete({"id": "01ARZ3NDEKTSV4RRFFQ69G5FAW"}, "*"),
        "created": create("Created"),
    }
    *refused, created = results(send(client, *items.values()))
    for item, result in zip(items.values(), refused, strict=False):
        (operation,) = item.values()
        path, headers = f"/v1/tasks/{operation['id']}", {"If-Match": operation["etag"]}
        single = (
            client.merge(operation["id"], operation["patch"], headers)
            if "patch" in operation
            else client.delete(path, headers=headers)
        )
        assert result == {k: v for k, v in single.json().items() if k != "request_id"}
    assert [result["status"] for result in refused] == [412, 409, 404, 404, 404]
    assert created["status"] == 201
    assert sorted(client.titles(state="all")) == ["Created", "Done", "Old"]


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([create()] * 3 + [create("")], "items/3/create/title"),
        ([create(), create(colour="red")], "items/1/create/colour"),
        ([change({"id": "x"}, "*", status="x")], "items/0/change/patch/status"),
        ([{"change": {"id": "x", "patch": {}}}], "items/0/change/etag"),
        ([{"delete": {"id": "x", "etag": "bare"}}], "items/0/delete/etag"),
        ([{"delete": {"id": "x", "etag": '"a", "b"'}}], "items/0/delete/etag"),
        ([create(), {}], "items/1"),
        ([create() | {"delete": {"id": "x", "etag": "*"}}], "items/0"),
        ([{"create": None}], "items/0/create"),
        ([{"move": {}}], "items/0/move"),
        ([], "items"),
        ([create()] * (MAX_ITEMS + 1), "items"),
    ],
)  # fmt: skip
def test_an_invalid_item_refuses_the_request_by_its_place(
    client: Client, items: list[dict[str, Any]], field: str
) -> None:
    """Nothing is done."""
    response = send(client, *items)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field
    assert client.titles(state="all") == []


def test_two_items_for_one_task_are_refused(client: Client) -> None:
    """Before anything is done."""
    task = client.create("Old")
    response = send(client, create(), change(task, title="New"), delete(task))
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "items/2/delete/id"
    assert client.titles(state="all") == ["Old"]


def test_items_are_counted_by_status_and_their_tasks_as_those_of_single_requests(
    client: Client,
) -> None:
    task = client.create()
    send(client, create(status="done"), change(task, status="done"), delete(task | {"id": "x"}))
    metrics = client.get("/metrics").text
    assert 'tasks_created_total{status="done"} 1.0' in metrics
    assert 'tasks_moved_total{from_status="todo",to_status="done"} 1.0' in metrics
    for status in (200, 201, 404):
        assert f'bulk_items_total{{status="{status}"}} 1.0' in metrics
    assert 'bulk_items_total{status="412"} 0.0' in metrics
