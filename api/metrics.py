"""Every metric of the product: what it is for, its labels, and why its buckets are what they are.

docs/metrics.md lists them for operators; a test compares the two.
"""

import functools
import os
import platform
from collections.abc import Iterable

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

from api.models import MOVES, Status

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# A path that no route takes, and a method that HTTP does not know: a scanner makes thousands,
# and each of them would be a series.
UNMATCHED = "unmatched"
OTHER_METHOD = "_OTHER"
# What is refused under overload, before its path is looked at.
SHED = "shed"
# How a call to the store ends that is no error.
OK = "ok"
# Why a caller is not let in.
REFUSALS = (
    *("missing", "malformed", "unknown", "expired", "revoked"),
    *("scope", "rate", "failures"),
)
# Why a connection is cut.
CUTS = ("idle", "pipelining", "slow_reader", "slow_sender", "too_many", "unwanted_body")
# What nginx calls a request whose client went away before the answer.
CLIENT_GONE = "499"

# The objective is 99 % under 250 ms. A quantile is only as exact as the buckets around it, so
# they are narrow from 100 to 500 ms; below, they show a healthy service's shape, above, how bad
# it is, up to the 8 s at which a request is given up.
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1, 2.5, 5, 8)
# DynamoDB answers in single milliseconds; an attempt is given up after 2 s and a call after 8 s.
CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8)


class Metrics:
    """The catalogue, in a registry of its own so that two apps in one process do not mix."""

    def __init__(self, build: str) -> None:
        # A second series for each series, of a time that no rule or panel asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        # CPU, memory, open files and collections of the API process: what the task's own
        # figures cannot tell apart from its neighbours'.
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

        # Traffic and errors: the availability objective is made of these.
        self.requests = Counter(
            "http_requests",
            "Requests answered, or given up by their client (status 499).",
            ["method", "route", "status"],
            registry=registry,
        )
        # Latency as the client sees it: to the last byte.
        self.request_seconds = Histogram(
            "http_request_duration_seconds",
            "Time from the request's arrival to the last byte of its answer.",
            ["method", "route", "status"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        # Latency of the service itself: a slow reader does not lengthen it.
        self.first_byte_seconds = Histogram(
            "http_response_start_seconds",
            "Time from the request's arrival to the first byte of its answer.",
            ["method", "route"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        # Saturation: how many requests are being worked on now.
        self.in_flight = Gauge(
            "http_requests_in_flight", "Requests begun and not yet ended.", registry=registry
        )
        # Sockets: what slow and idle clients take, and how many had to be cut off.
        self.connections = Gauge(
            "http_connections", "Connections that are open.", registry=registry
        )
        self.connections_cut = Counter(
            "http_connections_cut",
            "Connections cut for what their client did or left undone.",
            ["reason"],
            registry=registry,
        )
        # The store, seen from here: errors by kind, latency, retries, and what it will cost.
        self.calls = Counter(
            "dynamodb_calls",
            "Calls to DynamoDB by how they ended: ok, or DynamoDB's or the client's error name.",
            ["operation", "outcome"],
            registry=registry,
        )
        self.call_seconds = Histogram(
            "dynamodb_call_duration_seconds",
            "Time of a call to DynamoDB, its retries included.",
            ["operation"],
            buckets=CALL_SECONDS,
            registry=registry,
        )
        self.retries = Counter(
            "dynamodb_retries",
            "Attempts beyond the first, by what went wrong with the one before.",
            ["operation", "reason"],
            registry=registry,
        )
        self.capacity = Counter(
            "dynamodb_consumed_capacity_units",
            "Request units that DynamoDB reported as consumed.",
            ["operation"],
            registry=registry,
        )
        # Who is not let in, and why: the answer itself does not tell all ways of being wrong apart.
        self.access_refusals = Counter(
            "access_refusals",
            "Requests refused for the key they showed or did not show, or for its rate.",
            ["reason"],
            registry=registry,
        )
        # What keys cost, and whether their memory works.
        self.key_lookups = Counter(
            "key_lookups",
            "Keys looked up in the memory of this process, and in the table.",
            ["source"],
            registry=registry,
        )
        # The product itself.
        self.tasks_created = Counter(
            "tasks_created",
            "Tasks created, by the status they began with.",
            ["status"],
            registry=registry,
        )
        self.tasks_moved = Counter(
            "tasks_moved",
            "Moves of a task from one status to another.",
            ["from_status", "to_status"],
            registry=registry,
        )
        # Clients that repeat themselves: a network or a service that loses answers.
        self.replays = Counter(
            "idempotent_replays",
            "Requests answered with what an earlier one under the same key had done.",
            registry=registry,
        )
        Gauge(
            "task_tracker_build",
            "Always 1; the labels say which build runs on which Python.",
            ["build", "python"],
            registry=registry,
        ).labels(build, platform.python_version()).set(1)

        # What the task may use, beside what node-exporter sees: the whole machine around it.
        self.cpu_limit = Gauge(
            "task_cpu_limit_cores",
            "CPUs that the task may use; the machine's where no task size is set.",
            registry=registry,
        )
        self.memory_limit = Gauge(
            "task_memory_limit_bytes",
            "Memory that the task may use; the machine's where no task size is set.",
            registry=registry,
        )
        self._expect_tasks()
        self._expect_keys()

        # A series is looked up once: `labels` costs as much as all the counting.
        self._request_series = functools.cache(self._find_request_series)
        self._call_series = functools.cache(self._find_call_series)

    def expect_requests(self, method: str, route: str, statuses: Iterable[int]) -> None:
        """Begin the series of an operation at 0: a rate does not see the step from none to 1."""
        for status in statuses:
            self.requests.labels(method, route, str(status))
            if status < 300:
                self._request_series(method, route, str(status))

    def expect_calls(self, operations: Iterable[str], failures: Iterable[str]) -> None:
        """Begin the series of calls to the store at 0, likewise."""
        for operation in operations:
            self._call_series(operation, OK)
            for failure in failures:
                self.calls.labels(operation, failure)
                self.retries.labels(operation, failure)

    def limit(self, cores: float | None, memory_bytes: int | None) -> None:
        """Say what the task may use; where that is not known, the machine is the limit."""
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
        """Count a call to DynamoDB that has ended, with its time in seconds."""
        calls, call_seconds, capacity = self._call_series(operation, outcome)
        calls.inc()
        call_seconds.observe(seconds)
        capacity.inc(units)
        for reason in retried_after:
            self.retries.labels(operation, reason).inc()

    def _expect_tasks(self) -> None:
        for status in Status:
            self.tasks_created.labels(status)
            for wanted in MOVES[status]:
                self.tasks_moved.labels(status, wanted)

    def expect_connections(self) -> None:
        """Begin the series of what sockets bring at 0, where there are any."""
        for reason in CUTS:
            self.connections_cut.labels(reason)
        for status in ("400", "408", "431"):
            self.requests.labels(OTHER_METHOD, UNMATCHED, status)

    def _expect_keys(self) -> None:
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
