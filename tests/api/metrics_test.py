"""The metrics: each request under its route, each call to the store, and nothing unbounded."""

import asyncio
import os
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from api.main import create_app
from api.metrics import Metrics
from api.models import MOVES, NewTask
from tests.support.builders import Client, settings
from tests.support.faults import Fault, FaultProxy, once, times
from tests.support.processes import ROOT
from tests.support.service import Service, W

Labels = frozenset[tuple[str, str]]


def scrape(client: Client) -> dict[tuple[str, Labels], float]:
    """Read every sample as Prometheus would."""
    text = client.get("/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(client: Client, name: str, **labels: str) -> float:
    return scrape(client).get((name, frozenset(labels.items())), 0)


def requests(client: Client, method: str, route: str, status: int) -> float:
    return value(client, "http_requests_total", method=method, route=route, status=str(status))


def test_requests_are_counted_under_their_route(client: Client) -> None:
    """The whole template with its prefix, never the id."""
    task = client.create()
    client.get(f"/v1/tasks/{task['id']}")
    client.get(f"/v1/tasks/{task['id']}x")
    client.change(task, title="y")
    client.get("/v1/tasks", params={"limit": 0})
    client.put("/v1/tasks")
    assert requests(client, "POST", "/v1/tasks", 201) == 1
    assert requests(client, "GET", "/v1/tasks/{task_id}", 200) == 1
    assert requests(client, "GET", "/v1/tasks/{task_id}", 404) == 1
    assert requests(client, "PATCH", "/v1/tasks/{task_id}", 200) == 1
    assert requests(client, "GET", "/v1/tasks", 422) == 1
    assert requests(client, "PUT", "/v1/tasks", 405) == 1


def test_a_scanner_makes_no_series(client: Client) -> None:
    """A thousand paths and some methods that nobody knows are one label each."""
    client.get("/first")
    client.request("PROPFIND", "/first")
    before = set(scrape(client)) | set(scrape(client))
    for number in range(200):
        client.get(f"/wp-admin/{number}.php")
    for method in ("MKCOL", "LOCK"):
        client.request(method, "/x")
    assert requests(client, "GET", "unmatched", 404) == 201
    assert requests(client, "_OTHER", "unmatched", 404) == 3
    assert set(scrape(client)) == before


def test_durations_are_measured_to_the_first_and_to_the_last_byte(client: Client) -> None:
    """Both histograms see each request, and the end is not before the start."""
    for _ in range(3):
        client.get("/livez")
    labels = {"method": "GET", "route": "/livez"}
    ended = value(client, "http_request_duration_seconds_sum", **labels, status="200")
    started = value(client, "http_response_start_seconds_sum", **labels)
    assert value(client, "http_response_start_seconds_count", **labels) == 3
    assert 0 < started <= ended


def test_the_objective_is_a_bucket(client: Client) -> None:
    """99 % under 250 ms can be read off without interpolation."""
    client.get("/livez")
    buckets = {
        dict(labels)["le"]
        for name, labels in scrape(client)
        if name == "http_request_duration_seconds_bucket"
    }
    assert "0.25" in buckets


def test_a_scrape_sees_itself_in_flight(client: Client) -> None:
    """The gauge goes up with a request and down again after it."""
    assert value(client, "http_requests_in_flight") == 1
    assert value(client, "http_requests_in_flight") == 1


def test_calls_to_the_store_are_counted_with_their_outcome(client: Client) -> None:
    """A refused condition is an outcome, not a failure of the call."""
    task = client.create()
    client.merge(task["id"], {}, {"If-Match": '"0000000000000000"'})
    calls = {("PutItem", "ok"): 1, ("UpdateItem", "ConditionalCheckFailedException"): 1}
    for (operation, outcome), number in calls.items():
        labels = {"operation": operation, "outcome": outcome}
        assert value(client, "dynamodb_calls_total", **labels) == number
        assert value(client, "dynamodb_call_duration_seconds_count", operation=operation) == number
    assert value(client, "dynamodb_consumed_capacity_units_total", operation="PutItem") > 0


def test_an_unreachable_store_is_an_outcome(storeless_client: Client) -> None:
    """The client's own error names it, and the attempts beyond the first are retries."""
    storeless_client.get("/v1/tasks")
    outcomes = {
        dict(labels)["outcome"]
        for (name, labels), calls in scrape(storeless_client).items()
        if name == "dynamodb_calls_total" and dict(labels)["operation"] == "Query" and calls
    }
    assert outcomes == {"EndpointConnectionError"}


@pytest.mark.anyio
async def test_a_retry_is_counted_by_what_went_wrong(moto: str) -> None:
    """Throttling that a retry overcame is seen; a cancelled transaction says by what."""
    faults = times("PutItem", [Fault.THROTTLED, Fault.REFUSED])
    with FaultProxy(moto, faults) as proxy:
        async with Service.at(proxy.url) as service:
            await service.tasks.create(W, NewTask(title="x"))
            proxy.plan = once("TransactWriteItems", Fault.CONFLICT)
            await service.tasks.create_once(W, NewTask(title="x"), "key")
    counted = service.metrics.registry.get_sample_value
    retried = [
        ("PutItem", "ProvisionedThroughputExceededException"),
        ("PutItem", "ConnectionClosedError"),
        ("TransactWriteItems", "TransactionConflict"),
    ]
    for operation, reason in retried:
        labels = {"operation": operation, "reason": reason}
        assert counted("dynamodb_retries_total", labels) == 1
        assert counted("dynamodb_calls_total", {"operation": operation, "outcome": "ok"}) == 1


def test_what_can_be_foreseen_begins_at_0(client: Client) -> None:
    """A rate does not see the step from no series to 1, so each is there before it counts."""
    at_0 = {(name, labels) for (name, labels), value in scrape(client).items() if value == 0}
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status in {*operation["responses"], "499", "500"} - {
                "200" if path == "/readyz" else ""
            }:
                labels = {"method": method.upper(), "route": path, "status": status}
                assert ("http_requests_total", frozenset(labels.items())) in at_0
    throttled = {"operation": "Query", "outcome": "ThrottlingException"}
    assert ("dynamodb_calls_total", frozenset(throttled.items())) in at_0
    for before, legal in MOVES.items():
        assert ("tasks_created_total", frozenset({("status", before)})) in at_0
        for after in legal:
            move = {"from_status": before, "to_status": after}
            assert ("tasks_moved_total", frozenset(move.items())) in at_0


@pytest.mark.parametrize(
    ("changes", "cores", "memory"),
    [
        ({"task_vcpus": 0.5, "task_memory_mib": 1024}, 0.5, 2**30),
        ({}, os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
    ],
)
def test_the_task_says_what_it_may_use(changes: dict[str, Any], cores: float, memory: int) -> None:
    """The size that it was given; without one, the machine is the limit."""
    metrics = create_app(settings("http://127.0.0.1:9", **changes)).state.metrics
    assert metrics.registry.get_sample_value("task_cpu_limit_cores") == cores
    assert metrics.registry.get_sample_value("task_memory_limit_bytes") == memory


def test_tasks_are_counted_as_they_come_and_move(client: Client) -> None:
    """A change that moves nothing is no move."""
    task = client.create()
    task = client.changed(task, title="y")
    task = client.changed(task, status="in_progress")
    task = client.changed(task, status="in_progress")
    client.changed(task, status="done")
    assert value(client, "tasks_created_total", status="todo") == 1
    moves = {("todo", "in_progress"): 1, ("in_progress", "done"): 1}
    for (before, after), number in moves.items():
        labels = {"from_status": before, "to_status": after}
        assert value(client, "tasks_moved_total", **labels) == number
    moved = [labels for name, labels in scrape(client) if name == "tasks_moved_total"]
    assert sum(value(client, "tasks_moved_total", **dict(labels)) for labels in moved) == 2


def test_the_build_is_named(client: Client) -> None:
    """Which build answers can be read from a graph."""
    (labels,) = [dict(labels) for name, labels in scrape(client) if name == "task_tracker_build"]
    assert labels["build"] == "dev"


def test_the_process_is_measured(client: Client) -> None:
    """Memory and CPU of the API process are its own, not the machine's."""
    names = {name for name, _ in scrape(client)}
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= names


def test_a_client_that_goes_away_is_counted(client: Client) -> None:
    """A body that never ends in an answer is a 499."""
    host, port = client.base_url.host, client.base_url.port
    with socket.create_connection((host, port or 80)) as connection:
        connection.sendall(
            b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
    for _ in range(200):
        if requests(client, "POST", "/v1/tasks", 499):
            break
    assert requests(client, "POST", "/v1/tasks", 499) == 1


async def _ask(app: Any, client: tuple[str, int] | None, headers: dict[str, str]) -> int:
    """Ask for /metrics as a peer with this address, below any server."""
    statuses: list[int] = []
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/metrics",
        "raw_path": b"/metrics",
        "query_string": b"",
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        "client": client,
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    await app(scope, receive, send)
    return statuses[0]


@pytest.mark.parametrize(
    ("peer", "status"),
    [
        (("127.0.0.1", 1), 200),
        (("::1", 1), 200),
        (("127.1.2.3", 1), 200),
        (("10.0.0.7", 1), 404),
        (("203.0.113.9", 1), 404),
        (("testclient", 1), 404),
        (None, 404),
    ],
)
def test_only_this_host_may_scrape(peer: tuple[str, int] | None, status: int) -> None:
    """The socket's peer decides; a header claims what it likes."""
    app = create_app(settings("http://127.0.0.1:9"))
    claims = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
    assert asyncio.run(_ask(app, peer, claims)) == status


def test_the_documented_metrics_are_the_ones_there_are() -> None:
    """docs/metrics.md has a row for each metric, with its type and its labels."""
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (.*?) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE
    )
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert documented == dict(_declared())


def _declared() -> Iterator[tuple[str, tuple[str, set[str]]]]:
    for metric in vars(Metrics("dev")).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.collect()
            name = family.name + ("_total" if family.type == "counter" else "")
            yield name, (family.type, set(metric._labelnames))
    yield "task_tracker_build", ("gauge", {"build", "python"})
