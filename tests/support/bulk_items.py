"""Items of bulk requests, and the results in a response."""

from typing import Any

import httpx

from tests.support.builders import Client

Item = dict[str, Any]


def create(title: str = "New", **fields: Any) -> Item:
    return {"create": {"title": title, **fields}}


def change(task: dict[str, Any], etag: str = "", **patch: Any) -> Item:
    return {"change": {"id": task["id"], "etag": etag or task["etag"], "patch": patch}}


def delete(task: dict[str, Any], etag: str = "") -> Item:
    return {"delete": {"id": task["id"], "etag": etag or task["etag"]}}


def send(client: Client, *items: Item, key: str | None = None, **query: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/v1/tasks/bulk", json={"items": items}, params=query, headers=headers)


def results(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["results"]
    return found
