"""The comments of tasks behave like a dictionary in random sequences of requests."""

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from api.main import create_app
from api.values import rfc3339
from tests.support import builders
from tests.support.builders import Client
from tests.support.clock import Clock
from tests.support.figures import Figures, rounds
from tests.support.server import serving

pytestmark = pytest.mark.slow

Json = dict[str, Any]
ANONYMOUS = {"key_id": None, "label": "anonymous"}
TEXTS = st.text("ab\n", min_size=1, max_size=4).filter(str.strip)
TAGS = st.sampled_from(["current", "current", "*", "stale"])
NEVER = '"0000000000000000"'


class Sent(NamedTuple):
    """A request with an idempotency key, and its response."""

    method: str
    path: str
    body: Json
    key: str
    response: httpx.Response

    def again(self, client: Client) -> httpx.Response:
        headers = {"Idempotency-Key": self.key, "If-Match": NEVER}
        return client.request(self.method, self.path, json=self.body, headers=headers)


class Comments(RuleBasedStateMachine):
    """The API, and dictionaries of the tasks and comments that it should hold."""

    client: ClassVar[Client]
    clock: ClassVar[Clock]
    steps: ClassVar[int]
    keys: ClassVar[Iterator[int]] = itertools.count()

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, Json] = {}
        self.gone: dict[str, Json] = {}
        # By task, then by their own ids; those of deleted tasks wait for a restore.
        self.comments: dict[str, dict[str, Json]] = {}
        # Deleted comments, whose last ETag deletes them again.
        self.deleted: list[Json] = []
        self.sent: list[Sent] = []

    @rule(target=ids)
    def create(self) -> str:
        task = self.client.create("Old")
        task_id: str = task["id"]
        self.tasks[task_id], self.comments[task_id] = task, {}
        return task_id

    @rule(task_id=ids, text=TEXTS, keyed=st.booleans())
    def comment(self, task_id: str, text: str, *, keyed: bool) -> None:
        path = f"/v1/tasks/{task_id}/comments"
        response = self._send("POST", path, {"text": text}, "*", keyed=keyed)
        if task_id in self.gone:
            assert response.json()["type"] == "/problems/task-not-found"
            return
        comment: Json = response.json()
        moment = rfc3339(self.clock())
        made = {"created_at": moment, "updated_at": moment, "version": 1, "text": text.strip()}
        made |= {"created_by": ANONYMOUS, "updated_by": ANONYMOUS, "task_id": task_id}
        assert comment == made | {name: comment[name] for name in ("id", "etag")}
        self.comments[task_id][comment["id"]] = comment
        self._expect_change(task_id, added=1)

    @rule(task_id=ids, text=TEXTS, tag=TAGS, keyed=st.booleans())
    def change_with_comment(self, task_id: str, text: str, tag: str, *, keyed: bool) -> None:
        patch, path = {"title": "New", "comment": text}, f"/v1/tasks/{task_id}"
        current = (self.tasks | self.gone)[task_id]["etag"]
        response = self._send("PATCH", path, patch, _tag(tag, current), keyed=keyed)
        expected = 404 if task_id in self.gone else 412 if tag == "stale" else 200
        assert response.status_code == expected, response.text
        if expected == 200:
            (comment,) = [
                each for each in self._listed(task_id) if each["id"] not in self.comments[task_id]
            ]
            assert (comment["text"], comment["version"]) == (text.strip(), 1)
            self.comments[task_id][comment["id"]] = comment
            self.tasks[task_id]["title"] = "New"
            self._expect_change(task_id, added=1)
            assert response.json() == self.tasks[task_id]

    @precondition(lambda self: any(self.comments.values()))
    @rule(data=st.data(), text=TEXTS, tag=TAGS, keyed=st.booleans())
    def edit(self, data: st.DataObject, text: str, tag: str, *, keyed: bool) -> None:
        comment = self._draw(data)
        tag = _tag(tag, comment["etag"])
        response = self._send("PATCH", _path(comment), {"text": text}, tag, keyed=keyed)
        assert response.status_code == self._expected(comment, tag, 200), response.text
        if response.status_code == 200:
            after = response.json()
            assert after["etag"] != comment["etag"]
            new = {"text": text.strip(), "updated_at": rfc3339(self.clock())}
            new |= {"version": comment["version"] + 1, "etag": after["etag"]}
            assert after == comment | new
            self.comments[comment["task_id"]][comment["id"]] = after

    @precondition(lambda self: any(self.comments.values()))
    @rule(data=st.data(), tag=TAGS)
    def delete_comment(self, data: st.DataObject, tag: str) -> None:
        comment = self._draw(data)
        tag = _tag(tag, comment["etag"])
        response = self.client.delete(_path(comment), headers={"If-Match": tag})
        assert response.status_code == self._expected(comment, tag, 204), response.text
        if response.status_code == 204:
            self.deleted.append(self.comments[comment["task_id"]].pop(comment["id"]))
            self._expect_change(comment["task_id"], added=-1)

    @precondition(lambda self: self.deleted)
    @rule(data=st.data(), tag=TAGS)
    def delete_again(self, data: st.DataObject, tag: str) -> None:
        """It succeeds with the last ETag, and changes nothing."""
        comment = data.draw(st.sampled_from(self.deleted))
        headers = {"If-Match": _tag(tag, comment["etag"])}
        status = self.client.delete(_path(comment), headers=headers).status_code
        succeeds = tag == "current" and comment["task_id"] in self.tasks
        assert status == (204 if succeeds else 404)
        assert self.client.get(_path(comment)).status_code == 404

    @rule(task_id=ids)
    def delete_task(self, task_id: str) -> None:
        response = self.client.delete(f"/v1/tasks/{task_id}", headers={"If-Match": "*"})
        assert response.status_code == (404 if task_id in self.gone else 204)
        if task_id in self.tasks:
            self.gone[task_id] = self.tasks.pop(task_id)

    @rule(task_id=ids)
    def restore(self, task_id: str) -> None:
        after = self.client.post(f"/v1/tasks/{task_id}/restore").json()
        if task_id in self.gone:
            before = self.gone.pop(task_id)
            new = {"version": before["version"] + 2, "updated_at": rfc3339(self.clock())}
            self.tasks[task_id] = before | new | {"etag": after["etag"]}
        assert after == self.tasks[task_id]

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """The first response is replayed, whatever has become of the task and its comments."""
        sent = data.draw(st.sampled_from(self.sent))
        response = sent.again(self.client)
        assert response.content == sent.response.content
        assert response.headers["Idempotent-Replayed"] == "true"

    @rule(task_id=ids, limit=st.integers(1, 3))
    def walk(self, task_id: str, limit: int) -> None:
        if task_id in self.tasks:
            expected = sorted(self.comments[task_id].values(), key=lambda each: str(each["id"]))
            assert list(self._listed(task_id, limit)) == expected
        else:
            assert self.client.get(f"/v1/tasks/{task_id}/comments").status_code == 404

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    @invariant()
    def counts_are_right(self) -> None:
        type(self).steps += 1
        for task_id, task in self.tasks.items():
            assert task["comment_count"] == len(self.comments[task_id])
            assert self.client.get(f"/v1/tasks/{task_id}").json() == task

    def _listed(self, task_id: str, limit: int = 100) -> Iterator[Json]:
        query: Json = {"limit": limit}
        while True:
            page = self.client.get(f"/v1/tasks/{task_id}/comments", params=query).json()
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def _draw(self, data: st.DataObject) -> Json:
        there = [comment for each in self.comments.values() for comment in each.values()]
        return data.draw(st.sampled_from(there))

    def _expected(self, comment: Json, tag: str, success: int) -> int:
        if comment["task_id"] in self.gone:
            return 404
        return 412 if tag == NEVER else success

    def _expect_change(self, task_id: str, *, added: int) -> None:
        """Expect the task to have changed with its comments, and to have another ETag."""
        before = self.tasks[task_id]
        etag = self.client.get(f"/v1/tasks/{task_id}").headers["ETag"]
        assert etag != before["etag"]
        self.tasks[task_id] = before | {
            "comment_count": before["comment_count"] + added,
            "version": before["version"] + 1,
            "updated_at": rfc3339(self.clock()),
            "etag": etag,
        }

    def _send(self, method: str, path: str, body: Json, tag: str, *, keyed: bool) -> httpx.Response:
        key = f"comment-{next(self.keys)}"
        headers = {"If-Match": tag} | ({"Idempotency-Key": key} if keyed else {})
        response = self.client.request(method, path, json=body, headers=headers)
        if keyed and response.is_success:
            self.sent.append(Sent(method, path, body, key, response))
        return response


def _tag(tag: str, current: str) -> str:
    return {"*": "*", "stale": NEVER}.get(tag) or current


def _path(comment: Json) -> str:
    return f"/v1/tasks/{comment['task_id']}/comments/{comment['id']}"


@pytest.mark.parametrize("table", range(rounds(1, 10)))
def test_comments_behave_like_a_dictionary(table: int, moto: str, figures: Figures) -> None:
    """Every response of a random sequence of requests is the predicted one."""
    Comments.clock, Comments.steps = Clock(), 0
    effort = settings(
        max_examples=20, stateful_step_count=50, suppress_health_check=list(HealthCheck)
    )
    with (
        serving(create_app(builders.settings(moto), clock=Comments.clock)) as url,
        Client(base_url=url) as Comments.client,
    ):
        run_state_machine_as_test(Comments, settings=effort)
    figures.count("model_steps", tried=Comments.steps, failed=0)
