"""kill -9 while a task is changed with a comment, deleted or restored leaves no half of it."""

import signal
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support import builders
from tests.support.builders import Client
from tests.support.faults import Fault, FaultProxy
from tests.support.figures import Figures
from tests.support.fleet import MAX_WAIT_SECONDS, Api, Fleet

pytestmark = pytest.mark.slow

# More than one transaction marks.
COMMENTS = 12
CHANGE = {"title": "New", "comment": "New"}


class Kill:
    """A plan: the process is killed at its n-th call, which arrives in the store or does not."""

    def __init__(self, api: Api, number: int, *, arrives: bool) -> None:
        self._api = api
        self._left = number
        self._arrives = arrives

    def __call__(self, _operation: str) -> Fault | None:
        self._left -= 1
        if self._left == 0:
            self._api.process.kill()
        return None if self._left > 0 or self._arrives else Fault.REFUSED


Request = Callable[[Client, dict[str, Any]], httpx.Response]


def _change(headers: dict[str, str]) -> Request:
    return lambda client, task: client.merge(task["id"], CHANGE, {"If-Match": "*", **headers})


def _delete(client: Client, task: dict[str, Any]) -> httpx.Response:
    return client.delete(f"/v1/tasks/{task['id']}", headers={"If-Match": task["etag"]})


def _restore(client: Client, task: dict[str, Any]) -> httpx.Response:
    return client.post(f"/v1/tasks/{task['id']}/restore")


class Killed:
    """Requests that end with their process; each later one is sent to the next process."""

    def __init__(self, fleet: Fleet, proxy: FaultProxy, processes: int) -> None:
        self._fleet, self._proxy = fleet, proxy
        self._successors = [fleet.start() for _ in range(processes)]
        for api in fleet.started:
            api.wait_until_ready()

    def client(self) -> Client:
        return Client(base_url=self._fleet.current.url, timeout=MAX_WAIT_SECONDS)

    def send(self, request: Request, task: dict[str, Any], number: int, *, arrives: bool) -> None:
        """Send a request whose process is killed at its n-th call to the store."""
        api = self._fleet.current
        with self.client() as client:
            client.get("/livez")
            self._proxy.plan = Kill(api, number, arrives=arrives)
            with pytest.raises(httpx.TransportError):
                request(client, task)
        assert api.process.wait() == -signal.SIGKILL
        self._proxy.settle()
        self._proxy.plan = lambda _operation: None
        self._fleet.current = self._successors.pop()


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k"}])
def test_a_change_and_its_comment_are_both_made_or_neither(
    moto: str, figures: Figures, key: dict[str, str]
) -> None:
    """Whether the process ends at the read or at the write; repeated, there is one comment."""
    cases = [(1, False), (1, True), (2, False), (2, True)]
    with FaultProxy(moto) as proxy, Fleet(builders.settings(proxy.url)) as fleet:
        killed = Killed(fleet, proxy, len(cases))
        for number, arrives in cases:
            with killed.client() as client:
                task = client.create("Old")
            killed.send(_change(key), task, number, arrives=arrives)
            with killed.client() as client:
                done = (number, arrives) == (2, True)
                _require(client, task, "New" if done else "Old", ["New"] if done else [])
                if key:
                    assert _change(key)(client, task).status_code == 200
                    _require(client, task, "New", ["New"])
            figures.count("kills", tried=1, failed=0)


def test_a_deletion_and_a_restore_can_be_repeated(moto: str, figures: Figures) -> None:
    """Killed at any of their calls they lose no comment, and a repetition does the rest."""
    with FaultProxy(moto) as proxy, Fleet(builders.settings(proxy.url)) as fleet:
        calls = range(1, 5)
        killed = Killed(fleet, proxy, 2 * len(calls))
        for number in calls:
            with killed.client() as client:
                task = _commented(client)
            for request, status, there in ((_delete, 204, False), (_restore, 200, True)):
                killed.send(request, task, number, arrives=number % 2 == 0)
                with killed.client() as client:
                    assert request(client, task).status_code == status
                    assert client.get(f"/v1/tasks/{task['id']}").is_success is there
                figures.count("kills", tried=1, failed=0)
            with killed.client() as client:
                texts = [f"{each}" for each in range(COMMENTS)]
                _require(client, task, "Old", texts)
        assert [error for api in fleet.started for error in api.errors()] == []


def _commented(client: Client) -> dict[str, Any]:
    task = client.create("Old")
    for number in range(COMMENTS):
        client.comment(task, f"{number}")
    commented: dict[str, Any] = client.get(f"/v1/tasks/{task['id']}").json()
    return commented


def _require(client: Client, task: dict[str, Any], title: str, texts: list[str]) -> None:
    current = client.get(f"/v1/tasks/{task['id']}").json()
    assert (current["title"], current["comment_count"]) == (title, len(texts))
    assert client.comments(task) == texts
