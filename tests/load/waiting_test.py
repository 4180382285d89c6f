"""A thousand clients that wait for a change, over five keys and addresses."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import key_format
from tests.load import report
from tests.load.report import Waiting
from tests.support.builders import Client, settings
from tests.support.fleet import Fleet
from tests.support.secured_app import TASKS, bearer

CLIENTS = 1000
HOLDERS = 5
WAIT_SECONDS = 20
QUIET_SECONDS = 8
# One look at the feed a second for the workspace, and one more at each end.
MAX_LOOKS = QUIET_SECONDS + 2
QUERIES_PER_LOOK = 4
# So many requests at the same moment are more than are worked on at once: some come again.
OVERLOADED = 503
MAX_SECONDS = 120
TICKS = os.sysconf("SC_CLK_TCK")
BOOTSTRAP = key_format.generate("01ARZ3NDEKTSV4RRFFQ69G5FAV")
LIMITS = {"RATE_LIMIT": "100000", "WORKSPACE_RATE_LIMIT": "100000", "TRUSTED_HOPS": "1"}


class WaitingClients:
    """Clients behind a load balancer, which wait again and again until there is a change."""

    def __init__(self, url: str, keys: list[str]) -> None:
        self._address = httpx.URL(url)
        self._keys = keys
        # How many requests began.
        self.requests = 0

    async def follow(self, number: int, token: str) -> list[str]:
        """Return the titles of the first changes that a client gets."""
        while True:
            status, changes = await self._wait(number % HOLDERS, token)
            if status == OVERLOADED:
                await asyncio.sleep(1)
            elif changes["tasks"]:
                return [task["title"] for task in changes["tasks"]]
            else:
                token = changes["token"]

    async def _wait(self, holder: int, token: str) -> tuple[int, dict[str, Any]]:
        self.requests += 1
        reader, writer = await asyncio.open_connection(self._address.host, self._address.port)
        writer.write(
            f"GET /v1/changes?wait={WAIT_SECONDS}&token={token} HTTP/1.1\r\nHost: localhost\r\n"
            f"X-Forwarded-For: 10.0.0.{holder}\r\nConnection: close\r\n"
            f"Authorization: Bearer {self._keys[holder]}\r\n\r\n".encode()
        )
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        status = int(head.split()[1])
        assert status in {200, OVERLOADED}, head
        return status, json.loads(body)


@pytest.fixture
def api(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Client, int]]:
    """A client of an API process that requires keys, and the process."""
    for name, value in {**LIMITS, "BOOTSTRAP_KEY": BOOTSTRAP}.items():
        monkeypatch.setenv(name, value)
    with Fleet(settings(moto, auth="on", bootstrap_key=BOOTSTRAP)) as fleet:
        fleet.current.wait_until_ready()
        with Client(base_url=fleet.current.url, timeout=MAX_SECONDS) as client:
            yield client, fleet.current.process.pid


@pytest.mark.anyio
async def test_a_thousand_clients_wait_at_the_price_of_one(api: tuple[Client, int]) -> None:
    """They cost one look at the feed a second, and all of them get the change."""
    client, process = api
    new = {"label": "x", "scopes": TASKS}
    made = [client.post("/v1/keys", json=new, headers=bearer(BOOTSTRAP)) for _ in range(HOLDERS)]
    keys = [response.json()["key"] for response in made]
    client.headers = httpx.Headers(bearer(keys[0]))
    token = client.get("/v1/changes").json()["token"]
    clients = WaitingClients(str(client.base_url), keys)
    waiting = [asyncio.create_task(clients.follow(number, token)) for number in range(CLIENTS)]
    await _until_all_wait(client)
    queries, requests, cpu = _queries(client), clients.requests, _cpu_seconds(process)
    await asyncio.sleep(QUIET_SECONDS)
    queries, cpu = _queries(client) - queries, _cpu_seconds(process) - cpu
    requests = clients.requests - requests
    began = time.monotonic()
    await asyncio.to_thread(client.create, "news")
    created = time.monotonic() - began
    async with asyncio.timeout(MAX_SECONDS):
        found = await asyncio.gather(*waiting)
    took = time.monotonic() - began
    waited = Waiting(CLIENTS, QUIET_SECONDS, requests, queries, cpu, created, took)
    report.save("waiting", waited)
    print(waited.text())
    assert found == [["news"]] * CLIENTS
    assert queries <= QUERIES_PER_LOOK * MAX_LOOKS


async def _until_all_wait(client: Client) -> None:
    """Wait until the number of queries grows by that of the polls alone."""
    before = -1.0
    while (queries := await asyncio.to_thread(_queries, client)) - before > 2 * QUERIES_PER_LOOK:
        before = queries
        await asyncio.sleep(1)


def _queries(client: Client) -> float:
    series = 'dynamodb_calls_total{operation="Query",outcome="ok"}'
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(series))


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
