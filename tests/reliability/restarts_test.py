"""Rolling restarts under load: the new process takes over, and the old one finishes its work."""

import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Self

import httpx
import pytest

from api import attempts
from api.__main__ import GRACEFUL_STOP_SECONDS, server
from api.main import create_app
from tests.support import builders
from tests.support.builders import Client
from tests.support.campaign import (
    GIVE_UP_SECONDS,
    POLL_SECONDS,
    TASKS,
    Fleet,
    Intent,
    audit,
    writing,
)
from tests.support.faults import FaultProxy
from tests.support.figures import Figures, rounds
from tests.support.server import serving

# The embedded store copies the whole table for each transaction: many small ones are faster.
TABLES = rounds(1, 20)
RESTARTS = rounds(3, 5)
# From its SIGTERM to its SIGKILL, unless a task definition says otherwise.
ECS_STOP_SECONDS = 30
# uvicorn raises the signal again that asked it to stop.
ENDED_BY_ITSELF = {0, -signal.SIGTERM}


class Gate:
    """A plan for the store's proxy: the first transaction and all behind it wait to be let in."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self, operation: str) -> None:
        if operation == "TransactWriteItems":
            self.reached.set()
            self._open.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.set()


@pytest.mark.parametrize("table", range(TABLES))
def test_a_rolling_restart_fails_no_request(table: int, moto: str, figures: Figures) -> None:
    """Every write is acknowledged, and none was dropped by a process that had begun with it."""
    with Fleet(builders.settings(moto)) as fleet:
        fleet.current.wait_until_ready()
        with writing(fleet) as ledger:
            statuses = [restart(fleet, heard_late=bool(n % 2)) for n in range(RESTARTS)]
        faults = audit(fleet, ledger)
    # A connection may be lost before the request on it was read, but not after that.
    faults += ["a write had its effect, but its connection was closed"] * ledger.replays()
    faults += [f"exit status {status}" for status in set(statuses) - ENDED_BY_ITSELF]
    print(
        f"{RESTARTS} restarts; {len(ledger.told)} writes acknowledged, "
        f"{sum(len(api.cut_off) for api in fleet.started)} connections lost under a request"
    )
    figures.count("restarts", tried=RESTARTS, failed=len(faults))
    assert faults == []


def restart(fleet: Fleet, *, heard_late: bool) -> int:
    """Replace the current process, and return its exit status.

    Clients can hear late that they should go to the new one: when the old one has closed its door.
    """
    new, old = fleet.start(), fleet.current
    new.wait_until_ready()
    assert old.asked.wait(GIVE_UP_SECONDS)
    if not heard_late:
        fleet.current = new
    old.process.terminate()
    wait_until_refused(old.url)
    fleet.current = new
    return old.process.wait(ECS_STOP_SECONDS)


def test_a_graceful_stop_finishes_what_is_in_flight(moto: str) -> None:
    """A write that waits for the store when SIGTERM comes is done and acknowledged."""
    gate = Gate()
    intent = Intent("POST", TASKS, "*", "in-flight")
    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(moto, gate))
        settings = builders.settings(proxy.url)
        api = stack.enter_context(Fleet(settings)).current
        api.wait_until_ready()
        client = stack.enter_context(Client(base_url=api.url, timeout=GIVE_UP_SECONDS))
        with ThreadPoolExecutor(1) as pool, gate:
            write = pool.submit(intent.send, client)
            assert gate.reached.wait(GIVE_UP_SECONDS)
            api.process.terminate()
            wait_until_refused(api.url)
            assert not write.done()
        assert write.result().status_code == 201
        assert api.process.wait(ECS_STOP_SECONDS) in ENDED_BY_ITSELF
        assert api.errors() == []
    settings = builders.settings(moto, table_name=settings.table_name)
    with serving(create_app(settings)) as url, Client(base_url=url) as client:
        assert client.walk() == [write.result().json()]


def wait_until_refused(url: str) -> None:
    """Wait until a process takes no more connections: it has begun to stop."""
    address = httpx.URL(url)
    with suppress(ConnectionRefusedError):
        while True:
            socket.create_connection((address.host, address.port)).close()
            time.sleep(POLL_SECONDS)


def test_the_limits_nest() -> None:
    """A request ends before a graceful stop does, and that before ECS kills."""
    graceful = server(builders.settings("http://127.0.0.1:9")).config.timeout_graceful_shutdown
    assert graceful == GRACEFUL_STOP_SECONDS
    assert attempts.REQUEST_SECONDS < GRACEFUL_STOP_SECONDS < ECS_STOP_SECONDS
