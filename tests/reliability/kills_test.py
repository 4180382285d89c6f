"""kill -9 while clients write loses no acknowledged write and executes none twice."""

import random
import signal
import time
from typing import NamedTuple

import pytest

from tests.support import builders
from tests.support.figures import Figures, rounds
from tests.support.fleet import MAX_WAIT_SECONDS, Api, Fleet
from tests.support.write_audit import audit, writing

pytestmark = pytest.mark.slow

# The embedded store copies its table for each transaction: many small tables are faster.
# A soak plans a few more than 1 000 kills, because a kill may interrupt no request.
TABLES = rounds(1, 102)
KILLS = rounds(8, 10)
MAX_LIFE_SECONDS = 0.4


class Victim(NamedTuple):
    """A killed process, and the time of the kill by time.monotonic()."""

    api: Api
    killed_at: float

    @property
    def interrupted(self) -> bool:
        """Whether a request that began before the kill lost its connection."""
        return any(began < self.killed_at for began in self.api.cut_off)


@pytest.mark.parametrize("table", range(TABLES))
def test_kill_nine_loses_and_doubles_no_write(table: int, moto: str, figures: Figures) -> None:
    """A retry with the same idempotency key has one effect and one response."""
    with Fleet(builders.settings(moto)) as fleet:
        # All processes start first, because a start takes a second.
        successors = [fleet.start() for _ in range(KILLS)]
        for api in fleet.started:
            api.wait_until_ready()
        with writing(fleet) as ledger:
            victims = [kill_current(fleet, successor) for successor in successors]
        faults = audit(fleet, ledger)
    interrupted = sum(victim.interrupted for victim in victims)
    print(
        f"{len(victims)} kills, {interrupted} of them during a request; "
        f"{len(ledger.acknowledged)} writes acknowledged, {ledger.replays()} of them by a replay; "
        f"{len(ledger.deleted)} deletions"
    )
    figures.count("kills", tried=interrupted, failed=len(faults))
    assert faults == []


def kill_current(fleet: Fleet, successor: Api) -> Victim:
    """Kill the current process at a random time while it gets requests, and replace it."""
    api = fleet.current
    assert api.asked.wait(MAX_WAIT_SECONDS)
    time.sleep(random.uniform(0, MAX_LIFE_SECONDS))  # noqa: S311 - no secret
    assert api.process.poll() is None
    victim = Victim(api, time.monotonic())
    api.process.kill()
    assert api.process.wait() == -signal.SIGKILL
    fleet.current = successor
    return victim
