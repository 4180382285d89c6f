"""A client for the stack's Prometheus."""

import math
import time
from typing import Any, Self

import httpx

from api.local.processes import POLL_SECONDS
from monitoring import local_stack
from tests.support import promql_queries

SCRAPE_SECONDS = 15
# How much later than expected a scrape may come on a busy machine.
MAX_DELAY_SECONDS = 60

Labels = frozenset[tuple[str, str]]


class Prometheus:
    """Queries Prometheus' HTTP API."""

    def __init__(self) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{local_stack.PROMETHEUS}/api/v1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def query(self, expression: str, at: float | None = None) -> dict[Labels, float]:
        """Return the value of each series, now or at a Unix time."""
        when = {} if at is None else {"time": str(at)}
        data = self._get("/query", query=expression, **when)
        if data["resultType"] == "scalar":
            return {frozenset(): float(data["result"][1])}
        return {
            frozenset(series["metric"].items()): float(series["value"][1])
            for series in data["result"]
        }

    def value(self, expression: str, at: float | None = None) -> float:
        """Return the value of an expression with a single series."""
        (value,) = self.query(expression, at).values()
        return value

    def query_range(self, expression: str, start: float, end: float) -> list[Any]:
        """Return the values of each series between two Unix times, one per scrape."""
        data = self._get(
            "/query_range", query=expression, start=start, end=end, step=SCRAPE_SECONDS
        )
        result: list[Any] = data["result"]
        return result

    def alerts(self) -> dict[tuple[str, str], str]:
        """Return the state of each pending or firing alert, by its name and window."""
        return {
            (alert["labels"]["alertname"], alert["labels"].get("window", "")): alert["state"]
            for alert in self._get("/alerts")["alerts"]
        }

    def missing(self, expression: str) -> set[str]:
        """Return the selectors of an expression that match no series."""
        return {each for each in promql_queries.selectors(expression) if not self.query(each)}

    def wait_for_scrapes(self, count: int) -> None:
        """Wait until every target was scraped so many more times.

        Raises:
            TimeoutError: the scrapes did not happen in time.
        """
        expected = self._scrapes() + count
        deadline = time.monotonic() + count * SCRAPE_SECONDS + MAX_DELAY_SECONDS
        while self._scrapes() < expected:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Fewer than {count} scrapes of each target")
            time.sleep(POLL_SECONDS)

    def _scrapes(self) -> float:
        scrapes = 'min(count_over_time(up[1h]) and on (job) up{job=~"api|node|prometheus"})'
        return next(iter(self.query(scrapes).values()), 0)

    def _get(self, path: str, **parameters: str | float) -> Any:
        body = self._http.get(path, params=parameters).json()
        assert body["status"] == "success", body
        return body["data"]


def has_data(result: dict[Labels, float]) -> bool:
    """Return whether a panel would show this result: at least one series, and no NaN."""
    return bool(result) and not any(math.isnan(value) for value in result.values())
