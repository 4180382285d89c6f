"""Every metric of the product but the backlog's, with its labels and buckets.

Those of the backlog are in backlog/metrics.py. docs/metrics.md lists them for operators; a test
compares the two.
"""

import functools
import os
import platform
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# The labels of unknown paths and methods: a scanner sends thousands, and each would be a series.
UNMATCHED = "unmatched"
OTHER_METHOD = "_OTHER"
# The route of requests that are shed before their path is looked at.
SHED = "shed"
# Why a request is not authorized.
REFUSALS = (
    *("missing", "malformed", "unknown", "expired", "revoked"),
    *("scope", "rate", "failures", "host"),
)
# Why a connection is aborted.
CUTS = ("idle", "pipelining", "slow_reader", "slow_sender", "too_many", "unwanted_body")
# nginx's status for a request whose client closed the connection before the response.
CLIENT_GONE = "499"

# The objective is 99 % below 250 ms. A quantile is only as exact as the buckets around it, so
# they are narrow from 100 to 500 ms; those below show a healthy service, those above how bad an
# incident is, up to the 8 s after which a request fails.
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1, 2.5, 5, 8)
# DynamoDB responds within milliseconds; an attempt ends after 2 s and a call after 8 s.
CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8)
MINUTE, HOUR, DAY = 60, 3600, 86_400
# A task takes from minutes to months.
TASK_SECONDS = (
    *(5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 8 * HOUR),
    *(DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 60 * DAY, 90 * DAY, 180 * DAY),
)


class Metrics:
    """The catalogue, with a registry of its own so that two apps in one process do not mix."""

    def __init__(self, build: str) -> None:
        # Otherwise each counter has a second series with its creation time, which nothing uses.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        counter = functools.partial(Counter, registry=registry)
        gauge = functools.partial(Gauge, registry=registry)
        histogram = functools.partial(Histogram, registry=registry)

        # Traffic and errors: the availability objective is computed from these.
        self.requests = counter(
            "http_requests",
            "Requests by status; 499: the client disconnected before the response.",
            ["method", "route", "status"],
        )
        # Latency as the client sees it.
        self.request_seconds = histogram(
            "http_request_duration_seconds",
            "Time from receiving the request to sending the last byte of the response.",
            ["method", "route", "status"],
            buckets=REQUEST_SECONDS,
        )
        # Latency of the service: a client that reads slowly does not add to it.
        self.first_byte_seconds = histogram(
            "http_response_start_seconds",
            "Time from receiving the request to sending the first byte of the response.",
            ["method", "route"],
            buckets=REQUEST_SECONDS,
        )
        # Saturation.
        self.in_flight = gauge("http_requests_in_flight", "Requests being processed.")
        self.waiting = gauge("http_requests_waiting", "Requests that wait for a change.")
        self.connections = gauge("http_connections", "Open connections.")
        self.connections_cut = counter(
            "http_connections_cut", "Connections cut by the server, by reason.", ["reason"]
        )
        # The store as this process sees it: errors, latency, retries, and cost.
        self.calls = counter(
            "dynamodb_calls",
            "DynamoDB calls by outcome: ok, or the name of DynamoDB's or the client's error.",
            ["operation", "outcome"],
        )
        self.call_seconds = histogram(
            "dynamodb_call_duration_seconds",
            "Duration of a DynamoDB call, including retries.",
            ["operation"],
            buckets=CALL_SECONDS,
        )
        self.retries = counter(
            "dynamodb_retries",
            "Retries of DynamoDB calls, by the error that caused them.",
            ["operation", "reason"],
        )
        self.capacity = counter(
            "dynamodb_consumed_capacity_units",
            "Request units consumed, as reported by DynamoDB.",
            ["operation"],
        )
        # Why requests are not authorized, which the response does not always tell.
        self.access_refusals = counter(
            "access_refusals",
            "Requests rejected for a missing, invalid or insufficient API key, or a rate limit.",
            ["reason"],
        )
        # What verifying keys costs, and whether the cache works.
        self.key_lookups = counter(
            "key_lookups",
            "API key lookups, by source: the memory of this process or the table.",
            ["source"],
        )
        # The product.
        self.tasks_created = counter(
            "tasks_created", "Tasks created, by initial status.", ["status"]
        )
        self.tasks_moved = counter(
            "tasks_moved", "Tasks moved from one status to another.", ["from_status", "to_status"]
        )
        self.task_lead_seconds = histogram(
            "task_lead_time_seconds",
            "Time from the creation of a task to its move to done.",
            buckets=TASK_SECONDS,
        )
        self.task_wait_seconds = histogram(
            "task_wait_seconds",
            "Time from the creation of a task to its move to in progress.",
            buckets=TASK_SECONDS,
        )
        # A bulk is one request in `http_requests`, whatever becomes of its items.
        self.bulk_items = counter(
            "bulk_items", "Items of bulk requests, by the status of their results.", ["status"]
        )
        # Clients that repeat requests: responses are getting lost.
        self.replays = counter(
            "idempotent_replays",
            "Requests that repeated an idempotency key and got the earlier result.",
        )
        gauge(
            "task_tracker_build",
            "Always 1; the labels are the build and the Python version.",
            ["build", "python"],
        ).labels(build, platform.python_version()).set(1)
        # The ECS task's size, because node-exporter sees the whole machine around it.
        self.cpu_limit = gauge(
            "task_cpu_limit_cores",
            "CPU limit of the ECS task; the host's CPUs if no size is set.",
        )
        self.memory_limit = gauge(
            "task_memory_limit_bytes",
            "Memory limit of the ECS task; the host's memory if no size is set.",
        )
        self._initialise_keys()
        # Each series is looked up once: `labels` costs as much as all the counting.
        self._request_series = functools.cache(self._find_request_series)
        self._call_series = functools.cache(self._find_call_series)

    def set_limits(self, cores: float | None, memory_bytes: int | None) -> None:
        """Set the ECS task's size; None stands for the machine's."""
        self.cpu_limit.set(cores or os.cpu_count() or 1)
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self.memory_limit.set(memory_bytes or machine)

    def observe_request(
        self, method: str, route: str, status: str, seconds: float, first_byte: float | None
    ) -> None:
        """Count a request that has ended, with its times in seconds."""
        requests, request_seconds, first_byte_seconds = self._request_series(method, route, status)
        requests.inc()
        request_seconds.observe(seconds)
        if first_byte is not None:
            first_byte_seconds.observe(first_byte)

    def observe_call(
        self,
        operation: str,
        outcome: str,
        seconds: float,
        retried_after: Iterable[str],
        units: float,
    ) -> None:
        """Count a call to DynamoDB that has ended, with its duration in seconds."""
        calls, call_seconds, capacity = self._call_series(operation, outcome)
        calls.inc()
        call_seconds.observe(seconds)
        capacity.inc(units)
        for reason in retried_after:
            self.retries.labels(operation, reason).inc()

    # Series start at 0, because `rate` does not see a counter's step from absent to 1.

    def initialise_requests(self, method: str, route: str, statuses: Iterable[int]) -> None:
        for status in statuses:
            self.requests.labels(method, route, str(status))
            if status < 300:
                self._request_series(method, route, str(status))

    def initialise_calls(self, operations: Iterable[str], ok: str, errors: Iterable[str]) -> None:
        for operation in operations:
            self._call_series(operation, ok)
            for error in errors:
                self.calls.labels(operation, error)
                self.retries.labels(operation, error)

    def initialise_tasks(self, moves: Mapping[Any, Iterable[str]]) -> None:
        for status, wanted in moves.items():
            self.tasks_created.labels(status)
            for to_status in wanted:
                self.tasks_moved.labels(status, to_status)

    def initialise_bulks(self, statuses: Iterable[int]) -> None:
        for status in statuses:
            self.bulk_items.labels(str(status))

    def initialise_connections(self) -> None:
        for reason in CUTS:
            self.connections_cut.labels(reason)
        for status in ("400", "408", "431"):
            self.requests.labels(OTHER_METHOD, UNMATCHED, status)

    def _initialise_keys(self) -> None:
        for reason in REFUSALS:
            self.access_refusals.labels(reason)
        for source in ("memory", "table"):
            self.key_lookups.labels(source)

    def _find_request_series(
        self, method: str, route: str, status: str
    ) -> tuple[Counter, Histogram, Histogram]:
        return (
            self.requests.labels(method, route, status),
            self.request_seconds.labels(method, route, status),
            self.first_byte_seconds.labels(method, route),
        )

    def _find_call_series(self, operation: str, outcome: str) -> tuple[Counter, Histogram, Counter]:
        return (
            self.calls.labels(operation, outcome),
            self.call_seconds.labels(operation),
            self.capacity.labels(operation),
        )
