"""Writers that repeat each write until its response is final, and an audit of what they wrote."""

import itertools
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx

from tests.support.builders import MERGE_PATCH, Client
from tests.support.fleet import MAX_WAIT_SECONDS, Fleet, poll

TASKS = "/v1/tasks"
WRITERS = 4
AUDITED_REPLAYS = 10


class Write(NamedTuple):
    """A write, the same at each attempt; its idempotency key is the title that it writes."""

    method: str
    path: str
    tag: str
    key: str

    def send(self, client: httpx.Client, url: str = "") -> httpx.Response:
        headers = {"Idempotency-Key": self.key, "If-Match": self.tag}
        headers["Content-Type"] = MERGE_PATCH if self.method == "PATCH" else "application/json"
        body = None if self.method == "DELETE" else {"title": self.key}
        return client.request(self.method, url + self.path, headers=headers, json=body)

    def allows(self, response: httpx.Response, attempts: int) -> bool:
        """Return whether this may be the final response to the write after so many attempts."""
        if self.method == "DELETE":
            return response.status_code == 204 or (response.status_code == 404 and attempts > 1)
        if response.status_code != (201 if self.method == "POST" else 200):
            return False
        return response.json()["title"] == self.key and (attempts > 1 or not _is_replay(response))


class Ledger:
    """The final responses that all writers received."""

    def __init__(self) -> None:
        self.acknowledged: list[tuple[Write, httpx.Response]] = []
        self.deleted: set[str] = set()
        # Wrong responses by path: the state of such a task is not known.
        self.misreported: dict[str, str] = {}

    def replays(self) -> int:
        """Count the writes that were executed although their first response was lost."""
        return sum(_is_replay(response) for _, response in self.acknowledged)

    def tasks(self) -> dict[str, list[httpx.Response]]:
        """Group the responses by the task's path, in the order of its versions."""
        tasks = defaultdict(list)
        for _, response in sorted(self.acknowledged, key=lambda pair: _version(pair[1])):
            tasks[_path(response.json())].append(response)
        return tasks


class Writer:
    """A client that writes without pause, and repeats each write until its response is final."""

    def __init__(self, number: int, fleet: Fleet, ledger: Ledger, shared: str) -> None:
        self._random = random.Random(number)  # noqa: S311 - no secret
        self._keys = (f"writer-{number}-{count}" for count in itertools.count())
        self._fleet = fleet
        self._ledger = ledger
        self._shared = shared
        # The ETags of the tasks it changes: its own, and one that all writers share.
        self._tags = {shared: "*"}

    def run(self, stop: threading.Event) -> None:
        with httpx.Client(timeout=MAX_WAIT_SECONDS) as client:
            while not stop.is_set():
                path = self._random.choice([TASKS, *self._tags])
                delete = path not in {TASKS, self._shared} and self._random.random() < 0.2
                method = "POST" if path == TASKS else "DELETE" if delete else "PATCH"
                write = Write(method, path, self._tags.pop(path, "*"), next(self._keys))
                self._note(write, *self._send(client, write))

    def _send(self, client: httpx.Client, write: Write) -> tuple[httpx.Response, int]:
        """Return the final response and the number of attempts."""
        attempts = poll(f"{write} has no response")
        made = next(attempts)
        while (response := self._attempt(client, write)) is None or _is_retryable(response):
            made = next(attempts)
        return response, made

    def _attempt(self, client: httpx.Client, write: Write) -> httpx.Response | None:
        api, began = self._fleet.current, time.monotonic()
        api.asked.set()
        try:
            return write.send(client, api.url)
        except httpx.TransportError as error:
            if not isinstance(error, httpx.ConnectError):
                api.cut_off.append(began)
            return None

    def _note(self, write: Write, response: httpx.Response, attempts: int) -> None:
        if not write.allows(response, attempts):
            self._ledger.misreported[write.path] = f"{write} received {response.text}"
        elif write.method == "DELETE":
            self._ledger.deleted.add(write.path)
        else:
            self._ledger.acknowledged.append((write, response))
            path = _path(response.json())
            self._tags[path] = "*" if path == self._shared else response.headers["etag"]


@contextmanager
def writing(fleet: Fleet) -> Iterator[Ledger]:
    """Run writers; each ends when its last write has a final response."""
    ledger, stop = Ledger(), threading.Event()
    with Client(base_url=fleet.current.url) as client:
        shared = Write("POST", TASKS, "*", "shared")
        ledger.acknowledged.append((shared, shared.send(client)))
    (path,) = ledger.tasks()
    with ThreadPoolExecutor(WRITERS) as pool:
        runs = [pool.submit(Writer(n, fleet, ledger, path).run, stop) for n in range(WRITERS)]
        try:
            yield ledger
        finally:
            stop.set()
    for run in runs:
        run.result()


def audit(fleet: Fleet, ledger: Ledger) -> list[str]:
    """Compare the responses with the stored tasks, and describe each difference."""
    with Client(base_url=fleet.current.url, timeout=MAX_WAIT_SECONDS) as client:
        return [
            *itertools.chain.from_iterable(api.errors() for api in fleet.started),
            *ledger.misreported.values(),
            *_replay_faults(client, ledger),
            *_task_faults(client, ledger),
            *_list_faults(client, ledger),
        ]


def _replay_faults(client: Client, ledger: Ledger) -> Iterator[str]:
    """Repeat some writes, and find responses that are not the first one."""
    step = len(ledger.acknowledged) // AUDITED_REPLAYS + 1
    for write, first in ledger.acknowledged[::step]:
        for _ in poll(f"{write} is not replayed"):
            if not _is_retryable(again := write.send(client)):
                break
        if not _is_replay(again) or again.content != first.content:
            yield f"{write} received {first.text} and then {again.text}"


def _task_faults(client: Client, ledger: Ledger) -> Iterator[str]:
    """Find tasks that differ from their last response, and versions not acknowledged once."""
    for path, responses in ledger.tasks().items():
        stored = client.get(path)
        found = b"" if stored.status_code == 404 else stored.content
        expected = b"" if path in ledger.deleted else responses[-1].content
        if found != expected and path not in ledger.misreported:
            yield f"{path} is {found!r} and not {expected!r}"
        writes = Counter(map(_version, responses))
        for version in range(1, max(writes) + 1):
            if writes[version] != 1:
                yield f"{path} has a version {version} that {writes[version]} writes received"


def _list_faults(client: Client, ledger: Ledger) -> Iterator[str]:
    """Find tasks in the list that were not written, and tasks that are missing in it."""
    listed = Counter(_path(task) for task in client.walk(limit=100))
    expected = Counter(ledger.tasks().keys() - ledger.deleted)
    yield from (f"{path} is listed but was not written" for path in listed - expected)
    yield from (f"{path} is not listed" for path in expected - listed)


def _path(task: dict[str, Any]) -> str:
    return f"{TASKS}/{task['id']}"


def _version(response: httpx.Response) -> int:
    return int(response.json()["version"])


def _is_retryable(response: httpx.Response) -> bool:
    return "retry-after" in response.headers


def _is_replay(response: httpx.Response) -> bool:
    return "idempotent-replayed" in response.headers
