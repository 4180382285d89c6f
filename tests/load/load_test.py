"""Load above the API's capacity, and clients that occupy connections without using them.

Each bound is a ratio of two figures of one run, so that it holds on any machine.
"""

from collections.abc import Iterator

import pytest

from tests.load import load_processes, report
from tests.load.client import quantile
from tests.load.load_processes import Api, Probe

MULTIPLES = (1, 2, 3, 4, 5)
ROUNDS = 3
STEP_SECONDS = 3
# More than the API handles at once, and than wait for a response while it sheds.
CONNECTIONS = 512
SATURATING_CONNECTIONS = 64
# Three of these are longer than the time after which slow clients are cut off and reconnect.
NORMAL_SECONDS = 5
NORMAL_RUNS = 5
SILENT = TRICKLING = 1000
# The rate of the normal client, as a share of the capacity.
NORMAL_SHARE = 0.2


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with load_processes.serving(tmp_path_factory.mktemp("logs")) as api:
        _saturate(api)
        yield api


@pytest.fixture(scope="module")
def capacity(api: Api) -> float:
    """Pages a second in a closed loop."""
    return max(_saturate(api) for _ in range(2))


@pytest.fixture(scope="module")
def steps(api: Api, capacity: float) -> list[report.Step]:
    """The results of each multiple of the capacity, several times."""
    found = [_step(api, multiple, capacity) for _ in range(ROUNDS) for multiple in MULTIPLES]
    report.save("steps", report.medians(found))
    return found


@pytest.fixture(scope="module")
def slow_clients(api: Api, capacity: float) -> report.SlowClients:
    """The latency of a normal client without and beside slow clients."""
    alone, resident = _normal_p99(api, capacity), api.resident_bytes
    with load_processes.slow_clients(api, silent=SILENT, trickling=TRICKLING):
        beside = _normal_p99(api, capacity)
        grown = api.resident_bytes - resident
    found = report.SlowClients(SILENT, TRICKLING, alone, beside, grown)
    report.save("slow_clients", found)
    return found


def _saturate(api: Api) -> float:
    found = api.load(seconds=STEP_SECONDS, connections=SATURATING_CONNECTIONS)
    assert set(found["statuses"]) == {"200"}
    return float(found["sent"] / STEP_SECONDS)


def _normal_p99(api: Api, capacity: float) -> float:
    rate = NORMAL_SHARE * capacity
    found = [
        api.load(rate=rate, seconds=NORMAL_SECONDS, connections=SATURATING_CONNECTIONS)
        for _ in range(NORMAL_RUNS)
    ]
    assert all(run["statuses"] == {"200": run["sent"]} for run in found)
    # Other work on the machine only lengthens a run, so the quickest run is the least disturbed.
    return float(min(run["p99"]["200"] for run in found))


def _step(api: Api, multiple: int, capacity: float) -> report.Step:
    rate, before = multiple * capacity, api.store_calls("Query")
    with Probe(api, "/livez") as alive, Probe(api, "/readyz") as ready:
        found = api.load(rate=rate, seconds=STEP_SECONDS, connections=CONNECTIONS)
    served = found["statuses"].get("200", 0)
    return report.Step(
        multiple=multiple,
        offered=rate,
        goodput=served / STEP_SECONDS,
        shed=found["statuses"].get("503", 0) / found["sent"],
        failed=found["sent"] - served - found["statuses"].get("503", 0),
        unsent=found["unsent"],
        served_p99=found["p99"]["200"],
        shed_p99=found["p99"].get("503", 0),
        livez_p99=quantile(alive.seconds, 0.99),
        readyz_p99=quantile(ready.seconds, 0.99),
        unhealthy=alive.failures + ready.failures,
        calls=api.store_calls("Query") - before,
        served=served,
    )


def test_overload_leaves_most_of_the_goodput(steps: list[report.Step]) -> None:
    """Goodput stays at 70 % of the best up to three times the capacity, and at 50 % beyond."""
    medians = report.medians(steps)
    best = max(step.goodput for step in medians)
    for step in medians:
        share = 0.7 if step.multiple <= 3 else 0.5
        assert step.goodput >= share * best, report.table(medians)


def test_every_request_is_served_or_shed(steps: list[report.Step]) -> None:
    """Every response is a 200 or a 503, and none is missing."""
    assert [step.failed for step in steps] == [0] * len(steps)
    assert steps[-1].shed > 0.5


def test_shed_requests_do_not_reach_the_store(steps: list[report.Step]) -> None:
    """There is one Query for each page that was served."""
    assert [step.calls for step in steps] == [step.served for step in steps]


def test_health_checks_succeed_under_overload(steps: list[report.Step]) -> None:
    """They are never shed, and /livez responds sooner than served requests."""
    for step in steps:
        assert step.unhealthy == 0
        assert step.multiple == 1 or step.livez_p99 < step.served_p99, report.table(steps)


def test_slow_clients_do_not_slow_down_others(slow_clients: report.SlowClients) -> None:
    """A normal client's p99 at most doubles, and a slow client takes less than 32 KiB."""
    assert slow_clients.p99_beside <= 2 * slow_clients.p99_alone, slow_clients.text()
    assert slow_clients.bytes_each < 32 * 1024
