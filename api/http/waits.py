"""Requests that wait until something happens: they hold no slot of those that work."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.types import Receive, Scope

from api.http.context import RequestContext
from api.http.in_flight import InFlight
from api.limits import Limits
from api.metrics import Metrics

# The entry of an ASGI scope in which a connection offers to count a request no longer.
RELEASE = "task_tracker.release"

T = TypeVar("T")


class Waits:
    """The slots of waiting requests, shared fairly."""

    def __init__(self, metrics: Metrics, in_flight: InFlight, limits: Limits) -> None:
        self._metrics = metrics
        self._in_flight = in_flight
        self._slots = InFlight(limits.waiting, limits.waiting_each)

    @contextmanager
    def slot(self, scope: Scope) -> Iterator[None]:
        """Hold a waiting slot, and release the one in flight.

        Raises:
            Overloaded: all slots are taken, or all that one holder may have.
        """
        context = RequestContext.of(scope)
        holders = context.holders or ()
        self._slots.enter(holders)
        try:
            if context.holders is not None:
                self._in_flight.leave(holders)
                context.holders = None
            if (release := scope.get(RELEASE)) is not None:
                release()
            with self._counted():
                yield
        finally:
            self._slots.leave(holders)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a request as waiting, and not as being processed."""
        self._metrics.in_flight.dec()
        self._metrics.waiting.inc()
        try:
            yield
        finally:
            self._metrics.waiting.dec()
            self._metrics.in_flight.inc()


async def receive_body(receive: Receive) -> None:
    """Receive and drop the request's body; the next message is that the client leaves.

    Raises:
        RequestTimeout: it did not arrive in time.
        BodyTooLarge: it exceeds the limit.
    """
    while (await receive()).get("more_body", False):
        pass


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of work, or None if the client has left before; work is cancelled then."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_disconnect(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
