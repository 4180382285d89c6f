"""The app's metrics in CloudWatch's embedded metric format, for where Prometheus cannot scrape."""

# This module reads private attributes of prometheus_client: the public `registry.collect()` takes
# 2 ms of CPU, twice as long as a warm invocation.
# ruff: noqa: SLF001

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

NAMESPACE = "task-tracker"
FUNCTION = "function"
# AWS's limit for one metric in one document.
MAX_VALUES = 100
UNITS = {"seconds": "Seconds", "bytes": "Bytes"}

Labels = tuple[tuple[str, str], ...]
Metrics = dict[str, list[float]]


class Exporter:
    """Writes what has changed since the last flush to standard output, which CloudWatch reads."""

    def __init__(self, registry: CollectorRegistry, function: str) -> None:
        self.registry = registry
        self._function = function
        self._seen: dict[Any, list[float]] = {}

    def flush(self) -> None:
        sys.stdout.writelines(f"{json.dumps(document)}\n" for document in self.documents())
        sys.stdout.flush()

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield the documents; all metrics of a document have the same labels."""
        for labels, changed in self._changes().items():
            for start in range(0, max(map(len, changed.values())), MAX_VALUES):
                part = {name: each[start : start + MAX_VALUES] for name, each in changed.items()}
                yield self._document(labels, {name: part[name] for name in part if part[name]})

    def _changes(self) -> dict[Labels, Metrics]:
        changed: dict[Labels, Metrics] = {}
        for series in _series(self.registry):
            is_histogram = isinstance(series, Histogram)
            cells = [series._sum, *series._buckets] if is_histogram else [series._value]
            now = [cell.get() for cell in cells]
            before = self._seen.get(series) or [0.0] * len(now)
            if now != before:
                self._seen[series] = now
                labels = tuple(zip(series._labelnames, series._labelvalues, strict=True))
                changed.setdefault(labels, {})[_name(series)] = _values(series, now, before)
        return changed

    def _document(self, labels: Labels, metrics: Metrics) -> dict[str, Any]:
        dimensions = {FUNCTION: self._function, **dict(labels)}
        units = [{"Name": name, "Unit": _unit(name)} for name in metrics]
        directive = {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": units}
        about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
        return {"_aws": about, **dimensions, **metrics}


def _series(registry: CollectorRegistry) -> Iterator[Any]:
    """Yield the app's own metrics, by labels; other collectors describe the process."""
    for metric in registry._collector_to_names:
        if isinstance(metric, MetricWrapperBase):
            yield from list(metric._metrics.values()) if metric._labelnames else [metric]


def _name(series: Any) -> str:
    return f"{series._name}_total" if isinstance(series, Counter) else str(series._name)


def _unit(name: str) -> str:
    return UNITS.get(name.rpartition("_")[2], "Count")


def _values(series: Any, now: list[float], before: list[float]) -> list[float]:
    """Return the values to send: of a gauge the current one, otherwise what has been added."""
    if isinstance(series, Gauge):
        return now
    total, *counts = [after - earlier for after, earlier in zip(now, before, strict=True)]
    return spread(series._upper_bounds, counts, total) if counts else [total]


def spread(bounds: Sequence[float], counts: Sequence[float], total: float) -> list[float]:
    """Return as many values in each bucket as it counts, with the given total.

    All lie equally far into their buckets; a single value is therefore exact.
    """
    lowest = (0.0, *bounds[:-1])
    # The last bucket is open, but no value in it exceeds the total.
    highest = (*bounds[:-1], max(total, lowest[-1]))
    least = sum(count * low for count, low in zip(counts, lowest, strict=True))
    most = sum(count * high for count, high in zip(counts, highest, strict=True))
    share = min(max((total - least) / (most - least), 0), 1) if most > least else 1
    return [
        low + share * (high - low)
        for count, low, high in zip(counts, lowest, highest, strict=True)
        for _ in range(int(count))
    ]
