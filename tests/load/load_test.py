"""Load beyond what the API can do, and clients that take a place and do nothing with it.

Every bound is a ratio of two figures of one run.
"""

import statistics
from collections.abc import Iterator

import pytest

from tests.load import parts, report
from tests.load.client import quantile
from tests.load.parts import Api, Probe

MULTIPLES = (1, 2, 3, 4, 5)
ROUNDS = 3
STRETCH_SECONDS = 3
# More than the API works on at once, and than wait for an answer while it sheds.
CONNECTIONS = 512
SATURATING_CONNECTIONS = 64
# Together longer than a round of being cut and coming again.
GOOD_SECONDS = 5
GOOD_STRETCHES = 3
SILENT = TRICKLING = 1000
# What a good client asks for beside the crowd, of what the API can do.
GOOD_SHARE = 0.2


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with parts.serving(tmp_path_factory.mktemp("logs")) as api:
        _saturate(api)
        yield api


@pytest.fixture(scope="module")
def capacity(api: Api) -> float:
    """Pages a second, where each client asks again as soon as it is answered."""
    return max(_saturate(api) for _ in range(2))


@pytest.fixture(scope="module")
def stretches(api: Api, capacity: float) -> list[report.Stretch]:
    """What each multiple of the capacity came to, in rounds: the machine has other things to do."""
    found = [_stretch(api, multiple, capacity) for _ in range(ROUNDS) for multiple in MULTIPLES]
    report.save("stretches", report.middle(found))
    return found


@pytest.fixture(scope="module")
def crowd(api: Api, capacity: float) -> report.Crowd:
    """What a good client met before, beside and after the crowd."""
    quiet = _good_p99(api, capacity)
    resident = api.resident_bytes
    with parts.crowded(api, silent=SILENT, trickling=TRICKLING):
        beside = _good_p99(api, capacity)
        grown = api.resident_bytes - resident
    found = report.Crowd(SILENT, TRICKLING, quiet, beside, grown)
    report.save("crowd", found)
    return found


def _saturate(api: Api) -> float:
    found = api.load(seconds=STRETCH_SECONDS, connections=SATURATING_CONNECTIONS)
    assert set(found["statuses"]) == {"200"}
    return float(found["sent"] / STRETCH_SECONDS)


def _good_p99(api: Api, capacity: float) -> float:
    """Take the middle of several stretches: the machine has other things to do as well."""
    found = [
        api.load(
            rate=GOOD_SHARE * capacity, seconds=GOOD_SECONDS, connections=SATURATING_CONNECTIONS
        )
        for _ in range(GOOD_STRETCHES)
    ]
    assert all(one["statuses"] == {"200": one["sent"]} for one in found)
    return float(statistics.median(one["p99"]["200"] for one in found))


def _stretch(api: Api, multiple: int, capacity: float) -> report.Stretch:
    rate, before = multiple * capacity, api.calls_to_store("Query")
    with Probe(api, "/livez") as alive, Probe(api, "/readyz") as ready:
        found = api.load(rate=rate, seconds=STRETCH_SECONDS, connections=CONNECTIONS)
    served = found["statuses"].get("200", 0)
    return report.Stretch(
        multiple=multiple,
        offered=rate,
        goodput=served / STRETCH_SECONDS,
        shed=found["statuses"].get("503", 0) / found["sent"],
        failed=found["sent"] - served - found["statuses"].get("503", 0),
        unsent=found["unsent"],
        served_p99=found["p99"]["200"],
        shed_p99=found["p99"].get("503", 0),
        livez_p99=quantile(alive.seconds, 0.99),
        readyz_p99=quantile(ready.seconds, 0.99),
        unhealthy=alive.failures + ready.failures,
        calls=api.calls_to_store("Query") - before,
        served=served,
    )


def test_three_times_the_capacity_leaves_most_of_it(stretches: list[report.Stretch]) -> None:
    """What is refused costs little enough that the rest is answered; more still ends nothing."""
    middle = report.middle(stretches)
    best = max(one.goodput for one in middle)
    for one in middle:
        share = 0.7 if one.multiple <= 3 else 0.5
        assert one.goodput >= share * best, report.stretch_table(middle)


def test_every_request_is_answered_well_or_told_to_come_again(
    stretches: list[report.Stretch],
) -> None:
    """Nothing fails in another way, nothing is lost, and overload does shed."""
    assert [one.failed for one in stretches] == [0] * len(stretches)
    assert stretches[-1].shed > 0.5


def test_what_is_shed_reaches_no_store(stretches: list[report.Stretch]) -> None:
    """The store was asked once for each page that was served."""
    assert [one.calls for one in stretches] == [one.served for one in stretches]


def test_health_is_answered_whatever_there_is_to_do(stretches: list[report.Stretch]) -> None:
    """Sooner than what is served, and never with a refusal."""
    for one in stretches:
        assert one.unhealthy == 0
        assert one.multiple == 1 or one.livez_p99 < one.served_p99, report.stretch_table(stretches)


def test_a_crowd_of_slow_clients_takes_little_from_the_good(crowd: report.Crowd) -> None:
    """Their p99 stays within twice its quiet value, and a place costs kilobytes."""
    assert crowd.p99_beside <= 2 * crowd.p99_quiet, report.crowd_text(crowd)
    assert crowd.bytes_each < 32 * 1024
