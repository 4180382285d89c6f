"""The HTTP API against a dictionary: whatever is asked in whatever order, both say the same."""

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
from api.models import MOVES, Priority, Sort, Status, rfc3339
from tests.support import builders
from tests.support.builders import Client
from tests.support.clock import Clock
from tests.support.figures import Figures, rounds
from tests.support.server import serving

Json = dict[str, Any]
DEFAULTS: Json = {
    "description": "",
    "status": "todo",
    "priority": "none",
    "labels": [],
    "project": None,
    "assignee": None,
    "due_at": None,
}
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
FILTERS = st.fixed_dictionaries(
    {"sort": st.sampled_from([sort.value for sort in Sort])},
    optional={
        "status": OPTIONAL["status"],
        "priority": OPTIONAL["priority"],
        "label": st.sampled_from("abc"),
        "project": st.just("x"),
        "assignee": st.just("y"),
    },
)
LEGAL = {before.value: {after.value for after in moves} for before, moves in MOVES.items()}
NEVER = '"0000000000000000"'


class Sent(NamedTuple):
    """A request under a key, the answer it got, and when."""

    method: str
    path: str
    body: Json
    key: str
    answer: httpx.Response
    at: datetime

    def again(self, client: Client, **changes: Any) -> httpx.Response:
        media_type = builders.MERGE_PATCH if self.method == "PATCH" else "application/json"
        headers = {"Idempotency-Key": self.key, "If-Match": NEVER, "Content-Type": media_type}
        body = {**self.body, **changes}
        return client.request(self.method, self.path, json=body, headers=headers)


class Tracker(RuleBasedStateMachine):
    """The API, and the dictionaries that it should be."""

    client: ClassVar[Client]
    clock: ClassVar[Clock]
    steps: ClassVar[int] = 0
    keys: ClassVar[Iterator[int]] = itertools.count()

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, Json] = {}
        self.gone: dict[str, Json] = {}
        self.sent: list[Sent] = []
        for task in self.client.walk(limit=100):
            self.client.delete(f"/v1/tasks/{task['id']}", headers={"If-Match": "*"})

    @rule(target=ids, new=NEW, keyed=st.booleans())
    def create(self, new: Json, *, keyed: bool) -> str:
        answer = self._send("POST", "/v1/tasks", new, {"Content-Type": "application/json"}, keyed)
        assert answer.status_code == 201, answer.text
        task: Json = answer.json()
        moment = rfc3339(self.clock())
        made = {"created_at": moment, "updated_at": moment, "completed_at": None, "version": 1}
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
        """The same state can be deleted again; whatever is there cannot, if nothing is."""
        headers = {"If-Match": self._tag(task_id, tag)}
        status = self.client.delete(f"/v1/tasks/{task_id}", headers=headers).status_code
        if task_id in self.gone:
            assert status == (204 if tag == "current" else 404)
        elif tag == "stale":
            assert status == 412
        else:
            assert status == 204
            self.gone[task_id] = self.tasks.pop(task_id)

    @rule(task_id=ids)
    def read(self, task_id: str) -> None:
        answer = self.client.get(f"/v1/tasks/{task_id}")
        if task_id in self.tasks:
            assert answer.json() == self.tasks[task_id]
        else:
            assert answer.status_code == 404

    @rule(query=FILTERS, limit=st.integers(1, 5))
    def walk(self, query: Json, limit: int) -> None:
        expected = [task for task in self.tasks.values() if _matches(task, query)]
        expected.sort(key=_order(query["sort"]), reverse=query["sort"].startswith("-"))
        assert self.client.walk(**query, limit=limit) == expected

    @precondition(lambda self: len(self.tasks) > 2)
    @rule(data=st.data(), query=FILTERS)
    def walk_while_one_changes(self, data: st.DataObject, query: Json) -> None:
        """Each of the others is seen once, wherever that one goes in the order."""
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
        """The first answer again, however stale the tag and whatever became of the task."""
        sent = data.draw(st.sampled_from(self.sent))
        answer = sent.again(self.client)
        assert answer.content == sent.answer.content
        assert answer.headers["ETag"] == sent.answer.headers["ETag"]
        assert answer.headers["Idempotent-Replayed"] == "true"

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def reuse(self, data: st.DataObject) -> None:
        """Another payload under a key that was used has no effect."""
        answer = data.draw(st.sampled_from(self.sent)).again(self.client, title="another")
        assert answer.status_code == 422, answer.text

    @rule(hours=st.integers(0, 30))
    def wait(self, hours: int) -> None:
        """Keys grow old: after a day they are as new, and this forgets them too."""
        self.clock.advance(hours=hours, seconds=1)
        a_day_ago = self.clock() - timedelta(hours=24)
        self.sent = [sent for sent in self.sent if sent.at > a_day_ago]

    @invariant()
    def counted(self) -> None:
        type(self).steps += 1

    def _change(self, task_id: str, patch: Json, tag: str, *, keyed: bool) -> None:
        headers = {"If-Match": self._tag(task_id, tag), "Content-Type": builders.MERGE_PATCH}
        answer = self._send("PATCH", f"/v1/tasks/{task_id}", patch, headers, keyed)
        before = self.tasks.get(task_id)
        assert answer.status_code == _expected_status(before, patch, tag), answer.text
        if answer.status_code == 200 and before:
            after = answer.json()
            assert after["etag"] != before["etag"]
            assert after == _changed(before, patch, rfc3339(self.clock())) | {"etag": after["etag"]}
            self.tasks[task_id] = after

    def _send(
        self, method: str, path: str, body: Json, headers: dict[str, str], keyed: bool
    ) -> httpx.Response:
        key = f"key-{next(self.keys)}"
        more = {"Idempotency-Key": key} if keyed else {}
        answer = self.client.request(method, path, json=body, headers=headers | more)
        # A failure is not kept by the API either.
        if keyed and answer.is_success:
            self.sent.append(Sent(method, path, body, key, answer, self.clock()))
        return answer

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
    return (label is None or label in task["labels"]) and wanted.items() <= {
        name: value for name, value in task.items() if name != "labels"
    }.items()


def _order(sort: str) -> Callable[[Json], tuple[Any, str]]:
    """Say in plain words what a sort means; the id settles what is equal."""
    ranks = [priority.value for priority in Priority]
    values: dict[str, Callable[[Json], Any]] = {
        "created": lambda task: task["id"],
        "updated": lambda task: task["updated_at"],
        "due": lambda task: task["due_at"] or "after all dates",
        "priority": lambda task: ranks.index(task["priority"]),
    }
    return lambda task: (values[sort.removeprefix("-")](task), task["id"])


@pytest.mark.parametrize("table", range(rounds(1, 12)))
def test_the_api_is_the_dictionary(table: int, moto: str, figures: Figures) -> None:
    """Thousands of steps in random order; each answer is the one that was foreseen."""
    Tracker.clock, Tracker.steps = Clock(), 0
    effort = settings(
        max_examples=20,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    with (
        serving(create_app(builders.settings(moto), clock=Tracker.clock)) as url,
        Client(base_url=url) as Tracker.client,
    ):
        run_state_machine_as_test(Tracker, settings=effort)
    figures.count("model_steps", tried=Tracker.steps, failed=0)
