"""The real limits: documented, checked by one timer, and backed by file descriptors."""

import asyncio
import re
import resource
from typing import Any

import pytest

from api.http.in_flight import InFlight
from api.limits import LIMITS, Limits
from api.local.processes import ROOT
from api.metrics import Metrics
from api.serving.load import Load
from api.serving.server import raise_descriptor_limit

ROW = re.compile(r"^\| `(\w+)` \| ([\d ]+) \|", re.MULTILINE)


def test_the_documented_limits_are_the_ones_in_use() -> None:
    rows = ROW.findall((ROOT / "docs/overload.md").read_text())
    documented = {name: int(value.replace(" ", "")) for name, value in rows}
    assert documented == LIMITS._asdict()


class Checked:
    """A connection that counts how often it is checked, and knows whether it was aborted."""

    awaits_client = True

    def __init__(self, network: str = "198.51.100.7") -> None:
        self.network = network
        self.checks = 0
        self.aborted = False

    def check(self, now: float) -> None:  # noqa: ARG002 - it has no deadline
        self.checks += 1

    def abort(self, reason: str) -> None:  # noqa: ARG002 - they are the metrics'
        self.aborted = True

    def abort_for_memory(self) -> None:
        self.aborted = True


def load_of(**limits: Any) -> Load:
    return Load(Metrics("dev"), Limits(**limits), InFlight(1, 1), trusted_hops=0)


def test_memory_is_taken_from_clients_that_are_waited_for() -> None:
    """Requests that have arrived as a whole are processed."""
    load = load_of(held_bytes=100)
    arrived, sending, newcomer = Checked(), Checked(), Checked()
    arrived.awaits_client = False
    load.hold(arrived, 50)
    load.hold(sending, 40)
    load.hold(newcomer, 30)
    assert [one.aborted for one in (arrived, sending, newcomer)] == [False, True, False]


@pytest.mark.anyio
async def test_connections_share_one_timer_however_many_come_and_go() -> None:
    load, one = load_of(check_interval_seconds=0.02), Checked()
    for _ in range(200):
        load.add(one)
        load.remove(one)
    load.add(one)
    await asyncio.sleep(0.1)
    assert 1 <= one.checks < 20
    load.remove(one)


@pytest.mark.parametrize(
    ("soft", "hard", "set_to"),
    [
        (1024, 65536, 4416),
        (1024, 2048, 2048),
        (1024, resource.RLIM_INFINITY, 4416),
        (9000, 9999, None),
    ],
    ids=["high hard limit", "low hard limit", "no hard limit", "already enough"],
)
def test_the_descriptor_limit_is_raised_for_all_connections_as_far_as_allowed(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, set_to: int | None
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: calls.append(limits))
    raise_descriptor_limit(Limits(connections=4096, reserved_connections=64))
    assert calls == ([] if set_to is None else [(set_to, hard)])


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_reserved_connections_are_for_this_host_only(host: str) -> None:
    load, local, stranger = load_of(connections=0, reserved_connections=1), Checked(host), Checked()
    for connection in (local, stranger):
        load.add(connection)
    assert (local.aborted, stranger.aborted) == (False, True)
