"""Forged cursors are rejected, all with the same response."""

import base64
import random
from collections.abc import Iterator

import pytest

from api.cursor import Cursors
from api.errors import InvalidCursor
from api.tasks.table import TASK_PREFIX
from tests.support.builders import SECRET, Client
from tests.support.figures import Figures, rounds

CURSORS = Cursors(SECRET)
CONTEXT = "default\n{}"
OTHER_CONTEXTS = ("other\n{}", "default\n{ }", "", CONTEXT + " ")
POSITION = TASK_PREFIX + "01M844SWCNJP495C08P8806A5P"


def _forgeries(chance: random.Random) -> Iterator[str]:
    """Forge cursors: flipped bits, cut and extended ones, noise, other contexts and secrets."""
    real = CURSORS.seal_bytes(POSITION.encode(), CONTEXT)
    sealed = base64.urlsafe_b64decode(real + "==")
    while True:
        flipped = bytearray(sealed)
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        yield _text(bytes(flipped))
        cut = chance.randrange(len(sealed))
        yield _text(sealed[:cut])
        yield _text(sealed + chance.randbytes(1 + cut % 5))
        yield _text(chance.randbytes(len(sealed)))
        yield _text(chance.randbytes(16) + sealed[16:])
        yield CURSORS.seal_bytes(POSITION.encode(), chance.choice(OTHER_CONTEXTS))
        yield Cursors(SECRET[::-1]).seal_bytes(POSITION.encode(), CONTEXT)


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def test_no_forged_cursor_opens(figures: Figures) -> None:
    """A changed bit, another length, caller or secret: every forgery is rejected."""
    chance = random.Random(1)  # noqa: S311 - must be repeatable
    tries = rounds(20_000, 1_000_000)
    accepted = []
    for _, forged in zip(range(tries), _forgeries(chance), strict=False):
        try:
            accepted.append(CURSORS.open(forged, CONTEXT))
        except InvalidCursor:
            continue
    figures.count("cursor_forgeries", tried=tries, failed=len(accepted))
    assert accepted == []


@pytest.mark.parametrize("bit", range(8))
def test_a_forged_token_is_an_expired_one(served: Client, figures: Figures, bit: int) -> None:
    """A genuine token with any one bit flipped returns 410 over HTTP."""
    token = served.get("/v1/changes").json()["token"]
    served.create()
    token = served.get("/v1/changes", params={"token": token}).json()["token"]
    sealed = bytearray(base64.urlsafe_b64decode(token + "=="))
    for place in range(len(sealed)):
        sealed[place] ^= 1 << bit
        response = served.get("/v1/changes", params={"token": _text(bytes(sealed))})
        sealed[place] ^= 1 << bit
        figures.count("cursor_forgeries", tried=1, failed=int(response.status_code != 410))
        assert response.json()["type"] == "/problems/feed-expired"


@pytest.mark.parametrize("bit", range(8))
def test_a_forged_cursor_is_a_bad_request(served: Client, figures: Figures, bit: int) -> None:
    """A genuine cursor with any one bit flipped returns 400 over HTTP."""
    served.create()
    served.create()
    sealed = bytearray(base64.urlsafe_b64decode(served.page(limit=1)["next_cursor"] + "=="))
    for place in range(len(sealed)):
        sealed[place] ^= 1 << bit
        response = served.get("/v1/tasks", params={"cursor": _text(bytes(sealed))})
        sealed[place] ^= 1 << bit
        figures.count("cursor_forgeries", tried=1, failed=int(response.status_code != 400))
        assert response.json()["type"] == "/problems/invalid-cursor"


@pytest.mark.parametrize("bit", range(8))
def test_a_forged_cursor_of_comments_is_a_bad_request(
    served: Client, figures: Figures, bit: int
) -> None:
    """A genuine cursor with any one bit flipped returns 400 over HTTP."""
    task = served.create()
    path = served.comments_path(task)
    for _ in range(2):
        served.comment(task)
    cursor = served.get(path, params={"limit": 1}).json()["next_cursor"]
    sealed = bytearray(base64.urlsafe_b64decode(cursor + "=="))
    for place in range(len(sealed)):
        sealed[place] ^= 1 << bit
        response = served.get(path, params={"cursor": _text(bytes(sealed))})
        sealed[place] ^= 1 << bit
        figures.count("cursor_forgeries", tried=1, failed=int(response.status_code != 400))
        assert response.json()["type"] == "/problems/invalid-cursor"
