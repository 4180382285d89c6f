"""Clients that play with one task at once, and write down what each of them was told."""

import itertools
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import httpx

from tests.support.builders import MERGE_PATCH
from tests.support.history import Action, Operation, Outcome, Seen

PLAYERS = 4
MOVES = 7
# How often a player repeats a request under a key before it leaves the outcome open.
MOST_REPEATS = 4
OUTCOMES = {
    200: Outcome.OK,
    201: Outcome.OK,
    204: Outcome.OK,
    404: Outcome.MISSING,
    412: Outcome.STALE,
}


class Move(NamedTuple):
    """A request that a player makes, and what it means."""

    action: Action
    wrote: str | None = None
    expected: Seen | None = None
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed

    def send(self, client: httpx.Client, path: str) -> httpx.Response:
        method = {
            Action.CREATE: "POST",
            Action.READ: "GET",
            Action.CHANGE: "PATCH",
            Action.DELETE: "DELETE",
        }[self.action]
        media_type = MERGE_PATCH if method == "PATCH" else "application/json"
        headers = self.headers | {"Content-Type": media_type}
        body = {"title": self.wrote} if self.wrote else None
        return client.request(method, path, json=body, headers=headers)


class Game:
    """The history of one task; its first operation makes it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = "/v1/tasks"
        self.history: list[Operation] = []
        # Which state each ETag stands for, as far as an answer has shown both.
        self.tags: dict[str, Seen] = {}

    def begin(self, client: httpx.Client) -> bool:
        """Make the task; tell whether it is there, as far as anyone knows."""
        answer = self.play(client, Move(Action.CREATE, self.name))
        if answer is None or answer.status_code != 201:
            return False
        self.path = answer.headers["Location"]
        return True

    def play(self, client: httpx.Client, move: Move) -> httpx.Response | None:
        """Make a move; note it with its answer, if that says anything."""
        invoked = time.monotonic()
        answer = move.send(client, self.path)
        for _ in range(MOST_REPEATS):
            if "Idempotency-Key" not in move.headers or "Retry-After" not in answer.headers:
                break
            answer = move.send(client, self.path)
        returned = time.monotonic()
        outcome = self._outcome(answer)
        if outcome is None or (outcome is Outcome.UNKNOWN and move.action is Action.READ):
            return None
        seen = self._seen(answer)
        wrote, expected = move.wrote, move.expected
        self.history.append(
            Operation(self.name, move.action, invoked, returned, outcome, wrote, expected, seen)
        )
        return answer

    def _outcome(self, answer: httpx.Response) -> Outcome | None:
        """Tell what an answer means; None where nothing was done, so that nothing is to explain."""
        if answer.status_code in {409, 503}:
            return Outcome.UNKNOWN if answer.json().get("outcome") == "unknown" else None
        return OUTCOMES[answer.status_code]

    def _seen(self, answer: httpx.Response) -> Seen | None:
        if answer.status_code in {200, 201}:
            task = answer.json()
            self.tags[task["etag"]] = seen = Seen(task["title"], task["version"])
            return seen
        return self.tags.get(answer.headers.get("ETag", ""))


class Player:
    """One client, with a mind of its own."""

    def __init__(self, url: str, number: int) -> None:
        self._chance = random.Random(number)  # noqa: S311 - no secret
        self._number = number
        self._moves = 0
        self.client = httpx.Client(base_url=url, timeout=60)

    def join(self, game: Game) -> None:
        for _ in range(MOVES):
            game.play(self.client, self._choose(game))

    def _choose(self, game: Game) -> Move:
        self._moves += 1
        kind = self._chance.choices(("read", "change", "star", "delete"), (30, 55, 10, 3))[0]
        if kind == "read":
            return Move(Action.READ)
        tag = "*" if kind == "star" else self._chance.choice(list(game.tags)[-2:])
        headers, expected = {"If-Match": tag}, game.tags.get(tag)
        if kind == "delete":
            return Move(Action.DELETE, None, expected, headers)
        title = f"{self._number}-{self._moves}"
        if self._chance.random() < 0.5:
            headers["Idempotency-Key"] = title
        return Move(Action.CHANGE, title, expected, headers)


class Players(NamedTuple):
    """Players, and the threads that let them all play at once."""

    all: list[Player]
    threads: ThreadPoolExecutor

    def game(self, name: str) -> Game:
        """Let all of them play with one task."""
        attempts = itertools.count()
        while not (game := Game(f"{name}-{next(attempts)}")).begin(self.all[0].client):
            pass
        for done in [self.threads.submit(player.join, game) for player in self.all]:
            done.result()
        return game


@contextmanager
def players_at(url: str, seed: int) -> Iterator[Players]:
    """Bring players together for some games."""
    with ExitStack() as stack:
        players = [Player(url, seed * PLAYERS + n) for n in range(PLAYERS)]
        for player in players:
            stack.enter_context(player.client)
        yield Players(players, stack.enter_context(ThreadPoolExecutor(PLAYERS)))
