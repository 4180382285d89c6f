"""The routes of FastAPI's routers, as other modules look at them."""

from collections.abc import Iterable, Iterator

from fastapi import APIRouter
from fastapi.routing import APIRoute


def api_routes(routers: Iterable[APIRouter]) -> Iterator[APIRoute]:
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                yield route


def with_head(methods: set[str]) -> set[str]:
    """Add HEAD, which the middleware turns into GET."""
    return methods | {"HEAD"} if "GET" in methods else methods
