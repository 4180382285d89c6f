"""The metrics: requests by route, calls to DynamoDB, and a bounded number of series."""

import asyncio
import os
import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from api.backlog.metrics import BacklogMetrics
from api.clock import system_clock
from api.local.processes import ROOT
from api.main import create_app
from api.metrics import Metrics
from api.tasks.models import MOVES, NewTask
from tests.support.builders import Client, settings
from tests.support.faults import Fault, FaultProxy, once, times
from tests.support.service import WORKSPACE, Service
from tests.support.wait import wait_until

Labels = frozenset[tuple[str, str]]


def scrape(client: Client) -> dict[tuple[str, Labels], float]:
    """Return every sample by its name and labels."""
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


def test_requests_are_counted_by_the_template_of_their_route(client: Client) -> None:
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


def test_unknown_paths_and_methods_create_no_series(client: Client) -> None:
    """They are counted as `unmatched` and `_OTHER`."""
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
    for _ in range(3):
        client.get("/livez")
    labels = {"method": "GET", "route": "/livez"}
    ended = value(client, "http_request_duration_seconds_sum", **labels, status="200")
    started = value(client, "http_response_start_seconds_sum", **labels)
    assert value(client, "http_response_start_seconds_count", **labels) == 3
    assert 0 < started <= ended
    # The latency objective is a bucket's bound, so that no interpolation is needed.
    bucket = {**labels, "status": "200", "le": "0.25"}
    assert ("http_request_duration_seconds_bucket", frozenset(bucket.items())) in scrape(client)


def test_requests_in_flight_are_counted_until_they_end(client: Client) -> None:
    assert [value(client, "http_requests_in_flight") for _ in range(2)] == [1, 1]


def test_calls_to_dynamodb_are_counted_by_outcome(client: Client) -> None:
    task = client.create()
    client.merge(task["id"], {}, {"If-Match": '"0000000000000000"'})
    calls = {("PutItem", "ok"): 1, ("UpdateItem", "ConditionalCheckFailedException"): 1}
    for (operation, outcome), number in calls.items():
        labels = {"operation": operation, "outcome": outcome}
        assert value(client, "dynamodb_calls_total", **labels) == number
        assert value(client, "dynamodb_call_duration_seconds_count", operation=operation) == number
    assert value(client, "dynamodb_consumed_capacity_units_total", operation="PutItem") > 0


def test_a_call_to_an_unreachable_store_has_the_error_as_its_outcome(
    storeless_client: Client,
) -> None:
    storeless_client.get("/v1/tasks")
    outcomes = {
        dict(labels)["outcome"]
        for (name, labels), calls in scrape(storeless_client).items()
        if name == "dynamodb_calls_total" and dict(labels)["operation"] == "Query" and calls
    }
    assert outcomes == {"EndpointConnectionError"}


@pytest.mark.anyio
async def test_retries_are_counted_by_the_error_that_caused_them(moto: str) -> None:
    """For a cancelled transaction it is the reason of the cancellation."""
    faults = times("PutItem", [Fault.THROTTLED, Fault.REFUSED])
    with FaultProxy(moto, faults) as proxy:
        async with Service.at(proxy.url) as service:
            await service.tasks.create(WORKSPACE, NewTask(title="x"))
            proxy.plan = once("TransactWriteItems", Fault.CONFLICT)
            await service.tasks.create_once(WORKSPACE, NewTask(title="x"), "key")
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


def test_every_expected_series_starts_at_0(client: Client) -> None:
    """`rate` does not see a counter's step from absent to 1."""
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
def test_the_limits_are_those_of_the_ecs_task_or_else_the_machine(
    changes: dict[str, Any], cores: float, memory: int
) -> None:
    metrics = create_app(settings("http://127.0.0.1:9", **changes)).state.metrics
    assert metrics.registry.get_sample_value("task_cpu_limit_cores") == cores
    assert metrics.registry.get_sample_value("task_memory_limit_bytes") == memory


def test_creations_and_status_changes_of_tasks_are_counted(client: Client) -> None:
    """A PATCH that leaves the status as it is counts as no move."""
    task = client.create()
    task = client.changed(task, title="y")
    task = client.changed(task, status="in_progress")
    task = client.changed(task, status="in_progress")
    client.changed(task, status="done")
    assert value(client, "tasks_created_total", status="todo") == 1
    moves = {
        (dict(labels)["from_status"], dict(labels)["to_status"]): number
        for (name, labels), number in scrape(client).items()
        if name == "tasks_moved_total" and number
    }
    assert moves == {("todo", "in_progress"): 1, ("in_progress", "done"): 1}


def test_the_build_and_the_memory_and_cpu_of_the_process_are_exported(client: Client) -> None:
    samples = {name: dict(labels) for name, labels in scrape(client)}
    assert samples["task_tracker_build"]["build"] == "dev"
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= set(samples)


def test_a_client_that_disconnects_before_the_response_is_counted_as_499(client: Client) -> None:
    host, port = client.base_url.host, client.base_url.port
    with socket.create_connection((host, port or 80)) as connection:
        connection.sendall(
            b"POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
    wait_until(lambda: requests(client, "POST", "/v1/tasks", 499) == 1, seconds=10)


async def _scrape_as(app: Any, peer: Any, headers: dict[str, str]) -> int:
    """Request /metrics from the given peer address, without a server."""
    transport = httpx.ASGITransport(app, client=peer)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return (await client.get("/metrics", headers=headers)).status_code


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
def test_only_loopback_peers_may_scrape(peer: tuple[str, int] | None, status: int) -> None:
    """The socket's peer decides; a request with a forwarding header is always refused."""
    app = create_app(settings("http://127.0.0.1:9"))
    assert asyncio.run(_scrape_as(app, peer, {})) == status
    for header in ("X-Forwarded-For", "Forwarded", "Via"):
        assert asyncio.run(_scrape_as(app, peer, {header: "127.0.0.1"})) == 404


def test_docs_metrics_md_lists_every_metric_with_its_type_and_labels() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (.*?) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE
    )
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert documented == dict(_declared())


def _declared() -> Iterator[tuple[str, tuple[str, set[str]]]]:
    metrics = Metrics("dev")
    backlog = BacklogMetrics(metrics.registry, system_clock)
    for metric in (*vars(metrics).values(), *vars(backlog).values()):
        if isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.collect()
            name = family.name + ("_total" if family.type == "counter" else "")
            yield name, (family.type, set(metric._labelnames))
    for family in backlog.describe():
        yield family.name, (family.type, set(family._labelnames))
    yield "task_tracker_build", ("gauge", {"build", "python"})
