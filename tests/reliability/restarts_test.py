"""Rolling restarts under load: the old process finishes its requests before it ends."""

import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Self

import httpx
import pytest

from api.__main__ import configure
from api.dynamodb import retry
from api.limits import GRACEFUL_STOP_SECONDS
from api.main import create_app
from tests.support import builders
from tests.support.builders import Client
from tests.support.faults import FaultProxy
from tests.support.figures import Figures, rounds
from tests.support.fleet import MAX_WAIT_SECONDS, Fleet, poll
from tests.support.server import serving
from tests.support.write_audit import TASKS, Write, audit, writing

pytestmark = pytest.mark.slow

# The embedded store copies the whole table for each transaction: many small tables are faster.
TABLES = rounds(1, 20)
RESTARTS = rounds(3, 5)
# ECS's default time between SIGTERM and SIGKILL.
ECS_STOP_SECONDS = 30
# uvicorn raises the signal again that stopped it.
GRACEFUL_STATUSES = {0, -signal.SIGTERM}


class Gate:
    """A plan for the fault proxy: all calls wait from the first transaction on until it is left."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self, operation: str) -> None:
        if operation == "TransactWriteItems":
            self.reached.set()
            self._open.wait(MAX_WAIT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.set()


@pytest.mark.parametrize("table", range(TABLES))
def test_a_rolling_restart_fails_no_request(table: int, moto: str, figures: Figures) -> None:
    """Every write is acknowledged, and no process drops a write that it has begun."""
    with Fleet(builders.settings(moto)) as fleet:
        fleet.current.wait_until_ready()
        with writing(fleet) as ledger:
            statuses = [restart(fleet, switch_late=bool(n % 2)) for n in range(RESTARTS)]
        faults = audit(fleet, ledger)
    # A connection may be lost before the request on it was read, but not after that.
    faults += ["a write was executed, but its connection was closed"] * ledger.replays()
    faults += [f"exit status {status}" for status in set(statuses) - GRACEFUL_STATUSES]
    print(
        f"{RESTARTS} restarts; {len(ledger.acknowledged)} writes acknowledged, "
        f"{sum(len(api.cut_off) for api in fleet.started)} connections lost during a request"
    )
    figures.count("restarts", tried=RESTARTS, failed=len(faults))
    assert faults == []


def restart(fleet: Fleet, *, switch_late: bool) -> int:
    """Replace the current process, and return its exit status.

    With `switch_late`, clients switch only when the old process refuses connections.
    """
    new, old = fleet.start(), fleet.current
    new.wait_until_ready()
    assert old.asked.wait(MAX_WAIT_SECONDS)
    if not switch_late:
        fleet.current = new
    old.process.terminate()
    wait_until_refused(old.url)
    fleet.current = new
    return old.process.wait(ECS_STOP_SECONDS)


def test_a_graceful_stop_finishes_requests_in_flight(moto: str) -> None:
    """A write that waits for the store at SIGTERM is executed and acknowledged."""
    gate = Gate()
    in_flight = Write("POST", TASKS, "*", "in-flight")
    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(moto, gate))
        settings = builders.settings(proxy.url)
        api = stack.enter_context(Fleet(settings)).current
        api.wait_until_ready()
        client = stack.enter_context(Client(base_url=api.url, timeout=MAX_WAIT_SECONDS))
        with ThreadPoolExecutor(1) as pool, gate:
            write = pool.submit(in_flight.send, client)
            assert gate.reached.wait(MAX_WAIT_SECONDS)
            api.process.terminate()
            wait_until_refused(api.url)
            assert not write.done()
        assert write.result().status_code == 201
        assert api.process.wait(ECS_STOP_SECONDS) in GRACEFUL_STATUSES
        assert api.errors() == []
    settings = builders.settings(moto, table_name=settings.table_name)
    with serving(create_app(settings)) as url, Client(base_url=url) as client:
        assert client.walk() == [write.result().json()]


def wait_until_refused(url: str) -> None:
    """Wait until a process accepts no more connections: it has begun to stop."""
    address = httpx.URL(url)
    for _ in poll(f"{url} accepts connections"):
        try:
            socket.create_connection((address.host, address.port)).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            # The process closed its socket while this connection was in the queue.
            continue


def test_the_time_limits_nest() -> None:
    """A request ends before the graceful stop, which ends before ECS sends SIGKILL."""
    graceful = configure(builders.settings("http://127.0.0.1:9")).timeout_graceful_shutdown
    assert graceful == GRACEFUL_STOP_SECONDS
    assert retry.REQUEST_SECONDS < GRACEFUL_STOP_SECONDS < ECS_STOP_SECONDS
