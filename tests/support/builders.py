"""What tests need in order to speak of tasks: settings, an app, requests."""

import itertools
from typing import Any

import httpx

from api.settings import Settings

SECRET = "a-secret-for-tests-that-is-long-enough"
MERGE_PATCH = "application/merge-patch+json"

_table_numbers = itertools.count()


def settings(endpoint: str, **changes: Any) -> Settings:
    """Make settings for a store, with a table that no other test has."""
    values = {
        "auth": "off",
        "cursor_secret": SECRET,
        "dynamodb_endpoint": endpoint,
        "table_name": f"tasks-{next(_table_numbers)}",
        **changes,
    }
    return Settings(**values)


class Client(httpx.Client):
    """An HTTP client that knows the words of the tracker."""

    def __init__(self, **options: Any) -> None:
        # All is plain HTTP here: to read certificates takes longer than a test.
        super().__init__(verify=False, **options)

    def create(self, title: str = "A task", **fields: Any) -> dict[str, Any]:
        response = self.post("/v1/tasks", json={"title": title, **fields})
        assert response.status_code == 201, response.text
        task: dict[str, Any] = response.json()
        return task

    def change(self, task: dict[str, Any], **fields: Any) -> httpx.Response:
        return self.merge(task["id"], fields, {"If-Match": task["etag"]})

    def merge(
        self, task_id: str, patch: Any, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return self.patch(
            f"/v1/tasks/{task_id}",
            json=patch,
            headers={"Content-Type": MERGE_PATCH, **(headers or {})},
        )

    def create_once(self, key: str, title: str = "A task", **fields: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key}
        return self.post("/v1/tasks", json={"title": title, **fields}, headers=headers)

    def change_once(self, key: str, task: dict[str, Any], **fields: Any) -> httpx.Response:
        headers = {"If-Match": task["etag"], "Idempotency-Key": key}
        return self.merge(task["id"], fields, headers)

    def changed(self, task: dict[str, Any], **fields: Any) -> dict[str, Any]:
        response = self.change(task, **fields)
        assert response.status_code == 200, response.text
        after: dict[str, Any] = response.json()
        return after

    def titles(self, **query: Any) -> list[str]:
        return [task["title"] for task in self.page(**query)["items"]]

    def page(self, **query: Any) -> dict[str, Any]:
        response = self.get("/v1/tasks", params=query)
        assert response.status_code == 200, response.text
        page: dict[str, Any] = response.json()
        return page

    def walk(self, **query: Any) -> list[dict[str, Any]]:
        """Follow a list to its end."""
        page = self.page(**query)
        items: list[dict[str, Any]] = page["items"]
        while page["next_cursor"]:
            page = self.page(**query, cursor=page["next_cursor"])
            items += page["items"]
        return items
