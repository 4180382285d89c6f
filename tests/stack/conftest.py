"""The phases of one run: no traffic, traffic with faults, DynamoDB outage."""

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from api.local import processes
from api.local.processes import ROOT
from monitoring import local_stack
from monitoring.grafana.service import SERVICE
from tests.stack.prometheus import Labels, Prometheus
from tests.stack.traffic import Traffic
from tests.stack.webhooks import Webhooks, receiving
from tests.support import promql_queries
from tests.support.faults import Fault, FaultProxy
from tests.support.promql_queries import Query
from tests.support.require_tool import skip_or_fail

TRAFFIC_SECONDS = 150
# Covers the runbook's alerts that fire within 3 minutes, not the 6h window's.
OUTAGE_SECONDS = 270
SLOW_SECONDS = 0.3

Results = dict[Query, dict[Labels, float]]
Compare = Callable[[str, float, float], None]


class Sent(NamedTuple):
    """The traffic as its client and the fault proxy counted it, and what the panels show."""

    traffic: Traffic
    faults: Counter[Fault | None]
    # The Unix time after the last of it was scraped.
    after: float
    results: Results


class Outage(NamedTuple):
    """Alert states before and after the outage, and the seconds until alerts fired."""

    before: dict[tuple[str, str], str]
    fired: dict[tuple[str, str], float]
    after: dict[tuple[str, str], str]


class Faults:
    """Some slow reads, some failing lists, and throttling that retries overcome."""

    def __init__(self) -> None:
        self._random = random.Random(0)  # noqa: S311 - reproducible on purpose
        self._throttles = 20

    def __call__(self, operation: str) -> Fault | None:
        drawn = self._random.random()
        if operation == "Query" and drawn < 0.28:
            return Fault.ERROR_BEFORE
        if operation != "GetItem":
            return None
        if self._throttles and drawn < 0.05:
            self._throttles -= 1
            return Fault.THROTTLED
        return Fault.SLOW if drawn > 0.915 else None


@pytest.fixture(scope="session")
def compare(report: Callable[[str], None]) -> Compare:
    """Print what was sent beside what Prometheus measured."""

    def compare(what: str, sent: float, measured: float) -> None:
        report(f"{what:44} sent {round(sent, 4):>9}  measured {round(measured, 4):>9}")

    return compare


@pytest.fixture(scope="session")
def prometheus() -> Iterator[Prometheus]:
    with Prometheus() as client:
        yield client


@pytest.fixture(scope="session")
def webhooks() -> Iterator[Webhooks]:
    with receiving() as webhooks:
        yield webhooks


@pytest.fixture(scope="session")
def proxy(
    tmp_path_factory: pytest.TempPathFactory, prometheus: Prometheus, webhooks: Webhooks
) -> Iterator[FaultProxy]:
    """The stack of `make stack`, with a fault proxy between the API and its store."""
    data: Path = tmp_path_factory.mktemp("stack")
    store, url = processes.start_store()
    start = time.time()
    try:
        with (
            FaultProxy(url, slow_seconds=SLOW_SECONDS) as proxy,
            local_stack.running(
                data, log=data / "api.log", DYNAMODB_ENDPOINT=proxy.url, **webhooks.settings
            ) as parts,
        ):
            local_stack.wait_until_ready(parts)
            yield proxy
            _save_for_picture(prometheus, start)
    except local_stack.NotHereError as reason:
        skip_or_fail(reason)
    finally:
        store.communicate()


@pytest.fixture(scope="session")
def quiet(proxy: FaultProxy, prometheus: Prometheus) -> Results:
    """What panels show before any traffic."""
    prometheus.wait_for_scrapes(3)
    return _results(prometheus)


@pytest.fixture(scope="session")
def sent(quiet: Results, proxy: FaultProxy, prometheus: Prometheus) -> Sent:
    traffic = Traffic()
    proxy.seen.clear()
    proxy.plan = Faults()
    asyncio.run(traffic.send(TRAFFIC_SECONDS))
    faults: Counter[Fault | None] = Counter()
    for (_, fault), number in proxy.seen.items():
        faults[fault] += number
    proxy.plan = lambda _operation: None
    prometheus.wait_for_scrapes(2)
    return Sent(traffic, faults, time.time(), _results(prometheus))


@pytest.fixture(scope="session")
def outage(sent: Sent, proxy: FaultProxy, prometheus: Prometheus) -> Outage:
    """Refuse every DynamoDB call until the alerts that the runbook lists have fired."""
    before = prometheus.alerts()
    proxy.plan = lambda _operation: Fault.REFUSED
    start = time.monotonic()
    fired: dict[tuple[str, str], float] = {}
    expected = {name for name, minutes in listed_alerts().items() if minutes * 60 < OUTAGE_SECONDS}

    def all_fired() -> bool:
        for name, state in prometheus.alerts().items():
            if state == "firing":
                fired.setdefault(name, time.monotonic() - start)
        return expected <= set(fired)

    asyncio.run(Traffic().send(OUTAGE_SECONDS, until=all_fired))
    prometheus.wait_for_scrapes(2)
    return Outage(before, fired, prometheus.alerts())


def listed_alerts() -> dict[tuple[str, str], int]:
    """Return the alerts that the runbook lists for an outage, and their minutes until firing."""
    runbook = (ROOT / "monitoring/runbook.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w*) *\| (\d+) min \|$", runbook, re.MULTILINE)
    return {(name, window): int(minutes) for name, window, minutes in rows}


def _results(prometheus: Prometheus) -> Results:
    return {query: prometheus.query(query.expression) for query in promql_queries.of_dashboards()}


def _save_for_picture(prometheus: Prometheus, start: float) -> None:
    """Save what each panel of the Service dashboard shows for this run."""
    end = time.time()
    panels = [
        {
            legend: prometheus.query_range(promql_queries.filled_in(expression), start + 30, end)
            for legend, expression in panel.queries.items()
        }
        for panel in SERVICE.panels
    ]
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/service.json").write_text(json.dumps(panels))
