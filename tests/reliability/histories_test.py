"""Histories of concurrent clients on one task are linearizable while calls to the store fail."""

import pytest

from api.main import create_app
from tests.support import builders
from tests.support.concurrent_clients import Request, concurrent_clients
from tests.support.faults import Fault, FaultProxy, Plan, randomly
from tests.support.figures import Figures, rounds
from tests.support.history import Action, violations
from tests.support.server import serving

pytestmark = pytest.mark.slow

# The embedded store copies its table for each transaction: many small tables are faster.
TABLES = rounds(1, 45)
HISTORIES = 12
# A silent fault takes a whole time-out, so these are fewer.
SILENT = [Fault.SILENT, Fault.LATE]
LOUD = [fault for fault in Fault if fault not in SILENT]
WRITES = ("PutItem", "UpdateItem", "TransactWriteItems")
CALLS = ("GetItem", *WRITES)
LOUD_RATE = 0.45
SILENT_RATE = 0.04


def faults(seed: int) -> Plan:
    loud = randomly(seed, LOUD_RATE, LOUD, CALLS)
    silent = randomly(seed, SILENT_RATE, SILENT, CALLS)
    return lambda operation: silent(operation) or loud(operation)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("table", range(TABLES))
def test_every_history_is_linearizable(store: str, table: int, figures: Figures) -> None:
    """Four clients on one task, with and without idempotency keys, see one order of writes."""
    with (
        FaultProxy(store) as proxy,
        serving(create_app(builders.settings(proxy.url))) as url,
        concurrent_clients(url, seed=table) as clients,
    ):
        for number in range(HISTORIES):
            proxy.plan = faults(seed=table * HISTORIES + number)
            history = clients.run(f"history-{number}")
            proxy.plan = no_fault
            proxy.settle()
            history.send(clients.clients[0].http, Request(Action.READ))
            broken = violations(history.operations)
            figures.count("histories", tried=1, failed=len(broken))
            assert not broken, "\n".join(map(str, history.operations))
    hit = sum(n for (call, fault), n in proxy.seen.items() if call in WRITES and fault)
    figures.count("faulted_writes", tried=hit, failed=0)


def no_fault(_operation: str) -> None:
    """Let every call pass."""
