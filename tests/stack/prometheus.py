"""What a live Prometheus says."""

import math
import time
from typing import Any, Self

import httpx

from tests.support import questions, stack
from tests.support.processes import POLL_SECONDS

Labels = frozenset[tuple[str, str]]


class Prometheus:
    """Asks the Prometheus of the stack."""

    def __init__(self) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{stack.PROMETHEUS}/api/v1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, expression: str, at: float | None = None) -> dict[Labels, float]:
        """Evaluate an expression, now or at a time, and give each series' value."""
        when = {} if at is None else {"time": str(at)}
        data = self._get("/query", query=expression, **when)
        if data["resultType"] == "scalar":
            return {frozenset(): float(data["result"][1])}
        return {
            frozenset(series["metric"].items()): float(series["value"][1])
            for series in data["result"]
        }

    def value(self, expression: str, at: float | None = None) -> float:
        """Evaluate an expression that has one value."""
        (value,) = self.ask(expression, at).values()
        return value

    def course(self, expression: str, start: float, end: float, step: float) -> list[Any]:
        """Evaluate an expression over time."""
        course: list[Any] = self._get(
            "/query_range", query=expression, start=str(start), end=str(end), step=str(step)
        )["result"]
        return course

    def alerts(self) -> dict[tuple[str, str], str]:
        """Tell the state of each alert that is not inactive, by its name and window."""
        return {
            (alert["labels"]["alertname"], alert["labels"].get("window", "")): alert["state"]
            for alert in self._get("/alerts")["alerts"]
        }

    def missing(self, expression: str) -> set[str]:
        """Find the selectors of an expression that no series fits."""
        return {each for each in questions.selectors(expression) if not self.ask(each)}

    def wait_for_scrapes(self, number: int) -> None:
        """Wait until every target was scraped so many times from now."""
        before = self._scrapes()
        while self._scrapes() < before + number:
            time.sleep(POLL_SECONDS)

    def _scrapes(self) -> float:
        counted = 'min(count_over_time(up[1h]) and on (job) up{job=~"api|node|prometheus"})'
        return next(iter(self.ask(counted).values()), 0)

    def _get(self, path: str, **parameters: str) -> Any:
        response = self._http.get(path, params=parameters)
        answer = response.json()
        assert answer["status"] == "success", answer
        return answer["data"]


def is_shown(answer: dict[Labels, float]) -> bool:
    """Tell whether a panel would show this: something, and numbers only."""
    return bool(answer) and not any(math.isnan(value) for value in answer.values())
