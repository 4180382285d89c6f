"""The backlog as series, which end with the lease of the process that counted it."""

from collections.abc import Iterable
from datetime import datetime
from itertools import product

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from api.backlog.count import Backlog
from api.clock import Clock
from api.tasks.models import STATES, Priority, State
from api.values import seconds_between

OPEN_STATUSES = [status for status, state in STATES.items() if state is State.OPEN]
OUTCOMES = ("counted", "standby", "failed")


class BacklogMetrics(Collector):
    """Exports a backlog while its lease lasts: two processes never export one each."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self._current: tuple[Backlog, datetime] | None = None
        self.rounds = Counter(
            "backlog_rounds",
            "Rounds of the backlog's count: counted, standby (another process counts) or failed.",
            ["outcome"],
            registry=registry,
        )
        for outcome in OUTCOMES:
            self.rounds.labels(outcome)
        registry.register(self)

    def publish(self, backlog: Backlog, until: datetime) -> None:
        self._current = backlog, until

    def withdraw(self) -> None:
        self._current = None

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return _families()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        if self._current is None or self._clock() >= self._current[1]:
            return []
        return _filled(self._current[0])


def _families() -> list[GaugeMetricFamily]:
    return [
        GaugeMetricFamily(
            "tasks_open", "Open tasks, by status and priority.", labels=["status", "priority"]
        ),
        GaugeMetricFamily("tasks_overdue", "Open tasks whose due time has passed.", labels=[]),
        GaugeMetricFamily(
            "tasks_oldest_overdue_seconds",
            "How long the oldest overdue task has been overdue; 0 without one.",
            labels=[],
        ),
        GaugeMetricFamily(
            "tasks_backlog_is_lower_bound",
            "1 if there are more open tasks, or workspaces, than a round counts.",
            labels=[],
        ),
    ]


def _filled(backlog: Backlog) -> list[GaugeMetricFamily]:
    families = by_status, overdue, oldest, lower_bound = _families()
    for each in product(OPEN_STATUSES, Priority):
        by_status.add_metric(each, backlog.open[each])
    age = seconds_between(backlog.oldest_due, backlog.now) if backlog.oldest_due else 0
    overdue.add_metric([], backlog.overdue)
    oldest.add_metric([], age)
    lower_bound.add_metric([], not backlog.complete)
    return list(families)
