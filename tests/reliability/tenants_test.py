"""Two workspaces in one table learn nothing about each other.

Each response about a task of the other workspace, and the calls to DynamoDB behind it, must equal
those for a task that does not exist.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.support.builders import MERGE_PATCH, Client
from tests.support.figures import Figures, rounds
from tests.support.secured_app import SecuredApp, serve

pytestmark = pytest.mark.slow

KEPT = 2
MISSING = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
TENANTS = st.sampled_from([0, 1])
KEYS = st.sampled_from(["k1", "k2"])
TITLES = st.sampled_from(["x", "y"])
REQUEST_KINDS = st.sampled_from(
    ["read", "read again", "change", "change once", "comment", "delete", "restore"]
)
COMMENT_KINDS = st.sampled_from(["list", "write", "write once", "read", "edit", "delete"])


class Attempt(NamedTuple):
    """A request for a task whose id and ETag are known."""

    kind: str
    task_id: str
    etag: str

    def send(self, client: Client) -> httpx.Response:
        path = f"/v1/tasks/{self.task_id}"
        same = {"X-Request-Id": "same", "Content-Type": MERGE_PATCH}
        match = {**same, "If-Match": self.etag}
        match self.kind:
            case "read":
                return client.get(path, headers=same)
            case "read again":
                return client.get(path, headers={**same, "If-None-Match": self.etag})
            case "change" | "comment":
                field = "title" if self.kind == "change" else "comment"
                return client.patch(path, headers=match, json={field: "stolen"})
            case "change once":
                once = {**match, "Idempotency-Key": "k1"}
                return client.patch(path, headers=once, json={"title": "stolen"})
            case "restore":
                return client.post(f"{path}/restore", headers=same)
            case _:
                return client.delete(path, headers=match)


class CommentAttempt(NamedTuple):
    """A request for a comment, or the comments, of a task; ids and ETag are known."""

    kind: str
    task_id: str
    comment_id: str
    etag: str

    def send(self, client: Client) -> httpx.Response:
        comments = f"/v1/tasks/{self.task_id}/comments"
        path = f"{comments}/{self.comment_id}"
        same = {"X-Request-Id": "same"}
        match, body = {**same, "If-Match": self.etag}, {"text": "stolen"}
        match self.kind:
            case "list":
                return client.get(comments, headers=same)
            case "write":
                return client.post(comments, headers=same, json=body)
            case "write once":
                return client.post(comments, headers={**same, "Idempotency-Key": "k1"}, json=body)
            case "read":
                return client.get(path, headers=same)
            case "edit":
                return client.patch(path, headers=match, json=body)
            case _:
                return client.delete(path, headers=match)


class Tenants(RuleBasedStateMachine):
    """Two tenants, and the tasks that each should see."""

    served: ClassVar[SecuredApp]
    numbers: ClassVar[Iterator[int]] = itertools.count()
    reached: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        run = next(self.numbers)
        self.clients = [self.served.tenant(f"t{run}-{name}") for name in "ab"]
        self.tasks: list[dict[str, dict[str, Any]]] = [{}, {}]
        self.once: list[dict[str, dict[str, Any]]] = [{}, {}]
        self.cursors: list[list[str]] = [[], []]
        self.comments: list[list[dict[str, Any]]] = [[], []]
        # Each has tasks and a cursor that the other can try to use.
        for who in (0, 1):
            for _ in range(KEPT):
                self.create(who, "x")
            self.page(who)
            self.comment(who, next(iter(self.tasks[who])))

    @rule(who=TENANTS, title=TITLES)
    def create(self, who: int, title: str) -> None:
        task = self.clients[who].create(title)
        self.tasks[who][task["id"]] = task

    @rule(who=TENANTS, key=KEYS)
    def create_once(self, who: int, key: str) -> None:
        """An idempotency key that the other workspace has used is new here."""
        response = self.clients[who].create_once(key, "once")
        replayed = "Idempotent-Replayed" in response.headers
        assert replayed == (key in self.once[who])
        task = self.once[who].setdefault(key, response.json())
        assert response.json() == task
        if not replayed:
            self.tasks[who][task["id"]] = task

    @rule(who=TENANTS, kind=REQUEST_KINDS, data=st.data())
    def reach_over(self, who: int, kind: str, data: st.DataObject) -> None:
        """A request for the other workspace's task behaves as if the task did not exist."""
        theirs = self.tasks[1 - who]
        task = data.draw(st.sampled_from(list(theirs.values())))
        attempts = [Attempt(kind, each, task["etag"]) for each in (task["id"], MISSING)]
        self._require_alike(who, *attempts)

    @rule(who=TENANTS, data=st.data())
    def write_comment(self, who: int, data: st.DataObject) -> None:
        self.comment(who, data.draw(st.sampled_from(list(self.tasks[who]))))

    def comment(self, who: int, task_id: str) -> None:
        client = self.clients[who]
        self.comments[who].append(client.comment({"id": task_id}))
        self.tasks[who][task_id] = client.get(f"/v1/tasks/{task_id}").json()

    @rule(who=TENANTS, kind=COMMENT_KINDS, data=st.data())
    def reach_over_to_a_comment(self, who: int, kind: str, data: st.DataObject) -> None:
        """A request for the other workspace's comment behaves as if its task did not exist."""
        comment = data.draw(st.sampled_from(self.comments[1 - who]))
        attempts = [
            CommentAttempt(kind, each, comment["id"], comment["etag"])
            for each in (comment["task_id"], MISSING)
        ]
        self._require_alike(who, *attempts)

    @rule(who=TENANTS, kind=st.sampled_from(["read", "edit", "delete"]), data=st.data())
    def reach_over_from_the_own_task(self, who: int, kind: str, data: st.DataObject) -> None:
        """The other workspace's comment is none of the own task's, as one that does not exist."""
        comment = data.draw(st.sampled_from(self.comments[1 - who]))
        own = next(iter(self.tasks[who]))
        attempts = [
            CommentAttempt(kind, own, each, comment["etag"]) for each in (comment["id"], MISSING)
        ]
        self._require_alike(who, *attempts)

    @rule(who=TENANTS)
    def page(self, who: int) -> None:
        self.cursors[who].append(self.clients[who].page(limit=1)["next_cursor"])

    @rule(who=TENANTS, data=st.data())
    def follow_their_cursor(self, who: int, data: st.DataObject) -> None:
        """The other workspace's cursor gets the response of a forged one."""
        cursor = data.draw(st.sampled_from(self.cursors[1 - who]))
        same = {"X-Request-Id": "same"}
        foreign, forged = (
            self.clients[who].get("/v1/tasks", params={"limit": 1, "cursor": each}, headers=same)
            for each in (cursor, "forged")
        )
        assert (foreign.status_code, foreign.content) == (400, forged.content)
        Tenants.reached += 1

    @rule(who=TENANTS)
    def follow_their_token(self, who: int) -> None:
        """The other workspace's token gets the response of a forged one, and the own no change."""
        feed, same = "/v1/changes", {"X-Request-Id": "same"}
        theirs = self.clients[1 - who].get(feed).json()["token"]
        foreign, forged = (
            self.clients[who].get(feed, params={"token": each}, headers=same)
            for each in (theirs, "forged")
        )
        assert (foreign.status_code, foreign.content) == (410, forged.content)
        own = self.clients[who].get(feed, params={"token": foreign.json()["token"], "limit": 100})
        assert {task["id"] for task in own.json()["tasks"]} <= self.tasks[who].keys()
        Tenants.reached += 1

    @rule(who=TENANTS, data=st.data())
    def delete(self, who: int, data: st.DataObject) -> None:
        if len(self.tasks[who]) <= KEPT:
            return
        task_id = data.draw(st.sampled_from(list(self.tasks[who])))
        path = f"/v1/tasks/{task_id}"
        assert self.clients[who].delete(path, headers={"If-Match": "*"}).status_code == 204
        del self.tasks[who][task_id]

    @invariant()
    def each_sees_its_own(self) -> None:
        for client, tasks in zip(self.clients, self.tasks, strict=True):
            assert {task["id"]: task for task in client.page(limit=100)["items"]} == tasks
            for task in tasks.values():
                assert len(client.comments(task, limit=100)) == task["comment_count"]

    def _require_alike(self, who: int, *attempts: Attempt | CommentAttempt) -> None:
        (foreign, work), (missing, no_work) = [self._worked(who, each) for each in attempts]
        assert foreign.status_code == 404
        assert foreign.content == missing.content
        assert _headers(foreign) == _headers(missing)
        assert work == no_work
        Tenants.reached += 1

    def _worked(
        self, who: int, attempt: Attempt | CommentAttempt
    ) -> tuple[httpx.Response, dict[str, float]]:
        """Send a request; return its response and the calls to DynamoDB that it caused."""
        before = self._calls()
        response = attempt.send(self.clients[who])
        return response, {
            name: count - before.get(name, 0) for name, count in self._calls().items()
        }

    def _calls(self) -> dict[str, float]:
        page = self.served.client.get("/metrics").text
        found = re.findall(r"^(dynamodb_(?:calls|consumed)\S+) (\S+)$", page, re.MULTILINE)
        return {name: float(count) for name, count in found}


def _headers(response: httpx.Response) -> dict[str, str]:
    """Return the headers without the date and the caller's own rate limit."""
    changing = {"date", "ratelimit-remaining", "ratelimit-reset"}
    return {name: value for name, value in response.headers.items() if name not in changing}


@pytest.mark.parametrize("table", range(rounds(1, 10)))
def test_two_tenants_learn_nothing_of_each_other(table: int, moto: str, figures: Figures) -> None:
    """In random sequences of requests, the other workspace's tasks seem not to exist."""
    Tenants.reached = 0
    effort = settings(
        max_examples=rounds(8, 15),
        stateful_step_count=30,
        suppress_health_check=list(HealthCheck),
    )
    with serve(moto, rate_limit=10**6) as Tenants.served:
        run_state_machine_as_test(Tenants, settings=effort)
    assert Tenants.reached
    figures.count("foreign_reaches", tried=Tenants.reached, failed=0)
