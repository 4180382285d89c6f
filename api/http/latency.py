"""Which routes the latency objective counts: all but those that take as long as their work."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from fastapi import APIRouter

from api.http.routing import api_routes

_MARK = "slow_by_design"

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def slow_by_design(endpoint: Endpoint) -> Endpoint:
    """Declare that an endpoint's duration depends on what is asked of it.

    The rules of monitoring/prometheus/slo.py leave its route out of the latency objective; its
    failures count. `make dashboards` writes them.
    """
    setattr(endpoint, _MARK, True)
    return endpoint


def slow_routes(routers: Iterable[APIRouter]) -> list[str]:
    """Return the label `route` of each route whose endpoints are all declared slow.

    Raises:
        ValueError: a route is slow with one method only, which the latency's label cannot show.
    """
    slow: dict[str, set[bool]] = {}
    for route in api_routes(routers):
        slow.setdefault(route.path, set()).add(hasattr(route.endpoint, _MARK))
    if mixed := [path for path, marks in slow.items() if len(marks) > 1]:
        raise ValueError(f"slow with one method only: {mixed}")
    return sorted(path for path, marks in slow.items() if marks == {True})
