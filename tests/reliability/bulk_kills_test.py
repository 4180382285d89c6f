"""kill -9 while a bulk under an idempotency key runs leaves no item undone, and none done twice."""

import signal
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.support import builders
from tests.support.builders import Client
from tests.support.bulk_items import Item, change, create, delete, results, send
from tests.support.faults import FaultProxy
from tests.support.figures import SOAK, Figures
from tests.support.fleet import MAX_WAIT_SECONDS, Api, Fleet, poll

pytestmark = pytest.mark.slow

WRITES = frozenset({"PutItem", "UpdateItem"})
# After so many items; each kill takes the 8 s of a lease.
KILLED_AFTER = (0, 1, 13, 57, 99, 100) if SOAK else (57,)


class Kill:
    """A plan: the process is killed at a write, whose call and all later ones still arrive."""

    def __init__(self, api: Api, writes: int) -> None:
        self._api = api
        self._left = writes

    def __call__(self, operation: str) -> None:
        self._left -= operation in WRITES
        if self._left == 0:
            self._api.process.kill()


@pytest.mark.parametrize("killed_after", KILLED_AFTER)
def test_kill_nine_during_a_bulk_loses_and_doubles_no_item(
    killed_after: int, moto: str, figures: Figures
) -> None:
    """Repeated under its idempotency key it returns 100 results; each item was done once."""
    with FaultProxy(moto) as proxy, Fleet(builders.settings(proxy.url)) as fleet:
        successor = fleet.start()
        for api in fleet.started:
            api.wait_until_ready()
        items = _items(fleet.current)
        # The first write is the record's.
        proxy.plan = Kill(fleet.current, killed_after + 2)
        with (
            Client(base_url=fleet.current.url, timeout=MAX_WAIT_SECONDS) as client,
            pytest.raises(httpx.TransportError),
        ):
            send(client, *items, key="k")
        assert fleet.current.process.wait() == -signal.SIGKILL
        proxy.plan = lambda _operation: None
        with Client(base_url=successor.url, timeout=MAX_WAIT_SECONDS) as client:
            faults = _faults(client, _repeated(client, items))
    figures.count("bulk_kills", tried=1, failed=len(faults))
    assert faults == []


def _items(api: Api) -> list[Item]:
    """Create tasks, and return 100 items: creates, changes and deletions in turn."""
    with Client(base_url=api.url) as client:
        tasks = [client.create("Old") for _ in range(60)]
    changes = [change(task, "*" if n % 2 else "", title="New") for n, task in enumerate(tasks[:30])]
    deletions = [delete(task, "*" if n % 2 else "") for n, task in enumerate(tasks[30:])]
    mixed = zip([create()] * 30, changes, deletions, strict=True)
    return [*(item for three in mixed for item in three), *[create()] * 10]


def _repeated(client: Client, items: list[Item]) -> list[dict[str, Any]]:
    """Repeat the request, as its Retry-After says, until it has results."""
    for _ in poll("the bulk stays in progress"):
        response = send(client, *items, key="k")
        if response.status_code != 409:
            break
        assert response.headers["Retry-After"] == "1"
    return results(response)


def _faults(client: Client, found: list[dict[str, Any]]) -> list[str]:
    """Describe what differs from 100 items that were each done once."""
    statuses = Counter(result["status"] for result in found)
    tasks = client.walk(state="all", limit=100)
    listed = Counter((task["title"], task["version"]) for task in tasks)
    faults = []
    if statuses != {201: 40, 200: 30, 204: 30}:
        faults.append(f"the results are {statuses}")
    if listed != {("New", 1): 40, ("New", 2): 30}:
        faults.append(f"the tasks are {listed}")
    etags = {task["id"]: task["etag"] for task in tasks}
    faults += [f"{r} is not stored" for r in found if r["etag"] != etags.get(r["id"])]
    return faults
