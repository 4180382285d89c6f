"""One catalogue, two outputs: what CloudWatch reads adds up to what Prometheus would scrape."""

import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.registry import Collector

from api.keys import Scope
from api.metrics import CALL_SECONDS, REQUEST_SECONDS, Metrics
from api.settings import Settings
from handlers import emf
from handlers.emf import Exporter
from handlers.function import Function
from tests.support import builders
from tests.support.builders import Client
from tests.support.doors import BOOTSTRAP, bearer
from tests.support.faults import Fault, FaultProxy, times
from tests.support.gateway import Context, Gateway, functioning

Series = tuple[str, frozenset[tuple[str, str]]]

# AWS's limits: metrics of a document, dimensions of a metric, values of a metric, bytes.
MOST_METRICS, MOST_DIMENSIONS, MOST_VALUES, MOST_BYTES = 100, 30, 100, 2**18
UNITS = {"Count", "Seconds", "Bytes"}
ROUNDS = 40


def extract(lines: list[str]) -> dict[Series, list[float]]:
    """Read metrics out of log lines as CloudWatch does: in turn, by what each document declares."""
    read: dict[Series, list[float]] = {}
    for line in lines:
        document = json.loads(line)
        assert len(line) < MOST_BYTES
        assert abs(document["_aws"]["Timestamp"] / 1000 - time.time()) < 3600
        for directive in document["_aws"]["CloudWatchMetrics"]:
            (dimensions,) = directive["Dimensions"]
            labels = frozenset((name, document[name]) for name in dimensions)
            assert all(isinstance(value, str) and 0 < len(value) <= 1024 for _, value in labels)
            assert len(dimensions) <= MOST_DIMENSIONS
            assert 0 < len(directive["Metrics"]) <= MOST_METRICS
            for metric in directive["Metrics"]:
                assert metric["Unit"] in UNITS
                assert 0 < len(document[metric["Name"]]) <= MOST_VALUES
                read.setdefault((metric["Name"], labels), []).extend(document[metric["Name"]])
    return read


def _names(collector: Collector) -> set[str]:
    return {family.name for family in collector.collect()}


def _left_out() -> set[str]:
    registry = CollectorRegistry()
    return {name for kind in emf.LEFT_OUT for name in _names(kind(registry=registry))}


def scraped(registry: CollectorRegistry, function: str) -> Iterator[tuple[Series, str, Any]]:
    """Give each sample of a registry, with its family's type, under the labels of CloudWatch."""
    for family in registry.collect():
        if family.name not in _left_out():
            for sample in family.samples:
                labels = frozenset({**sample.labels, emf.FUNCTION: function}.items())
                yield (sample.name, labels), family.type, sample.value


def _of_cloudwatch(series: Series, kind: str, read: dict[Series, list[float]]) -> float:
    """Say what a sample would be, from the values that CloudWatch has of it."""
    name, labels = series
    if kind == "histogram":
        base, _, part = name.rpartition("_")
        bound = float(dict(labels).get("le", "inf"))
        values = read.get((base, frozenset(pair for pair in labels if pair[0] != "le")), [])
        return sum(values) if part == "sum" else sum(value <= bound for value in values)
    values = read.get(series, [])
    return values[-1] if kind == "gauge" else sum(values)


def guarded(store: str) -> Settings:
    return builders.settings(store, auth="on", bootstrap_key=BOOTSTRAP)


@pytest.fixture
def function(moto: str) -> Iterator[Function]:
    with functioning(builders.settings(moto)) as function:
        yield function


def client(function: Function) -> Client:
    return Client(base_url="https://tracker.example", transport=Gateway(function, "http_api"))


def _drive(function: Function) -> None:
    """Make requests of all sorts, so that all metrics of the catalogue move."""
    with client(function) as asking:
        asking.get("/v1/tasks")
        wanted = {"label": "x", "scopes": list(Scope)}
        made = asking.post("/v1/keys", json=wanted, headers=bearer(BOOTSTRAP)).json()
        asking.headers.update(bearer(made["key"]))
        task = asking.create(status="todo")
        task = asking.changed(task, status="in_progress")
        asking.changed(task, status="done")
        asking.create_once("k")
        asking.create_once("k")
        for number in range(5):
            asking.get("/v1/tasks", params={"limit": number})
        asking.get("/nothing")
        asking.request("PROPFIND", "/")
        asking.merge(task["id"], {}, {"If-Match": '"0000000000000000"'})


def test_both_outputs_agree_series_by_series(moto: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Counters and histograms add up, buckets included; gauges are what they are."""
    plan = times("PutItem", [Fault.THROTTLED, Fault.REFUSED])
    with (
        FaultProxy(moto, plan) as proxy,
        functioning(guarded(proxy.url)) as function,
    ):
        _drive(function)
        read = extract(capfd.readouterr().out.splitlines())
        registry = function.exporter.registry
        samples = list(scraped(registry, "local"))
    moved = set()
    for series, kind, value in samples:
        assert math.isclose(_of_cloudwatch(series, kind, read), value, abs_tol=1e-9), series
        moved |= {series[0]} if value else set()
    # A metric that nothing moved would agree as 0; those that are 0 between requests, and those
    # of sockets, are known.
    still = {name for (name, _), _, _ in samples} - moved
    assert still == {"http_connections", "http_requests_in_flight"}
    ours = {(series[0].removesuffix("_sum"), series[1]) for series, _, _ in samples}
    assert set(read) <= ours


def test_no_metric_of_the_catalogue_is_forgotten() -> None:
    """Whatever is in the registry goes out, but for the collectors that are named."""
    metrics = Metrics("dev")
    families = {family.name for family in metrics.registry.collect()} - _left_out()
    exported = {
        each.name.removesuffix("_total") for each in Exporter(metrics.registry, "f").families
    }
    assert exported == families
    assert _left_out() < {family.name for family in metrics.registry.collect()}


def test_a_kind_of_metric_that_is_not_known_is_refused_at_once() -> None:
    """Rather than left out in silence."""
    registry = CollectorRegistry()
    Summary("sizes", "Of a kind that the catalogue has not.", registry=registry)
    with pytest.raises(KeyError):
        Exporter(registry, "f")


def test_what_has_not_changed_is_not_sent(
    function: Function, capfd: pytest.CaptureFixture[str]
) -> None:
    """A warm-up of a warm container says nothing, and a request names its own series alone."""
    warm_up = {"source": "aws.events"}
    function(warm_up, Context())
    assert "task_tracker_build" in capfd.readouterr().out
    function(warm_up, Context())
    assert capfd.readouterr().out == ""
    client(function).get("/livez")
    names = {name for name, _ in extract(capfd.readouterr().out.splitlines())}
    assert names == {
        "http_requests_total",
        "http_request_duration_seconds",
        "http_response_start_seconds",
    }


def test_it_goes_out_when_the_invocation_fails(
    function: Function, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request of which Lambda can make no answer has been counted."""
    whole = function.app

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        async def send_broken(message: Any) -> None:
            if "headers" in message:
                message["headers"] = [*message["headers"], (b"x", b"\xff")]
            await send(message)

        await whole(scope, receive, send_broken)

    monkeypatch.setattr(function, "app", broken)
    with pytest.raises(UnicodeDecodeError):
        client(function).get("/livez")
    labels = {"function": "local", "method": "GET", "route": "/livez", "status": "200"}
    read = extract(capfd.readouterr().out.splitlines())
    assert read["http_requests_total", frozenset(labels.items())] == [1]


def test_more_values_than_a_document_holds_go_into_several() -> None:
    """None is lost, and each document keeps to the limit."""
    registry = CollectorRegistry()
    seconds = Histogram("call_seconds", "Times.", ["of"], buckets=CALL_SECONDS, registry=registry)
    Counter("calls", "Calls.", ["of"], registry=registry).labels("x").inc(2.5)
    for number in range(1, 251):
        seconds.labels("x").observe(number / 100)
    documents = [json.dumps(document) for document in Exporter(registry, "f").documents()]
    assert len(documents) == 3
    labels = frozenset({("function", "f"), ("of", "x")})
    read = extract(documents)
    assert len(read["call_seconds", labels]) == 250
    assert math.isclose(sum(read["call_seconds", labels]), sum(range(1, 251)) / 100)
    assert read["calls_total", labels] == [2.5]


def test_gauges_go_out_as_they_are() -> None:
    """Down as well as up, and only when they have moved."""
    registry = CollectorRegistry()
    level = Gauge("level", "Of something.", registry=registry)
    exporter = Exporter(registry, "f")
    sent = []
    for value in (0, 7, 7, 3):
        level.set(value)
        sent.append([document["level"] for document in exporter.documents()])
    assert sent == [[[0]], [[7]], [], [[3]]]


@given(st.lists(st.floats(min_value=1e-6, max_value=20), min_size=1, max_size=50))
def test_the_values_of_a_histogram_are_those_of_its_buckets(observed: list[float]) -> None:
    """As many, with the same sum, and each in the bucket that it was counted in."""
    registry = CollectorRegistry()
    seconds = Histogram("seconds", "Times.", buckets=REQUEST_SECONDS, registry=registry)
    for value in observed:
        seconds.observe(value)
    (document,) = Exporter(registry, "f").documents()
    values = document["seconds"]
    assert math.isclose(sum(values), sum(observed), rel_tol=1e-9)
    for bound in (*REQUEST_SECONDS, math.inf):
        assert sum(value <= bound for value in values) == sum(value <= bound for value in observed)


def test_it_costs_a_request_little(function: Function, report: Callable[[str], None]) -> None:
    """Beside the same requests without it, in turns."""
    asking = client(function)
    path = f"/v1/tasks/{asking.create()['id']}"
    flush = function.exporter.flush
    seconds = {True: 0.0, False: 0.0}
    for number in range(2 * ROUNDS):
        measured = number % 2 == 0
        function.exporter.flush = flush if measured else lambda: None  # type: ignore[method-assign]
        began = time.process_time()
        asking.get(path)
        seconds[measured] += time.process_time() - began
    with_it, without = (1000 * seconds[each] / ROUNDS for each in (True, False))
    report(f"CPU of a warm invocation: {with_it:.2f} ms, without metrics {without:.2f} ms")
    assert with_it < 2 * without
