"""The registry's metrics in CloudWatch's embedded metric format, for where nobody can scrape.

A container keeps its registry from one invocation to the next: counters and histograms go out as
what came in since the last time, gauges as they are, and nothing that has not changed. The limits
are those of AWS's specification of the format.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

NAMESPACE = "task-tracker"
# Whose metrics they are: what Prometheus adds as job and instance.
FUNCTION = "function"
MOST_VALUES = 100
UNITS = {"seconds": "Seconds", "bytes": "Bytes"}
# Collectors that are not for CloudWatch: Lambda reports memory and time of each invocation itself,
# the build's own metric names the Python, and collections say little of a process that sleeps.
LEFT_OUT = (ProcessCollector, PlatformCollector, GCCollector)

Labels = tuple[tuple[str, str], ...]
# What was last seen of a series, and the values to send of it.
Reading = tuple[Any, list[float]]


class Exporter:
    """Writes what has changed to standard output, where CloudWatch reads it from the log."""

    def __init__(self, registry: CollectorRegistry, function: str) -> None:
        self._function = function
        self.registry = registry
        collectors = registry._collector_to_names  # noqa: SLF001 - the registry lists them nowhere else
        self.families = [Family(each) for each in collectors if not isinstance(each, LEFT_OUT)]

    def flush(self) -> None:
        sys.stdout.writelines(f"{json.dumps(document)}\n" for document in self.documents())
        sys.stdout.flush()

    def documents(self) -> Iterator[dict[str, Any]]:
        """Give a document for each set of labels: all of its metrics have the same dimensions."""
        changed: dict[Labels, dict[Family, list[float]]] = {}
        for family in self.families:
            for labels, values in family.changes():
                changed.setdefault(labels, {})[family] = values
        for labels, metrics in changed.items():
            for start in range(0, max(map(len, metrics.values())), MOST_VALUES):
                stop = start + MOST_VALUES
                some = {family: values[start:stop] for family, values in metrics.items()}
                yield self._document(labels, {each: some[each] for each in some if some[each]})

    def _document(self, labels: Labels, metrics: dict["Family", list[float]]) -> dict[str, Any]:
        dimensions = {FUNCTION: self._function, **dict(labels)}
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": family.name, "Unit": family.unit} for family in metrics],
        }
        about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
        return {"_aws": about, **dimensions, **{each.name: metrics[each] for each in metrics}}


class Family:
    """One metric of the catalogue with all of its series.

    It reads their values from where the client keeps them: to collect all samples takes several
    times as long.
    """

    def __init__(self, metric: Any) -> None:
        (described,) = metric.describe()
        self.name = described.name + ("_total" if isinstance(metric, Counter) else "")
        self.unit = UNITS.get(described.name.rpartition("_")[2], "Count")
        self._metric = metric
        # A kind that is not known fails here, at start-up.
        self._read = READERS[type(metric)]
        self._seen: dict[tuple[str, ...], Any] = {}

    def changes(self) -> Iterator[tuple[Labels, list[float]]]:
        for values, child in self._children():
            self._seen[values], points = self._read(child, self._seen.get(values))
            if points:
                yield tuple(zip(self._metric._labelnames, values, strict=True)), points  # noqa: SLF001

    def _children(self) -> list[tuple[tuple[str, ...], Any]]:
        if not self._metric._labelnames:  # noqa: SLF001
            return [((), self._metric)]
        return list(self._metric._metrics.items())  # noqa: SLF001


def _counter(child: Any, seen: float | None) -> Reading:
    now = child._value.get()  # noqa: SLF001
    return now, [now - (seen or 0)] if now != (seen or 0) else []


def _gauge(child: Any, seen: float | None) -> Reading:
    now = child._value.get()  # noqa: SLF001
    return now, [now] if now != seen else []


def _histogram(child: Any, seen: tuple[float, list[float]] | None) -> Reading:
    now = child._sum.get(), [bucket.get() for bucket in child._buckets]  # noqa: SLF001
    if now == seen or not any(now[1]):
        return now, []
    total, counts = seen or (0, [0] * len(now[1]))
    new = [after - before for after, before in zip(now[1], counts, strict=True)]
    return now, spread(child._upper_bounds, new, now[0] - total)  # noqa: SLF001


READERS: dict[type, Callable[[Any, Any], Reading]] = {
    Counter: _counter,
    Gauge: _gauge,
    Histogram: _histogram,
}


def spread(bounds: Sequence[float], counts: Sequence[float], total: float) -> list[float]:
    """Find values of which each bucket has its count, and which add up to the total.

    All lie as far into their buckets as each other; a single one is therefore exact.
    """
    lowest = (0.0, *bounds[:-1])
    # The last bucket is open, but no value in it is larger than all together.
    highest = (*bounds[:-1], max(total, lowest[-1]))
    least = sum(count * low for count, low in zip(counts, lowest, strict=True))
    most = sum(count * high for count, high in zip(counts, highest, strict=True))
    share = min(max((total - least) / (most - least), 0), 1) if most > least else 1
    return [
        low + share * (high - low)
        for count, low, high in zip(counts, lowest, highest, strict=True)
        for _ in range(int(count))
    ]
