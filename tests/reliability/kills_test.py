"""kill -9 while clients write: what was acknowledged is there, and it is there once."""

import random
import signal
import time
from typing import NamedTuple

import pytest

from tests.support import builders
from tests.support.campaign import GIVE_UP_SECONDS, Api, Fleet, audit, writing
from tests.support.figures import Figures, rounds

# The embedded store copies the whole table for each transaction: many small ones are faster.
# A few more than a thousand kills, for one may meet a moment when nobody asks.
TABLES = rounds(1, 102)
KILLS = rounds(8, 10)
LONGEST_LIFE_SECONDS = 0.4


class Victim(NamedTuple):
    """A process that was killed, and when by time.monotonic()."""

    api: Api
    killed_at: float

    @property
    def interrupted(self) -> bool:
        """Whether a request that had begun before the kill lost its connection."""
        return any(began < self.killed_at for began in self.api.cut_off)


@pytest.mark.parametrize("table", range(TABLES))
def test_kill_nine_loses_no_acknowledged_write_and_doubles_none(
    table: int, moto: str, figures: Figures
) -> None:
    """A retry with the same key has one effect and one answer, whenever the API was killed."""
    with Fleet(builders.settings(moto)) as fleet:
        # All are started before, for that takes a second each and would stand in the writers' way.
        heirs = [fleet.start() for _ in range(KILLS)]
        for api in fleet.started:
            api.wait_until_ready()
        with writing(fleet) as ledger:
            victims = [replace_by_killing(fleet, heir) for heir in heirs]
        faults = audit(fleet, ledger)
    interrupting = sum(victim.interrupted for victim in victims)
    print(
        f"{len(victims)} kills, {interrupting} of them in the middle of a request; "
        f"{len(ledger.told)} writes acknowledged, {ledger.replays()} of them by a replay; "
        f"{len(ledger.deleted)} deletions"
    )
    figures.count("kills", tried=interrupting, failed=len(faults))
    assert faults == []


def replace_by_killing(fleet: Fleet, heir: Api) -> Victim:
    """Kill the current process at some moment while it is asked, and let clients go to the next."""
    api = fleet.current
    assert api.asked.wait(GIVE_UP_SECONDS)
    time.sleep(random.uniform(0, LONGEST_LIFE_SECONDS))  # noqa: S311 - no secret
    assert api.process.poll() is None
    victim = Victim(api, time.monotonic())
    api.process.kill()
    assert api.process.wait() == -signal.SIGKILL
    fleet.current = heir
    return victim
