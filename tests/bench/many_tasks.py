"""Measures what many tasks cost at once, and what a few open tasks cost beside many closed ones.

Part of `make bench`. The store is DynamoDB Local, so that the request units are DynamoDB's; the CPU
time is that of the API's process alone.
"""

import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from api.local.processes import ROOT
from tests.bench import bench
from tests.support import dynamodb_local

MANY = 100
CLOSED, OPEN = 5000, 10
NEW = {"title": "Write the release notes", "assignee": "ada", "due_at": "2027-01-31T09:30:00Z"}
MINE = {"assignee": "ada", "sort": "due"}
READY_SECONDS = 30
UNITS = re.compile(r"^dynamodb_consumed_capacity_units_total\S* (\S+)$", re.MULTILINE)


class Cost(NamedTuple):
    """What an act cost the API's process and the table."""

    cpu_ms: float
    units: float


class Meter:
    """Measures one API."""

    def __init__(self, pid: int, client: httpx.Client) -> None:
        self._pid = pid
        self._client = client

    def cost(self, act: Callable[[], object]) -> Cost:
        cpu, units = bench.cpu_seconds(self._pid), self._units()
        act()
        used = bench.cpu_seconds(self._pid) - cpu
        return Cost(used * 1000, self._units() - units)

    def _units(self) -> float:
        return sum(map(float, UNITS.findall(self._client.get("/metrics").text)))


def _bulk(client: httpx.Client, number: int, **fields: Any) -> None:
    items = [{"create": NEW | fields} for _ in range(number)]
    client.post("/v1/tasks/bulk", json={"items": items}, timeout=60).raise_for_status()


def _singles(client: httpx.Client) -> None:
    for _ in range(MANY):
        client.post("/v1/tasks", json=NEW).raise_for_status()


def _lists(client: httpx.Client) -> None:
    for _ in range(MANY):
        items = client.get("/v1/tasks", params=MINE).raise_for_status().json()["items"]
        if len(items) != OPEN:
            sys.exit(f"the list has {len(items)} tasks instead of {OPEN}")


def _wait_until_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while client.get("/readyz").status_code != httpx.codes.OK:
        if time.monotonic() > deadline:
            sys.exit("the API is not ready")
        time.sleep(0.1)


def _bulk_report(meter: Meter, client: httpx.Client) -> list[str]:
    _singles(client)
    single = meter.cost(lambda: _singles(client))
    bulk = meter.cost(lambda: _bulk(client, MANY))
    named = {f"{MANY} single creates": single, f"{MANY} creates in one bulk": bulk}
    return [_row(name, cost, single) for name, cost in named.items()]


def _list_report(meter: Meter, client: httpx.Client) -> list[str]:
    _bulk(client, OPEN)
    _lists(client)
    alone = meter.cost(lambda: _lists(client))
    for _ in range(CLOSED // MANY):
        _bulk(client, MANY, status="done")
    beside = meter.cost(lambda: _lists(client))
    name = f"{MANY} lists of {OPEN} open tasks"
    named = {f"{name}, alone": alone, f"{name}, beside {CLOSED} closed ones": beside}
    return [_row(name, cost, alone) for name, cost in named.items()]


def _row(name: str, cost: Cost, first: Cost) -> str:
    return f"| {name} | {cost.units:.0f} | {cost.cpu_ms / first.cpu_ms:.2f} |"


def main() -> None:
    process, endpoint = dynamodb_local.start()
    table = ["| | request units | CPU time, as a multiple |", "|---|---|---|"]
    try:
        for report in (_list_report, _bulk_report):
            with (
                tempfile.TemporaryDirectory() as logs,
                bench.running("this app", endpoint, Path(logs)) as (pid, url),
                httpx.Client(base_url=url) as client,
            ):
                _wait_until_ready(client)
                table += report(Meter(pid, client), client)
    finally:
        process.kill()
    bench.write_into(ROOT / "docs" / "performance.md", "many tasks", "\n".join(table))
    print("\n".join(table))


if __name__ == "__main__":
    main()
