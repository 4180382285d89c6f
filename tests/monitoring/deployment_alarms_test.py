"""The patterns by which CloudWatch counts requests, applied to lines that the API writes."""

import json
import operator
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import pytest

from api.http.latency import slow_routes
from api.local.processes import ROOT
from api.main import ROUTERS
from tests.support.builders import Client

TEXT = (ROOT / "terraform/deployment_alarms.tf").read_text()
PATTERNS = dict(re.findall(r'^ +(\w+) += "\{ (.*) \}"$', TEXT.replace('\\"', '"'), re.MULTILINE))
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": fnmatchcase,
    "!=": lambda value, pattern: not fnmatchcase(value, pattern),
    ">=": operator.ge,
}


def matches(pattern: str, line: dict[str, Any]) -> bool:
    """Compare as CloudWatch does: a text may contain asterisks, and all conditions must hold."""
    conditions = [condition.split(" ", 2) for condition in pattern.split(" && ")]
    return all(
        COMPARE[compare](line[name.removeprefix("$.")], json.loads(value))
        for name, compare, value in conditions
    )


def counted(line: dict[str, Any]) -> set[str]:
    return {name for name, pattern in PATTERNS.items() if matches(pattern, line)}


@pytest.fixture
def line(client: Client, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the API writes for a task that was read."""
    task = client.create()
    client.get(f"/v1/tasks/{task['id']}")
    written: dict[str, Any] = json.loads(capsys.readouterr().err.splitlines()[-1])
    return written


def test_each_request_of_a_client_is_counted(line: dict[str, Any]) -> None:
    assert set(PATTERNS) == {"requests", "failed", "slow"}
    assert counted(line) == {"requests"}
    assert counted(line | {"status": 499, "duration_ms": 999.9}) == {"requests"}
    assert counted(line | {"status": 500}) == {"requests", "failed"}
    assert counted(line | {"duration_ms": 1000}) == {"requests", "slow"}


def test_probes_scrapes_and_other_lines_are_not_counted(line: dict[str, Any]) -> None:
    """They would hide failures behind successes."""
    for route in ("/livez", "/readyz", "/metrics", "unmatched"):
        assert counted(line | {"route": route, "status": 500, "duration_ms": 5000}) == set()
    assert counted(line | {"message": "store failed", "status": 500}) == set()


def test_what_is_slow_by_design_is_not_counted_as_slow(line: dict[str, Any]) -> None:
    """The latency objective leaves out the same routes."""
    for route in slow_routes(ROUTERS):
        assert counted(line | {"route": route, "duration_ms": 5000}) == {"requests"}
