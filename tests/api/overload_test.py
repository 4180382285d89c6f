"""The limits as they ship: listed where an operator looks, and within what the process may open."""

import re
import resource
from typing import Any

import pytest

from api.overload import LIMITS, Limits
from api.server import allow_descriptors
from tests.support.processes import ROOT

ROW = re.compile(r"^\| `(\w+)` \| ([\d ]+) \|", re.MULTILINE)


def test_the_documented_limits_are_the_ones_there_are() -> None:
    """Each with its value."""
    rows = ROW.findall((ROOT / "docs/overload.md").read_text())
    documented = {name: int(value.replace(" ", "")) for name, value in rows}
    assert documented == LIMITS._asdict()


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
