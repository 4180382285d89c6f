"""The HTTP API behaves like a dictionary in random sequences of requests."""

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
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
from api.tasks.list_models import Sort
from api.tasks.models import MOVES, Priority, Status
from api.values import rfc3339
from tests.support import builders
from tests.support.builders import Client
from tests.support.clock import Clock
from tests.support.figures import Figures, rounds
from tests.support.server import serving

pytestmark = pytest.mark.slow

Json = dict[str, Any]
DEFAULTS: Json = {
    "description": "",
    "status": "todo",
    "priority": "none",
    "labels": [],
    "project": None,
    "assignee": None,
    "due_at": None,
    "comment_count": 0,
}
ANONYMOUS = {"key_id": None, "label": "anonymous"}
NAMES = st.none() | st.sampled_from(["x", "y"])
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "description": st.text("d", max_size=3),
    "status": st.sampled_from([status.value for status in Status]),
    "priority": st.sampled_from([priority.value for priority in Priority]),
    "labels": st.lists(st.sampled_from("abc"), unique=True),
    "project": NAMES,
    "assignee": NAMES,
    "due_at": st.none() | st.sampled_from(["2027-03-01T00:00:00.000Z", "2027-02-01T00:00:00.000Z"]),
}
TITLES = st.text("abc", min_size=1, max_size=3)
NEW = st.fixed_dictionaries({"title": TITLES}, optional=OPTIONAL)
PATCHES = st.fixed_dictionaries({}, optional={"title": TITLES, **OPTIONAL})
TAGS = st.sampled_from(["current", "current", "*", "stale"])
OPEN = ("todo", "in_progress")
STATES = {"open": OPEN, "closed": ("done", "cancelled"), "all": tuple(Status)}


def _consistent(query: Json) -> Json:
    """Leave out what contradicts other parameters."""
    orders_open_tasks = query["sort"].lstrip("-") in {"due", "priority"}
    if orders_open_tasks and query.get("status", "todo") not in OPEN:
        return {name: value for name, value in query.items() if name not in {"status", "state"}}
    if orders_open_tasks or "status" in query:
        return {name: value for name, value in query.items() if name != "state"}
    return query


FILTERS = st.fixed_dictionaries(
    {"sort": st.sampled_from([sort.value for sort in Sort])},
    optional={
        "status": OPTIONAL["status"],
        "state": st.sampled_from(sorted(STATES)),
        "priority": OPTIONAL["priority"],
        "label": st.sampled_from("abc"),
        "project": st.just("x"),
        "assignee": st.just("y"),
    },
).map(_consistent)
LEGAL = {before.value: {after.value for after in moves} for before, moves in MOVES.items()}
TRASHED = timedelta(days=30)
NEVER = '"0000000000000000"'


class Sent(NamedTuple):
    """A request with an idempotency key, its response, and when it was sent."""

    method: str
    path: str
    body: Json
    key: str
    response: httpx.Response
    at: datetime

    def again(self, client: Client, **changes: Any) -> httpx.Response:
        media_type = builders.MERGE_PATCH if self.method == "PATCH" else "application/json"
        headers = {"Idempotency-Key": self.key, "If-Match": NEVER, "Content-Type": media_type}
        body = {**self.body, **changes}
        return client.request(self.method, self.path, json=body, headers=headers)


class Tracker(RuleBasedStateMachine):
    """The API, and dictionaries of the tasks that it should hold."""

    client: ClassVar[Client]
    clock: ClassVar[Clock]
    steps: ClassVar[int] = 0
    keys: ClassVar[Iterator[int]] = itertools.count()

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, Json] = {}
        self.gone: dict[str, Json] = {}
        self.deleted_at: dict[str, datetime] = {}
        self.sent: list[Sent] = []
        for task in self.client.walk(limit=100, state="all"):
            self.client.delete(f"/v1/tasks/{task['id']}", headers={"If-Match": "*"})

    @rule(target=ids, new=NEW, keyed=st.booleans())
    def create(self, new: Json, *, keyed: bool) -> str:
        response = self._send("POST", "/v1/tasks", new, {"Content-Type": "application/json"}, keyed)
        assert response.status_code == 201, response.text
        task: Json = response.json()
        moment = rfc3339(self.clock())
        made: Json = {
            "created_at": moment,
            "updated_at": moment,
            "completed_at": None,
            "version": 1,
        }
        made |= {"created_by": ANONYMOUS, "updated_by": ANONYMOUS}
        made |= {name: task[name] for name in ("id", "etag")}
        if new.get("status") == "done":
            made["completed_at"] = moment
        assert task == DEFAULTS | new | made
        self.tasks[task["id"]] = task
        task_id: str = task["id"]
        return task_id

    @rule(task_id=ids, patch=PATCHES, tag=TAGS, keyed=st.booleans())
    def change(self, task_id: str, patch: Json, tag: str, *, keyed: bool) -> None:
        self._change(task_id, patch, tag, keyed=keyed)

    @rule(task_id=ids, tag=TAGS)
    def delete(self, task_id: str, tag: str) -> None:
        """A deletion with the last ETag can be repeated; one with * needs an existing task."""
        headers = {"If-Match": self._tag(task_id, tag)}
        status = self.client.delete(f"/v1/tasks/{task_id}", headers=headers).status_code
        if task_id in self.gone:
            assert status == (204 if tag == "current" else 404)
        elif tag == "stale":
            assert status == 412
        else:
            assert status == 204
            self.gone[task_id] = self.tasks.pop(task_id)
            self.deleted_at[task_id] = self.clock()

    @rule(task_id=ids)
    def restore(self, task_id: str) -> None:
        """Within 30 days a deleted task is given back; one that is there stays."""
        response = self.client.post(f"/v1/tasks/{task_id}/restore")
        if task_id in self.gone and self.deleted_at[task_id] <= self.clock() - TRASHED:
            assert response.status_code == 404
            return
        after = response.json()
        if task_id in self.gone:
            before = self.gone.pop(task_id)
            assert after["etag"] != before["etag"]
            version, moment = before["version"] + 2, rfc3339(self.clock())
            changed = {"version": version, "updated_at": moment, "etag": after["etag"]}
            self.tasks[task_id] = before | changed
        assert after == self.tasks[task_id]

    @rule(limit=st.integers(1, 5))
    def walk_the_trash(self, limit: int) -> None:
        """It holds what can be restored."""
        first = self.clock() - TRASHED
        expected = {each for each in self.gone if self.deleted_at[each] > first}
        # Earlier sequences have left tasks, too.
        found = [task["id"] for task in self._trash(limit)]
        assert expected == self.gone.keys() & set(found)
        assert len(found) == len(set(found))

    def _trash(self, limit: int) -> Iterator[Json]:
        cursor: Json = {}
        while True:
            page = self.client.get("/v1/trash", params={"limit": limit, **cursor}).json()
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}

    @rule(task_id=ids)
    def read(self, task_id: str) -> None:
        response = self.client.get(f"/v1/tasks/{task_id}")
        if task_id in self.tasks:
            assert response.json() == self.tasks[task_id]
        else:
            assert response.status_code == 404

    @rule(query=FILTERS, limit=st.integers(1, 5))
    def walk(self, query: Json, limit: int) -> None:
        expected = [task for task in self.tasks.values() if _matches(task, query)]
        expected.sort(key=_order(query["sort"]), reverse=query["sort"].startswith("-"))
        assert self.client.walk(**query, limit=limit) == expected

    @precondition(lambda self: len(self.tasks) > 2)
    @rule(data=st.data(), query=FILTERS)
    def walk_while_one_changes(self, data: st.DataObject, query: Json) -> None:
        """Each unchanged task is listed once, wherever the changed one moves in the order."""
        touched = data.draw(st.sampled_from(sorted(self.tasks)))
        page = self.client.page(**query, limit=1)
        seen = page["items"]
        self._change(touched, data.draw(PATCHES), "*", keyed=False)
        while page["next_cursor"]:
            page = self.client.page(**query, limit=2, cursor=page["next_cursor"])
            seen += page["items"]
        matching = (task for task in self.tasks.values() if _matches(task, query))
        untouched = sorted(task["id"] for task in matching if task["id"] != touched)
        assert sorted(task["id"] for task in seen if task["id"] != touched) == untouched

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """The first response is replayed, whatever the ETag and the state of the task."""
        sent = data.draw(st.sampled_from(self.sent))
        response = sent.again(self.client)
        assert response.content == sent.response.content
        assert response.headers["ETag"] == sent.response.headers["ETag"]
        assert response.headers["Idempotent-Replayed"] == "true"

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def reuse(self, data: st.DataObject) -> None:
        """Another payload with a used idempotency key returns 422 and has no effect."""
        response = data.draw(st.sampled_from(self.sent)).again(self.client, title="another")
        assert response.status_code == 422, response.text

    @rule(hours=st.integers(0, 30))
    def wait(self, hours: int) -> None:
        """Idempotency keys expire after a day."""
        self.clock.advance(hours=hours, seconds=1)
        a_day_ago = self.clock() - timedelta(hours=24)
        self.sent = [sent for sent in self.sent if sent.at > a_day_ago]

    @invariant()
    def counted(self) -> None:
        type(self).steps += 1

    def _change(self, task_id: str, patch: Json, tag: str, *, keyed: bool) -> None:
        headers = {"If-Match": self._tag(task_id, tag), "Content-Type": builders.MERGE_PATCH}
        response = self._send("PATCH", f"/v1/tasks/{task_id}", patch, headers, keyed)
        before = self.tasks.get(task_id)
        assert response.status_code == _expected_status(before, patch, tag), response.text
        if response.status_code == 200 and before:
            after = response.json()
            assert after["etag"] != before["etag"]
            assert after == _changed(before, patch, rfc3339(self.clock())) | {"etag": after["etag"]}
            self.tasks[task_id] = after

    def _send(
        self, method: str, path: str, body: Json, headers: dict[str, str], keyed: bool
    ) -> httpx.Response:
        key = f"key-{next(self.keys)}"
        more = {"Idempotency-Key": key} if keyed else {}
        response = self.client.request(method, path, json=body, headers=headers | more)
        # The API does not store failures.
        if keyed and response.is_success:
            self.sent.append(Sent(method, path, body, key, response, self.clock()))
        return response

    def _tag(self, task_id: str, tag: str) -> str:
        known = self.tasks | self.gone
        return {"*": "*", "stale": NEVER}.get(tag) or str(known[task_id]["etag"])


def _expected_status(before: Json | None, patch: Json, tag: str) -> int:
    if before is None:
        return 404
    if tag == "stale":
        return 412
    wanted = patch.get("status", before["status"])
    return 200 if wanted in LEGAL[before["status"]] | {before["status"]} else 409


def _changed(before: Json, patch: Json, moment: str) -> Json:
    after = before | patch | {"updated_at": moment, "version": before["version"] + 1}
    done = (before["completed_at"] or moment) if after["status"] == "done" else None
    return after | {"completed_at": done}


def _matches(task: Json, query: Json) -> bool:
    wanted = {name: value for name, value in query.items() if name != "sort"}
    label = wanted.pop("label", None)
    statuses = STATES[wanted.pop("state", "all" if "status" in wanted else "open")]
    has_label = label is None or label in task["labels"]
    return (
        has_label
        and task["status"] in statuses
        and wanted.items()
        <= {name: value for name, value in task.items() if name != "labels"}.items()
    )


def _order(sort: str) -> Callable[[Json], tuple[Any, str]]:
    """Return the sort key; equal values are ordered by id."""
    ranks = [priority.value for priority in Priority]
    values: dict[str, Callable[[Json], Any]] = {
        "created": lambda task: task["id"],
        "updated": lambda task: task["updated_at"],
        "due": lambda task: task["due_at"] or ("" if sort == "-due" else "after all dates"),
        "priority": lambda task: ranks.index(task["priority"]),
    }
    return lambda task: (values[sort.removeprefix("-")](task), task["id"])


@pytest.mark.parametrize("table", range(rounds(1, 12)))
def test_the_api_behaves_like_a_dictionary(table: int, moto: str, figures: Figures) -> None:
    """Every response of a random sequence of requests is the predicted one."""
    Tracker.clock, Tracker.steps = Clock(), 0
    effort = settings(
        max_examples=20,
        stateful_step_count=50,
        suppress_health_check=list(HealthCheck),
    )
    with (
        serving(create_app(builders.settings(moto), clock=Tracker.clock)) as url,
        Client(base_url=url) as Tracker.client,
    ):
        run_state_machine_as_test(Tracker, settings=effort)
    figures.count("model_steps", tried=Tracker.steps, failed=0)
