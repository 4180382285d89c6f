"""What CloudWatch reads from the function's log adds up to what Prometheus would scrape."""

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from api.metrics import CALL_SECONDS, REQUEST_SECONDS
from api.principal import Scope
from handlers import emf
from handlers.emf import Exporter
from handlers.function import Function
from tests.support import builders
from tests.support.builders import Client
from tests.support.faults import Fault, FaultProxy, times
from tests.support.gateway import Context, Gateway, running_function
from tests.support.secured_app import BOOTSTRAP, bearer

Series = tuple[str, frozenset[tuple[str, str]]]

# AWS's limits: metrics per document, dimensions and values per metric, and a document's size.
MAX_METRICS, MAX_DIMENSIONS, MAX_VALUES, MAX_BYTES = 100, 30, 100, 2**18
UNITS = {"Count", "Seconds", "Bytes"}
# docs/metrics.md: what Lambda reports itself.
OF_THE_PROCESS = ("process_", "python_")


def extract(lines: list[str]) -> dict[Series, list[float]]:
    """Read metrics from log lines as CloudWatch does, and check AWS's limits."""
    read: dict[Series, list[float]] = {}
    for line in lines:
        document = json.loads(line)
        assert len(line) < MAX_BYTES
        assert abs(document["_aws"]["Timestamp"] / 1000 - time.time()) < 3600
        for directive in document["_aws"]["CloudWatchMetrics"]:
            (dimensions,) = directive["Dimensions"]
            labels = frozenset((name, document[name]) for name in dimensions)
            assert all(isinstance(value, str) and 0 < len(value) <= 1024 for _, value in labels)
            assert len(dimensions) <= MAX_DIMENSIONS
            assert 0 < len(directive["Metrics"]) <= MAX_METRICS
            for metric in directive["Metrics"]:
                assert metric["Unit"] in UNITS
                assert 0 < len(document[metric["Name"]]) <= MAX_VALUES
                read.setdefault((metric["Name"], labels), []).extend(document[metric["Name"]])
    return read


def scraped(registry: CollectorRegistry) -> Iterator[tuple[Series, str, float]]:
    """Yield each sample and its type, with the function's name as another label."""
    for family in registry.collect():
        if not family.name.startswith(OF_THE_PROCESS):
            for sample in family.samples:
                labels = frozenset({**sample.labels, emf.FUNCTION: "local"}.items())
                yield (sample.name, labels), family.type, sample.value


def in_cloudwatch(series: Series, kind: str, read: dict[Series, list[float]]) -> float:
    """Compute a sample from the values that CloudWatch has read."""
    name, labels = series
    if kind == "histogram":
        base, _, part = name.rpartition("_")
        bound = float(dict(labels).get("le", "inf"))
        values = read.get((base, frozenset(pair for pair in labels if pair[0] != "le")), [])
        return sum(values) if part == "sum" else sum(value <= bound for value in values)
    values = read.get(series, [0])
    return values[-1] if kind == "gauge" else sum(values)


@pytest.fixture
def function(moto: str) -> Iterator[Function]:
    with running_function(builders.settings(moto)) as function:
        yield function


def client_of(function: Function) -> Client:
    return Client(base_url="https://tracker.example", transport=Gateway(function, "http_api"))


def _move_every_metric(function: Function) -> None:
    with client_of(function) as client:
        client.get("/v1/tasks")
        wanted = {"label": "x", "scopes": list(Scope)}
        created = client.post("/v1/keys", json=wanted, headers=bearer(BOOTSTRAP)).json()
        client.headers.update(bearer(created["key"]))
        task = client.create(status="todo")
        task = client.changed(task, status="in_progress")
        client.changed(task, status="done")
        client.create_once("k")
        client.create_once("k")
        for number in range(5):
            client.get("/v1/tasks", params={"limit": number})
        client.get("/nothing")
        client.request("PROPFIND", "/")
        items = [{"create": {"title": "One of many"}}]
        client.post("/v1/tasks/bulk", json={"items": items})
        client.merge(task["id"], {}, {"If-Match": '"0000000000000000"'})


def test_cloudwatch_and_prometheus_agree(moto: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Every sample of the registry, buckets included, can be computed from the documents."""
    plan = times("PutItem", [Fault.THROTTLED, Fault.REFUSED])
    with FaultProxy(moto, plan) as proxy:
        settings = builders.settings(proxy.url, auth="on", bootstrap_key=BOOTSTRAP)
        with running_function(settings) as function:
            _move_every_metric(function)
            read = extract(capfd.readouterr().out.splitlines())
            samples = list(scraped(function.exporter.registry))
    moved = set()
    for series, kind, value in samples:
        assert math.isclose(in_cloudwatch(series, kind, read), value, abs_tol=1e-9), series
        moved |= {series[0]} if value else set()
    # A metric that stayed at 0 would prove nothing; these are 0 on Lambda, or between requests.
    still = {name for (name, _), _, _ in samples} - moved
    assert still == {"http_connections", "http_requests_in_flight", "http_requests_waiting"}
    known = {(name.removesuffix("_sum"), labels) for (name, labels), _, _ in samples}
    assert set(read) <= known


def test_a_metric_of_an_unsupported_type_is_an_error() -> None:
    """It is not left out silently."""
    registry = CollectorRegistry()
    Summary("sizes", "Of a type that the catalogue does not use.", registry=registry)
    with pytest.raises(AttributeError):
        Exporter(registry, "f").flush()


def test_only_changes_are_sent(function: Function, capfd: pytest.CaptureFixture[str]) -> None:
    """An event that changes no metric writes nothing, and a request writes only its own series."""
    scheduled = {"source": "aws.events"}
    function(scheduled, Context())
    assert "task_tracker_build" in capfd.readouterr().out
    function(scheduled, Context())
    assert capfd.readouterr().out == ""
    client_of(function).get("/livez")
    names = {name for name, _ in extract(capfd.readouterr().out.splitlines())}
    assert names == {
        "http_requests_total",
        "http_request_duration_seconds",
        "http_response_start_seconds",
    }


def test_a_failed_invocation_sends_its_metrics(
    function: Function, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is counted although Mangum cannot encode the response."""
    app = function.app

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        async def send_broken(message: Any) -> None:
            if "headers" in message:
                message["headers"] = [*message["headers"], (b"x", b"\xff")]
            await send(message)

        await app(scope, receive, send_broken)

    monkeypatch.setattr(function, "app", broken)
    with pytest.raises(UnicodeDecodeError):
        client_of(function).get("/livez")
    labels = {"function": "local", "method": "GET", "route": "/livez", "status": "200"}
    read = extract(capfd.readouterr().out.splitlines())
    assert read["http_requests_total", frozenset(labels.items())] == [1]


def test_more_than_100_values_go_into_several_documents() -> None:
    """No value is lost, and each document observes AWS's limit."""
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


def test_gauges_are_sent_as_they_are() -> None:
    """A gauge is sent when it has changed, down as well as up; at the start it counts as 0."""
    registry = CollectorRegistry()
    level = Gauge("level", "Of something.", registry=registry)
    exporter = Exporter(registry, "f")
    sent = []
    for value in (0, 7, 7, 3, 0):
        level.set(value)
        sent.append([document["level"] for document in exporter.documents()])
    assert sent == [[], [[7]], [], [[3]], [[0]]]


@given(st.lists(st.floats(min_value=1e-6, max_value=20), min_size=1, max_size=50))
def test_the_values_of_a_histogram_fit_its_buckets_and_sum(observed: list[float]) -> None:
    """As many values as observations, with the same sum, and as many in each bucket."""
    registry = CollectorRegistry()
    seconds = Histogram("seconds", "Times.", buckets=REQUEST_SECONDS, registry=registry)
    for value in observed:
        seconds.observe(value)
    (document,) = Exporter(registry, "f").documents()
    values = document["seconds"]
    assert math.isclose(sum(values), sum(observed), rel_tol=1e-9)
    for bound in (*REQUEST_SECONDS, math.inf):
        assert sum(value <= bound for value in values) == sum(value <= bound for value in observed)
