"""Concurrent clients on one task while the store fails: what they were told can be explained."""

import pytest

from api import attempts
from api.main import create_app
from tests.support import builders
from tests.support.faults import Fault, FaultProxy, Plan, randomly
from tests.support.figures import Figures, rounds
from tests.support.history import Action, violations
from tests.support.players import Move, players_at
from tests.support.server import serving

# The embedded store copies its table for each transaction: many small ones are faster.
TABLES = rounds(1, 45)
GAMES = 12
# Fewer of those that make no sound: each costs a player its patience.
LOUD = [fault for fault in Fault if fault not in {Fault.UNPROCESSED, Fault.SILENT, Fault.LATE}]
CALLS = ("GetItem", "PutItem", "UpdateItem", "TransactWriteItems")
WRITES = CALLS[1:]
RATE = 0.45
QUIET_RATE = 0.04
READ_SECONDS = 0.2


def faults(seed: int) -> Plan:
    """Spoil many calls loudly and some silently."""
    loud = randomly(seed, RATE, LOUD, CALLS)
    quiet = randomly(seed, QUIET_RATE, [Fault.SILENT, Fault.LATE], CALLS)
    return lambda operation: quiet(operation) or loud(operation)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the app wait for answers less long, and never run out of retries."""
    monkeypatch.setattr(attempts, "READ_SECONDS", READ_SECONDS)
    monkeypatch.setattr(attempts, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(attempts, "RETRY_COST", 0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("table", range(TABLES))
def test_every_history_can_be_explained(store: str, table: int, figures: Figures) -> None:
    """Four clients a task, with and without keys, under faults of every kind."""
    with (
        FaultProxy(store) as proxy,
        serving(create_app(builders.settings(proxy.url))) as url,
        players_at(url, seed=table) as players,
    ):
        for number in range(GAMES):
            proxy.plan = faults(seed=table * GAMES + number)
            game = players.game(f"game-{number}")
            proxy.plan = passing
            proxy.settle()
            game.play(players.all[0].client, Move(Action.READ))
            broken = violations(game.history)
            figures.count("histories", tried=1, failed=len(broken))
            assert not broken, "\n".join(map(str, game.history))
    hit = sum(n for (call, fault), n in proxy.seen.items() if call in WRITES and fault)
    figures.count("faulted_writes", tried=hit, failed=0)


def passing(_operation: str) -> None:
    """Spoil nothing."""
