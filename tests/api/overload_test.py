"""The limits as they ship: listed where an operator looks, and within what the process may open."""

import asyncio
import re
import resource
from typing import Any

import pytest

from api.metrics import Metrics
from api.overload import LIMITS, Limits, Load
from api.server import allow_descriptors
from tests.support.processes import ROOT

ROW = re.compile(r"^\| `(\w+)` \| ([\d ]+) \|", re.MULTILINE)


def test_the_documented_limits_are_the_ones_there_are() -> None:
    """Each with its value."""
    rows = ROW.findall((ROOT / "docs/overload.md").read_text())
    documented = {name: int(value.replace(" ", "")) for name, value in rows}
    assert documented == LIMITS._asdict()


class Checked:
    """A connection that counts how often it is looked at."""

    unread_bytes = 0

    def __init__(self) -> None:
        self.checks = 0

    def check(self, now: float) -> None:  # noqa: ARG002 - what it is compared with
        self.checks += 1

    def end(self, reason: str) -> None: ...


@pytest.mark.anyio
async def test_one_watch_is_enough() -> None:
    """Connections that come and go by the hundred, one at a time, start no more of them."""
    load, one = Load(Metrics("dev"), Limits(watch_seconds=0.02)), Checked()
    for _ in range(200):
        load.enter(one)
        load.leave(one)
    load.enter(one)
    await asyncio.sleep(0.1)
    assert 1 <= one.checks < 20
    load.leave(one)


@pytest.mark.parametrize(
    ("soft", "hard", "set_to"),
    [
        (1024, 65536, 4416),
        (1024, 2048, 2048),
        (1024, resource.RLIM_INFINITY, 4416),
        (9000, 9999, None),
    ],
    ids=["more is allowed", "less is allowed", "all is allowed", "there is enough"],
)
def test_files_are_allowed_for_all_connections(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, set_to: int | None
) -> None:
    """As far as the system lets the process."""
    asked: list[Any] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    allow_descriptors(Limits(connections=4096, reserved_connections=64))
    assert asked == ([] if set_to is None else [(set_to, hard)])
