"""Campaigns against the API as a process: processes come and go, writers go on, all is audited."""

import itertools
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import IO, Any, NamedTuple

import httpx

from api.settings import Settings
from tests.support.builders import MERGE_PATCH, Client
from tests.support.processes import ROOT

TASKS = "/v1/tasks"
WRITERS = 4
REPLAYS_AUDITED = 10
POLL_SECONDS = 0.01
GIVE_UP_SECONDS = 60
# What the API must not log while its store is well.
ERRORS = re.compile(r'.*(?:Traceback|"level": "error"|"/v1/tasks[^"]*", "status": 5).*')


class Api:
    """One process of the API, and what its clients and its log say of it."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._log = log
        self.process = process
        self.url = ""
        self.asked = threading.Event()
        # When requests began that lost their connection, by time.monotonic().
        self.cut_off: list[float] = []

    def wait_until_ready(self) -> None:
        while not self._is_ready():
            assert self.process.poll() is None, self._logged()
            time.sleep(POLL_SECONDS)

    def errors(self) -> list[str]:
        return ERRORS.findall(self._logged())

    def _is_ready(self) -> bool:
        found = re.search(r"running on (http://\S+) ", self._logged())
        self.url = found[1] if found else ""
        return bool(found) and httpx.get(f"{self.url}/readyz").status_code == 200

    def _logged(self) -> str:
        # At a position of its own: the file's is where the process writes.
        file = self._log.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")


class Fleet(ExitStack):
    """Processes of the API on one table; clients go to the current one, as by a load balancer."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._environment = os.environ | {
            "AUTH": settings.auth,
            "CURSOR_SECRET": settings.cursor_secret.get_secret_value(),
            "TABLE_NAME": settings.table_name,
            "DYNAMODB_ENDPOINT": str(settings.dynamodb_endpoint),
            "PORT": "0",
            "LOG_FORMAT": "json",
        }
        self.started: list[Api] = []
        self.current = self.start()

    def start(self) -> Api:
        """Start a process, without waiting until it is ready."""
        log = self.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is entered
        command = [sys.executable, "-m", "api"]
        process = self.enter_context(
            subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
        )
        self.callback(process.kill)
        self.started.append(Api(process, log))
        return self.started[-1]


class Intent(NamedTuple):
    """A write as its writer wants it, the same at each attempt; the key is the title too."""

    method: str
    path: str
    tag: str
    key: str

    def send(self, client: httpx.Client, url: str = "") -> httpx.Response:
        headers = {"Idempotency-Key": self.key, "If-Match": self.tag}
        headers["Content-Type"] = MERGE_PATCH if self.method == "PATCH" else "application/json"
        body = None if self.method == "DELETE" else {"title": self.key}
        return client.request(self.method, url + self.path, headers=headers, json=body)

    def fits(self, answer: httpx.Response, attempts: int) -> bool:
        """Tell whether the final answer may be one to this."""
        if self.method == "DELETE":
            return answer.status_code == 204 or (answer.status_code == 404 and attempts > 1)
        if answer.status_code != (201 if self.method == "POST" else 200):
            return False
        return answer.json()["title"] == self.key and (attempts > 1 or not _is_replay(answer))


class Ledger:
    """What all writers were told."""

    def __init__(self) -> None:
        self.told: list[tuple[Intent, httpx.Response]] = []
        self.deleted: set[str] = set()
        # Answers that may not be, by the path that was asked: no more is known of such a task.
        self.misreported: dict[str, str] = {}

    def replays(self) -> int:
        """Count the writes that had had their effect when their connection was lost."""
        return sum(_is_replay(answer) for _, answer in self.told)

    def tasks(self) -> dict[str, list[httpx.Response]]:
        """Group what was told by the task's path, each in the order of its states."""
        tasks = defaultdict(list)
        for _, answer in sorted(self.told, key=lambda told: int(told[1].json()["version"])):
            tasks[_path(answer.json())].append(answer)
        return tasks


class Writer:
    """A client that writes without pause, and repeats each write until its answer is final."""

    def __init__(self, number: int, fleet: Fleet, ledger: Ledger, shared: str) -> None:
        self._chance = random.Random(number)  # noqa: S311 - no secret
        self._keys = (f"writer-{number}-{count}" for count in itertools.count())
        self._fleet = fleet
        self._ledger = ledger
        self._shared = shared
        # The tasks it changes, each with the tag to do so: its own, and one of all writers.
        self._tags = {shared: "*"}

    def run(self, stop: threading.Event) -> None:
        with httpx.Client(timeout=GIVE_UP_SECONDS) as client:
            while not stop.is_set():
                path = self._chance.choice([TASKS, *self._tags])
                delete = path not in {TASKS, self._shared} and self._chance.random() < 0.2
                method = "POST" if path == TASKS else "DELETE" if delete else "PATCH"
                intent = Intent(method, path, self._tags.pop(path, "*"), next(self._keys))
                self._note(intent, *self._ask(client, intent))

    def _ask(self, client: httpx.Client, intent: Intent) -> tuple[httpx.Response, int]:
        """Return the final answer, and after how many attempts it came."""
        deadline = time.monotonic() + GIVE_UP_SECONDS
        answer, attempts = self._attempt(client, intent), 1
        while answer is None or "retry-after" in answer.headers:
            assert time.monotonic() < deadline, f"{intent} has no answer"
            time.sleep(POLL_SECONDS)
            answer, attempts = self._attempt(client, intent), attempts + 1
        return answer, attempts

    def _attempt(self, client: httpx.Client, intent: Intent) -> httpx.Response | None:
        api, began = self._fleet.current, time.monotonic()
        api.asked.set()
        try:
            return intent.send(client, api.url)
        except httpx.TransportError as error:
            if not isinstance(error, httpx.ConnectError):
                api.cut_off.append(began)
            return None

    def _note(self, intent: Intent, answer: httpx.Response, attempts: int) -> None:
        if not intent.fits(answer, attempts):
            self._ledger.misreported[intent.path] = f"{intent} was told {answer.text}"
        elif intent.method == "DELETE":
            self._ledger.deleted.add(intent.path)
        else:
            self._ledger.told.append((intent, answer))
            path = _path(answer.json())
            self._tags[path] = "*" if path == self._shared else answer.headers["etag"]


@contextmanager
def writing(fleet: Fleet) -> Iterator[Ledger]:
    """Keep writers at work; each ends when its last write has a final answer."""
    ledger, stop = Ledger(), threading.Event()
    with Client(base_url=fleet.current.url) as client:
        ledger.told.append((shared := Intent("POST", TASKS, "*", "shared"), shared.send(client)))
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
    """Compare what the writers were told with what there is, and say each difference."""
    with Client(base_url=fleet.current.url, timeout=GIVE_UP_SECONDS) as client:
        return [
            *itertools.chain.from_iterable(api.errors() for api in fleet.started),
            *ledger.misreported.values(),
            *_replay_faults(client, ledger),
            *_task_faults(client, ledger),
            *_list_faults(client, ledger),
        ]


def _replay_faults(client: Client, ledger: Ledger) -> Iterator[str]:
    for intent, first in ledger.told[:: len(ledger.told) // REPLAYS_AUDITED + 1]:
        while "retry-after" in (again := intent.send(client)).headers:
            time.sleep(POLL_SECONDS)
        if not _is_replay(again) or again.content != first.content:
            yield f"{intent} was told {first.text} and again {again.text}"


def _task_faults(client: Client, ledger: Ledger) -> Iterator[str]:
    """Find what is not as it was told last, and states that nobody or several were told of."""
    for path, told in ledger.tasks().items():
        stored = client.get(path)
        there = b"" if stored.status_code == 404 else stored.content
        expected = b"" if path in ledger.deleted else told[-1].content
        if there != expected and path not in ledger.misreported:
            yield f"{path} is {there!r} and not {expected!r}"
        writes = Counter(int(answer.json()["version"]) for answer in told)
        for version in range(1, max(writes) + 1):
            if writes[version] != 1:
                yield f"{path} has a version {version} that {writes[version]} writes were told of"


def _list_faults(client: Client, ledger: Ledger) -> Iterator[str]:
    """Find tasks that nobody wanted, and tasks that are missing."""
    listed = Counter(_path(task) for task in client.walk(limit=100))
    wanted = Counter(ledger.tasks().keys() - ledger.deleted)
    yield from (f"{path} is listed without an intent" for path in listed - wanted)
    yield from (f"{path} is not listed" for path in wanted - listed)


def _path(task: dict[str, Any]) -> str:
    return f"{TASKS}/{task['id']}"


def _is_replay(answer: httpx.Response) -> bool:
    return "idempotent-replayed" in answer.headers
