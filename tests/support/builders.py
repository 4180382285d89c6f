"""Settings and an HTTP client for tests."""

import itertools
from typing import Any

import httpx

from api.settings import Settings

SECRET = "a-secret-for-tests-that-is-long-enough"
MERGE_PATCH = "application/merge-patch+json"

_table_numbers = itertools.count()


def settings(endpoint: str, **changes: Any) -> Settings:
    """Return settings for a store, with a table name that no other test uses."""
    values = {
        "auth": "off",
        # Its calls would be among those that tests count.
        "backlog": "off",
        "cursor_secret": SECRET,
        "dynamodb_endpoint": endpoint,
        "table_name": f"tasks-{next(_table_numbers)}",
        **changes,
    }
    return Settings(**values)


class Client(httpx.Client):
    """An HTTP client with the requests of the task API."""

    def __init__(self, **options: Any) -> None:
        # Tests use plain HTTP, and loading the CA bundle would take longer than a test.
        super().__init__(verify=False, **options)

    def create(self, title: str = "A task", **fields: Any) -> dict[str, Any]:
        return _content(self.post("/v1/tasks", json={"title": title, **fields}), 201)

    def create_once(self, key: str, title: str = "A task", **fields: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key}
        return self.post("/v1/tasks", json={"title": title, **fields}, headers=headers)

    def change(self, task: dict[str, Any], **fields: Any) -> httpx.Response:
        return self.merge(task["id"], fields, {"If-Match": task["etag"]})

    def change_once(self, key: str, task: dict[str, Any], **fields: Any) -> httpx.Response:
        headers = {"If-Match": task["etag"], "Idempotency-Key": key}
        return self.merge(task["id"], fields, headers)

    def changed(self, task: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Change a task and return it as it is now."""
        return _content(self.change(task, **fields))

    def comment(self, task: dict[str, Any], text: str = "A comment") -> dict[str, Any]:
        return _content(self.post(self.comments_path(task), json={"text": text}), 201)

    def comment_once(self, key: str, task: dict[str, Any], text: str) -> httpx.Response:
        headers = {"Idempotency-Key": key}
        return self.post(self.comments_path(task), json={"text": text}, headers=headers)

    def comments(self, task: dict[str, Any], **query: Any) -> list[str]:
        """Return the texts of one page of a task's comments."""
        page = _content(self.get(self.comments_path(task), params=query))
        return [comment["text"] for comment in page["items"]]

    def comments_path(self, task: dict[str, Any], comment: dict[str, Any] | None = None) -> str:
        path = f"/v1/tasks/{task['id']}/comments"
        return f"{path}/{comment['id']}" if comment else path

    def merge(
        self, task_id: str, patch: Any, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        headers = {"Content-Type": MERGE_PATCH, **(headers or {})}
        return self.patch(f"/v1/tasks/{task_id}", json=patch, headers=headers)

    def page(self, **query: Any) -> dict[str, Any]:
        return _content(self.get("/v1/tasks", params=query))

    def titles(self, **query: Any) -> list[str]:
        """Return the titles of one page."""
        return [task["title"] for task in self.page(**query)["items"]]

    def walk(self, **query: Any) -> list[dict[str, Any]]:
        """Return the tasks of a list's pages from the first to the last."""
        page = self.page(**query)
        items: list[dict[str, Any]] = page["items"]
        while page["next_cursor"]:
            page = self.page(**query, cursor=page["next_cursor"])
            items += page["items"]
        return items


def _content(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.text
    content: dict[str, Any] = response.json()
    return content
