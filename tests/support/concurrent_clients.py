"""Concurrent clients that send random requests for one task and record the responses."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import httpx

from tests.support.builders import MERGE_PATCH
from tests.support.history import Action, Operation, Outcome, Seen

CLIENTS = 4
REQUESTS = 7
# Requests with an idempotency key are repeated so often before their outcome counts as unknown.
MAX_REPEATS = 4
# The create of a history's task can fail as well, and is tried so often.
MAX_CREATES = 100
METHODS = {
    Action.CREATE: "POST",
    Action.READ: "GET",
    Action.CHANGE: "PATCH",
    Action.DELETE: "DELETE",
}
OUTCOMES = {
    200: Outcome.OK,
    201: Outcome.OK,
    204: Outcome.OK,
    404: Outcome.MISSING,
    412: Outcome.STALE,
}


class Request(NamedTuple):
    """A request and what it means: the title it writes, and the state that its If-Match names."""

    action: Action
    wrote: str | None = None
    expected: Seen | None = None
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed

    def send(self, client: httpx.Client, path: str) -> httpx.Response:
        method = METHODS[self.action]
        media_type = MERGE_PATCH if method == "PATCH" else "application/json"
        headers = self.headers | {"Content-Type": media_type}
        body = {"title": self.wrote} if self.wrote else None
        return client.request(method, path, json=body, headers=headers)


class TaskHistory:
    """The operations on one task, of which the first creates it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = "/v1/tasks"
        self.operations: list[Operation] = []
        # The state that each ETag stands for, if a response has shown both.
        self.tags: dict[str, Seen] = {}

    def create(self, client: httpx.Client) -> bool:
        """Create the task; return whether it is known to exist."""
        response = self.send(client, Request(Action.CREATE, self.name))
        if response is None or response.status_code != 201:
            return False
        self.path = response.headers["Location"]
        return True

    def send(self, client: httpx.Client, request: Request) -> httpx.Response | None:
        """Send a request and record the operation; return None if there is nothing to record."""
        invoked = time.monotonic()
        response = request.send(client, self.path)
        for _ in range(MAX_REPEATS):
            if "Idempotency-Key" not in request.headers or "Retry-After" not in response.headers:
                break
            response = request.send(client, self.path)
        returned = time.monotonic()
        outcome = _outcome(response)
        if outcome is None or (outcome is Outcome.UNKNOWN and request.action is Action.READ):
            return None
        action, wrote, expected, _ = request
        seen = self._seen(response)
        self.operations.append(
            Operation(self.name, action, invoked, returned, outcome, wrote, expected, seen)
        )
        return response

    def _seen(self, response: httpx.Response) -> Seen | None:
        if response.status_code in {200, 201}:
            task = response.json()
            self.tags[task["etag"]] = seen = Seen(task["title"], task["version"])
            return seen
        return self.tags.get(response.headers.get("ETag", ""))


def _outcome(response: httpx.Response) -> Outcome | None:
    """Map a response to an outcome; None if the service did nothing."""
    if response.status_code in {409, 503}:
        return Outcome.UNKNOWN if response.json().get("outcome") == "unknown" else None
    return OUTCOMES[response.status_code]


class RandomClient:
    """A client whose requests depend on its number alone."""

    def __init__(self, url: str, number: int) -> None:
        self._random = random.Random(number)  # noqa: S311 - must be repeatable
        self._number = number
        self._sent = 0
        self.http = httpx.Client(base_url=url, timeout=60)

    def run(self, history: TaskHistory) -> None:
        for _ in range(REQUESTS):
            history.send(self.http, self._choose(history))

    def _choose(self, history: TaskHistory) -> Request:
        self._sent += 1
        kind = self._random.choices(("read", "change", "star", "delete"), (30, 55, 10, 3))[0]
        if kind == "read":
            return Request(Action.READ)
        tag = "*" if kind == "star" else self._random.choice(list(history.tags)[-2:])
        headers, expected = {"If-Match": tag}, history.tags.get(tag)
        if kind == "delete":
            return Request(Action.DELETE, None, expected, headers)
        title = f"{self._number}-{self._sent}"
        if self._random.random() < 0.5:
            headers["Idempotency-Key"] = title
        return Request(Action.CHANGE, title, expected, headers)


class ConcurrentClients(NamedTuple):
    """Clients and a thread for each."""

    clients: list[RandomClient]
    threads: ThreadPoolExecutor

    def run(self, name: str) -> TaskHistory:
        """Create a task, let all clients send requests for it at once, and return its history."""
        histories = (TaskHistory(f"{name}-{attempt}") for attempt in range(MAX_CREATES))
        history = next(h for h in histories if h.create(self.clients[0].http))
        for done in [self.threads.submit(client.run, history) for client in self.clients]:
            done.result()
        return history


@contextmanager
def concurrent_clients(url: str, seed: int) -> Iterator[ConcurrentClients]:
    """Open clients of the API at this URL."""
    with ExitStack() as stack:
        clients = [RandomClient(url, seed * CLIENTS + n) for n in range(CLIENTS)]
        for client in clients:
            stack.enter_context(client.http)
        yield ConcurrentClients(clients, stack.enter_context(ThreadPoolExecutor(CLIENTS)))
