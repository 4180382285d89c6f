"""Cursors that nobody was given: each of them is refused, and all alike."""

import base64
import random
from collections.abc import Iterator

import pytest

from api.cursor import Cursors
from api.errors import BadCursor
from api.table import TASK
from tests.support.builders import SECRET, Client
from tests.support.figures import Figures, rounds

CURSORS = Cursors(SECRET)
CONTEXT = "default\n{}"
OTHER_CONTEXTS = ("other\n{}", "default\n{ }", "", CONTEXT + " ")
POSITION = TASK + "01M844SWCNJP495C08P8806A5P"


def _forgeries(chance: random.Random) -> Iterator[str]:
    """Make cursors from a real one: bits turned, bytes moved, parts of others, and pure noise."""
    real = CURSORS.seal(POSITION, CONTEXT)
    sealed = base64.urlsafe_b64decode(real + "==")
    while True:
        turned = bytearray(sealed)
        turned[chance.randrange(len(turned))] ^= 1 << chance.randrange(8)
        yield _text(bytes(turned))
        cut = chance.randrange(len(sealed))
        yield _text(sealed[:cut])
        yield _text(sealed + chance.randbytes(1 + cut % 5))
        yield _text(chance.randbytes(len(sealed)))
        yield _text(chance.randbytes(16) + sealed[16:])
        yield CURSORS.seal(POSITION, chance.choice(OTHER_CONTEXTS))
        yield Cursors(SECRET[::-1]).seal(POSITION, CONTEXT)


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def test_no_forgery_opens(figures: Figures) -> None:
    """One bit, one byte, another caller, another secret: none is let through."""
    chance = random.Random(1)  # noqa: S311 - to be repeated is what it is for
    tries = rounds(20_000, 1_000_000)
    accepted = []
    for _, forged in zip(range(tries), _forgeries(chance), strict=False):
        try:
            accepted.append(CURSORS.open(forged, CONTEXT))
        except BadCursor:
            continue
    figures.count("cursor_forgeries", tried=tries, failed=len(accepted))
    assert accepted == []


@pytest.mark.parametrize("turn", range(8))
def test_a_forgery_gets_the_answer_that_all_get(
    served: Client, figures: Figures, turn: int
) -> None:
    """A real cursor of this very app with a bit turned anywhere, over HTTP."""
    served.create()
    served.create()
    sealed = bytearray(base64.urlsafe_b64decode(served.page(limit=1)["next_cursor"] + "=="))
    for place in range(len(sealed)):
        sealed[place] ^= 1 << turn
        answer = served.get("/v1/tasks", params={"cursor": _text(bytes(sealed))})
        sealed[place] ^= 1 << turn
        figures.count("cursor_forgeries", tried=1, failed=int(answer.status_code != 400))
        assert answer.json()["type"] == "urn:problem:bad-cursor"
