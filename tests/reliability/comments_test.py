"""Clients comment on one task while calls fail: each comment is there or not, and counted."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest

from api.main import create_app
from api.settings import Settings
from api.tasks.comments import COMMENT_PREFIX
from tests.reliability.histories_test import faults, no_fault
from tests.support import botocore_transport, builders
from tests.support.builders import Client
from tests.support.faults import FaultProxy
from tests.support.figures import Figures, rounds
from tests.support.server import serving

pytestmark = pytest.mark.slow

CLIENTS, REQUESTS = 4, 8
TABLES = rounds(1, 10)
HISTORIES = rounds(4, 12)
# Requests with an idempotency key are repeated so often before their outcome counts as unknown.
MAX_REPEATS = 4
THERE, GONE, UNKNOWN = "there", "gone", "unknown"


class Commenter:
    """A client that writes, changes and deletes comments of its own, and knows which are there."""

    def __init__(self, client: Client, task: dict[str, Any], number: int, seed: int) -> None:
        self._client, self._task, self._number = client, task, number
        self._random = random.Random(seed)  # noqa: S311 - must be repeatable
        self._written: dict[str, dict[str, Any]] = {}
        # By the first word of the text, which no two comments share.
        self.states: dict[str, str] = {}

    def run(self) -> None:
        for step in range(REQUESTS):
            kinds: list[Callable[[str], None]] = [self._write, self._change_task, self._delete_task]
            if self._written:
                kinds += [self._edit, self._delete]
            self._random.choice(kinds)(f"{self._number}-{step}")

    def _write(self, name: str) -> None:
        path = self._client.comments_path(self._task)
        response = self._send("POST", path, name, json={"text": name})
        if response.status_code == 201:
            self._written[name] = response.json()
        self._note(name, response, THERE)

    def _change_task(self, name: str) -> None:
        path, change = f"/v1/tasks/{self._task['id']}", {"title": name, "comment": name}
        self._note(name, self._send("PATCH", path, name, json=change), THERE)

    def _edit(self, name: str) -> None:
        first, comment = self._random.choice(list(self._written.items()))
        path = self._client.comments_path(self._task, comment)
        self._send("PATCH", path, name, json={"text": f"{first} {name}"})

    def _delete(self, _name: str) -> None:
        first, comment = self._random.choice(list(self._written.items()))
        del self._written[first]
        path = self._client.comments_path(self._task, comment)
        response = self._client.delete(path, headers={"If-Match": "*"})
        if response.status_code == 204 or _is_unknown(response):
            self._note(first, response, GONE)

    def _delete_task(self, _name: str) -> None:
        """Delete the task and give it back; meanwhile the others find nothing."""
        path = f"/v1/tasks/{self._task['id']}"
        self._client.delete(path, headers={"If-Match": "*"})
        self._client.post(f"{path}/restore")

    def _send(self, method: str, path: str, name: str, **options: Any) -> httpx.Response:
        headers = {"If-Match": "*"}
        if self._random.random() < 0.5:
            headers["Idempotency-Key"] = name
        response = self._client.request(method, path, headers=headers, **options)
        for _ in range(MAX_REPEATS):
            if "Idempotency-Key" not in headers or "Retry-After" not in response.headers:
                break
            response = self._client.request(method, path, headers=headers, **options)
        return response

    def _note(self, first: str, response: httpx.Response, after: str) -> None:
        state = after if response.is_success else GONE
        self.states[first] = UNKNOWN if _is_unknown(response) else state


def _is_unknown(response: httpx.Response) -> bool:
    assert response.status_code in {200, 201, 204, 404, 409, 503}, response.text
    return not response.is_success and response.json().get("outcome") == "unknown"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("table", range(TABLES))
def test_what_was_acknowledged_is_there_once_and_counted(
    store: str, table: int, figures: Figures
) -> None:
    """What failed is not; and no comment of a task that is there expires."""
    with FaultProxy(store) as proxy:
        config = builders.settings(proxy.url)
        with serving(create_app(config)) as url, Client(base_url=url, timeout=60) as client:
            for number in range(HISTORIES):
                proxy.plan = no_fault
                task, seed = client.create(), table * HISTORIES + number
                proxy.plan = faults(seed)
                states = _states(client, task, seed)
                proxy.plan = no_fault
                proxy.settle()
                broken = _broken(client, config, task, states)
                figures.count("faulted_writes", tried=len(states), failed=len(broken))
                assert broken == []


def _states(client: Client, task: dict[str, Any], seed: int) -> dict[str, str]:
    commenters = [Commenter(client, task, each, seed * CLIENTS + each) for each in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(Commenter.run, commenters))
    return {name: state for each in commenters for name, state in each.states.items()}


def _broken(
    client: Client, config: Settings, task: dict[str, Any], states: dict[str, str]
) -> list[str]:
    """Describe what differs between the comments that are there and what the clients know."""
    assert client.post(f"/v1/tasks/{task['id']}/restore").status_code == 200
    found = [text.split()[0] for text in client.comments(task, limit=100)]
    count = client.get(f"/v1/tasks/{task['id']}").json()["comment_count"]
    broken = [] if count == len(found) else [f"{count} are counted, {len(found)} there"]
    for name, state in states.items():
        allowed = {THERE: {1}, GONE: {0}, UNKNOWN: {0, 1}}[state]
        if found.count(name) not in allowed:
            broken.append(f"{name} is there {found.count(name)} times, not {allowed}")
    with closing(botocore_transport.client(config)) as direct:
        items = direct.scan(TableName=config.table_name)["Items"]
    prefix = f"{COMMENT_PREFIX}{task['id']}#"
    comments = [item for item in items if item["sk"]["S"].startswith(prefix) and "text" in item]
    return broken + [f"{item['sk']} expires" for item in comments if "expires_at" in item]
