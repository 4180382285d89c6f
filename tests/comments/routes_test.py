"""Comments over HTTP: who may do what, and that the task counts them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from api.principal import Scope
from api.tasks import updates
from tests.support.builders import MERGE_PATCH, Client
from tests.support.secured_app import TASKS, SecuredApp, bearer, serve

UNKNOWN_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def _task(client: Client, task: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/tasks/{task['id']}").json()
    return found


def _edit(client: Client, comment: dict[str, Any], text: str, **headers: str) -> httpx.Response:
    headers = {"If-Match": comment["etag"], "Content-Type": MERGE_PATCH, **headers}
    path = client.comments_path({"id": comment["task_id"]}, comment)
    return client.patch(path, json={"text": text}, headers=headers)


def _delete(client: Client, comment: dict[str, Any], if_match: str | None = None) -> httpx.Response:
    path = client.comments_path({"id": comment["task_id"]}, comment)
    return client.delete(path, headers={"If-Match": if_match or comment["etag"]})


def test_a_comment_is_read_and_listed_as_it_was_written(any_client: Client) -> None:
    task = any_client.create()
    path = any_client.comments_path(task)
    response = any_client.post(path, json={"text": " Two\nlines \n"})
    comment = response.json()
    assert (comment["text"], comment["task_id"]) == ("Two\nlines", task["id"])
    assert response.headers["Location"] == f"{path}/{comment['id']}"
    assert response.headers["ETag"] == comment["etag"]
    read = any_client.get(response.headers["Location"])
    assert read.json() == comment
    assert any_client.get(path).json() == {"items": [comment], "next_cursor": None}
    cached = any_client.get(f"{path}/{comment['id']}", headers={"If-None-Match": comment["etag"]})
    assert cached.status_code == 304


def test_a_comment_changes_the_task(any_client: Client) -> None:
    """Its count, version, ETag and time, and who changed it; nothing else."""
    task = any_client.create(labels=["a"], due_at="2027-01-31T09:30:00.000Z", status="in_progress")
    comment = any_client.comment(task)
    after = _task(any_client, task)
    new = {name: after[name] for name in ("etag", "updated_at")}
    assert after == task | new | {"comment_count": 1, "version": 2}
    assert after["etag"] not in {task["etag"], comment["etag"]}
    assert any_client.walk(sort="due") == [after]
    assert _delete(any_client, comment).status_code == 204
    deleted = _task(any_client, task)
    assert (deleted["comment_count"], deleted["version"]) == (0, 3)


def test_a_list_has_pages_of_what_is_there_oldest_first(any_client: Client) -> None:
    """A cursor goes on where it was, whatever was deleted or written since."""
    task, other = any_client.create(), any_client.create()
    comments = [any_client.comment(task, f"{number}") for number in range(5)]
    any_client.comment(other)
    path, texts, cursor = any_client.comments_path(task), [], None
    _delete(any_client, comments[1])
    while True:
        page = any_client.get(path, params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        texts += [comment["text"] for comment in page.json()["items"]]
        if (cursor := page.json()["next_cursor"]) is None:
            break
        _delete(any_client, comments[2])
    assert texts == ["0", "2", "3", "4"]
    assert any_client.comments(task) == ["0", "3", "4"]


def test_a_cursor_is_one_of_its_task(client: Client) -> None:
    task, other = client.create(), client.create()
    for text in "ab":
        client.comment(task, text)
    page = client.get(client.comments_path(task), params={"limit": 1}).json()
    for path in (client.comments_path(other), "/v1/trash", "/v1/tasks"):
        response = client.get(path, params={"limit": 1, "cursor": page["next_cursor"]})
        assert response.json()["type"] == "/problems/invalid-cursor"


def test_comments_of_a_task_that_is_not_there_are_not_found(any_client: Client) -> None:
    """Nor those of a deleted one, nor another task's."""
    deleted, there = any_client.create(), any_client.create()
    comment = any_client.comment(deleted)
    headers = {"If-Match": "*"}
    any_client.delete(f"/v1/tasks/{deleted['id']}", headers=headers)
    for task in (deleted, {"id": UNKNOWN_ID}, {"id": "no-id"}):
        path = any_client.comments_path(task)
        found = [
            any_client.get(path),
            any_client.post(path, json={"text": "x"}),
            any_client.get(f"{path}/{comment['id']}"),
            any_client.patch(f"{path}/{comment['id']}", json={"text": "x"}, headers=headers),
            any_client.delete(f"{path}/{comment['id']}", headers=headers),
        ]
        assert {each.json()["type"] for each in found} == {"/problems/task-not-found"}
    for comment_id in (comment["id"], UNKNOWN_ID, "no-id"):
        response = any_client.get(any_client.comments_path(there, {"id": comment_id}))
        assert response.json()["type"] == "/problems/comment-not-found"


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"text": None}, {"text": " \n"}, {"text": "\u200b"}, {"text": "a\0"}, {"text": 7}),
        *({"text": "x" * 8001}, {"text": "x", "colour": "red"}),
    ],
)
def test_an_invalid_text_is_refused(served: Client, body: dict[str, Any]) -> None:
    task = served.create()
    assert served.post(served.comments_path(task), json=body).status_code == 422
    comment = served.comment(task, "x" * 8000)
    path = served.comments_path(task, comment)
    assert served.patch(path, json=body, headers={"If-Match": "*"}).status_code == 422
    assert served.comments(task) == [comment["text"]]


def test_an_edit_changes_the_comment_and_not_its_task(any_client: Client) -> None:
    task = any_client.create()
    comment = any_client.comment(task, "Old")
    before = _task(any_client, task)
    response = _edit(any_client, comment, "New")
    edited = response.json()
    new = {name: edited[name] for name in ("etag", "updated_at")}
    assert edited == comment | new | {"text": "New", "version": 2}
    assert response.headers["ETag"] == edited["etag"] != comment["etag"]
    assert any_client.get(any_client.comments_path(task, comment)).json() == edited
    assert _task(any_client, task) == before


def test_an_edit_and_a_deletion_need_the_comments_etag(any_client: Client) -> None:
    task = any_client.create()
    comment = any_client.comment(task)
    edited = _edit(any_client, comment, "New").json()
    for stale in (_edit(any_client, comment, "x"), _delete(any_client, comment)):
        assert stale.json()["type"] == "/problems/stale-comment"
        assert stale.headers["ETag"] == stale.json()["current_etag"] == edited["etag"]
    path = any_client.comments_path(task, comment)
    assert any_client.patch(path, json={"text": "x"}).status_code == 428
    assert any_client.delete(path).status_code == 428
    assert _edit(any_client, edited, "Newer", **{"If-Match": "*"}).json()["version"] == 3
    assert _delete(any_client, edited, "*").status_code == 204


def test_a_deletion_can_be_repeated(any_client: Client) -> None:
    """Of the same state; it counts once, and the comment is gone for everything else."""
    task = any_client.create()
    comment, kept = any_client.comment(task), any_client.comment(task, "Kept")
    assert [_delete(any_client, comment).status_code for _ in range(2)] == [204, 204]
    assert _delete(any_client, comment, "*").status_code == 404
    assert _delete(any_client, comment, kept["etag"]).status_code == 404
    assert _edit(any_client, comment, "x").json()["type"] == "/problems/comment-not-found"
    assert any_client.get(any_client.comments_path(task, comment)).status_code == 404
    assert any_client.comments(task) == ["Kept"]
    assert _task(any_client, task)["comment_count"] == 1


def test_a_task_has_a_limited_number_of_comments(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "MAX_COMMENTS", 2)
    task = client.create()
    first, _ = client.comment(task), client.comment(task)
    path = client.comments_path(task)
    assert client.post(path, json={"text": "x"}).json()["type"] == "/problems/too-many-comments"
    changed = client.merge(task["id"], {"title": "x", "comment": "x"}, {"If-Match": "*"})
    assert changed.json()["type"] == "/problems/too-many-comments"
    assert _task(client, task)["title"] == task["title"]
    _delete(client, first)
    assert client.comment(task)
    assert _task(client, task)["comment_count"] == 2


def test_concurrent_comments_are_all_counted(any_client: Client) -> None:
    task = any_client.create()

    def write(number: int) -> int:
        for _ in range(100):
            response = any_client.post(any_client.comments_path(task), json={"text": f"{number}"})
            if response.status_code == 201:
                break
            assert response.headers["Retry-After"]
        return response.status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(write, range(12))) == {201}
    assert sorted(map(int, any_client.comments(task))) == list(range(12))
    assert _task(any_client, task)["comment_count"] == 12


def test_a_repeated_comment_is_written_once(any_client: Client) -> None:
    """It is replayed byte for byte, although it was edited since."""
    task = any_client.create()
    first = any_client.comment_once("k", task, "Once")
    _edit(any_client, first.json(), "Edited since")
    again = any_client.comment_once("k", task, " Once")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert any_client.comments(task) == ["Edited since"]
    assert any_client.comment_once("k", task, "Twice").status_code == 422
    other = any_client.comment_once("k", any_client.create(), "Once")
    assert other.json()["id"] != first.json()["id"]


def test_a_repeated_edit_is_made_once(any_client: Client) -> None:
    task = any_client.create()
    comment = any_client.comment(task, "Old")
    key = {"Idempotency-Key": "k"}
    first, again = (_edit(any_client, comment, "New", **key) for _ in range(2))
    assert (again.status_code, again.content) == (200, first.content)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json()["version"] == 2
    assert _edit(any_client, comment, "Other", **key).status_code == 422
    _delete(any_client, first.json())
    assert _edit(any_client, comment, "New", **key).content == first.content


def test_head_has_the_headers_of_get(client: Client) -> None:
    task = client.create()
    comment = client.comment(task)
    for path in (client.comments_path(task), client.comments_path(task, comment)):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
        assert head.headers.get("ETag") == get.headers.get("ETag")


class TestAuthors:
    @pytest.fixture
    def app(self, moto: str) -> Iterator[SecuredApp]:
        with serve(moto) as app:
            yield app

    def _client(self, app: SecuredApp, label: str, *scopes: Scope) -> Client:
        key = app.make(*TASKS, *scopes, label=label)["key"]
        client = Client(base_url=app.client.base_url, headers=bearer(key))
        return app.clients.enter_context(client)

    def test_a_comment_is_changed_and_deleted_by_its_author_or_an_admin(
        self, app: SecuredApp
    ) -> None:
        author, other = self._client(app, "author"), self._client(app, "other")
        admin = self._client(app, "admin", Scope.ADMIN)
        task = author.create()
        comment = author.comment(task)
        for refused in (_edit(other, comment, "x"), _delete(other, comment)):
            assert refused.status_code == 403
            assert refused.json()["type"] == "/problems/not-the-author"
        own = _edit(author, comment, "Mine").json()
        edited = _edit(admin, own, "Moderated").json()
        assert edited["created_by"] == comment["created_by"]
        assert edited["updated_by"]["label"] == "admin"
        assert _delete(admin, edited).status_code == 204
        assert _delete(author, author.comment(task)).status_code == 204

    def test_a_comment_changes_who_changed_the_task_last(self, app: SecuredApp) -> None:
        author, other = self._client(app, "author"), self._client(app, "other")
        task = author.create()
        assert other.comment(task)["created_by"]["label"] == "other"
        assert _task(author, task)["updated_by"]["label"] == "other"

    def test_comments_of_another_workspace_are_not_found(self, app: SecuredApp) -> None:
        """Under their ids, and under the own task's."""
        ours, theirs = app.tenant("ours"), app.tenant("theirs", *Scope)
        task, own = ours.create(), theirs.create()
        comment = ours.comment(task)
        assert theirs.get(theirs.comments_path(task)).status_code == 404
        for of in (task, own):
            path = theirs.comments_path(of, comment)
            assert theirs.get(path).status_code == 404
            headers = {"If-Match": "*"}
            assert theirs.patch(path, json={"text": "x"}, headers=headers).status_code == 404
            assert theirs.delete(path, headers=headers).status_code == 404
        assert ours.comments(task) == [comment["text"]]
