"""What all connections of a process share: their number, the memory they hold, the checks."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from api.http.in_flight import InFlight
from api.limits import Limits
from api.metrics import METHODS, OTHER_METHOD, SHED, Metrics

# This host's own addresses, for which connections are reserved: health checks and Prometheus.
LOCAL = frozenset({"127.0.0.1", "::1"})

logger = logging.getLogger(__name__)


class LimitedConnection(Protocol):
    """A connection as this module sees it."""

    @property
    def network(self) -> str:
        """The client's address, or its IPv6 network."""
        ...

    @property
    def awaits_client(self) -> bool:
        """Whether it waits for its client to send or to read."""
        ...

    def check(self, now: float) -> None: ...

    def abort(self, reason: str) -> None: ...

    def abort_for_memory(self) -> None: ...


class Load:
    """All connections of a process, and the requests that its app has begun.

    While no proxy is trusted, a connection's peer is its client, and the number of each client's
    connections is limited.
    """

    def __init__(
        self,
        metrics: Metrics,
        limits: Limits,
        in_flight: InFlight,
        trusted_hops: int,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        # Ends the requests that wait.
        self.stop = stop
        self.metrics = metrics
        self.limits = limits
        self.trusted_hops = trusted_hops
        self._in_flight = in_flight
        self._connections: set[LimitedConnection] = set()
        self._per_client: Counter[str] = Counter()
        # Requests in the app by client, whether they turn out to be authorized or not.
        self._begun: Counter[str] = Counter()
        # Connections between two requests, the longest idle first.
        self._idle: dict[LimitedConnection, None] = {}
        # Bytes of requests in progress and unread responses, the first to begin first.
        self._held: dict[LimitedConnection, int] = {}
        self._held_total = 0
        self._check_scheduled = False
        self._shed = 0
        metrics.initialise_connections()
        # Looked up once: shedding must be cheap. It also starts the series at 0.
        self._shed_series = {
            method: metrics.requests.labels(method, SHED, "503")
            for method in (*METHODS, OTHER_METHOD)
        }

    def must_shed(self, client: str) -> bool:
        """Return whether a request is refused before the app works on it, which is cheap."""
        return self._in_flight.is_full or self._begun[client] >= self.limits.in_flight_each

    def begin(self, client: str) -> None:
        self._begun[client] += 1

    def end(self, client: str) -> None:
        _decrement(self._begun, client)

    def add(self, connection: LimitedConnection) -> None:
        """Add a connection; where there is no room, abort the longest idle one, or this one."""
        network = connection.network
        self._connections.add(connection)
        self._per_client[network] += 1
        self._schedule_check()
        self.metrics.connections.inc()
        if network in LOCAL:
            if len(self._connections) > self.limits.connections + self.limits.reserved_connections:
                connection.abort("too_many")
        elif self._has_too_many(network):
            connection.abort("too_many")
        elif len(self._connections) > self.limits.connections:
            longest_idle = next(iter(self._idle), connection)
            self.busy(longest_idle)
            longest_idle.abort("too_many")

    def _has_too_many(self, network: str) -> bool:
        most = self.limits.connections_per_client
        return self.trusted_hops == 0 and self._per_client[network] > most

    def remove(self, connection: LimitedConnection) -> None:
        self._connections.discard(connection)
        _decrement(self._per_client, connection.network)
        self.busy(connection)
        self.release(connection)
        self.metrics.connections.dec()

    def idle(self, connection: LimitedConnection) -> None:
        if connection.network not in LOCAL:
            self._idle[connection] = None

    def busy(self, connection: LimitedConnection) -> None:
        self._idle.pop(connection, None)

    def hold(self, connection: LimitedConnection, held_bytes: int) -> None:
        """Note what a connection holds; while it is too much, abort those that began first.

        Requests that have arrived as a whole are processed, unless nothing else is held.
        """
        self._held_total += held_bytes - self._held.get(connection, 0)
        self._held[connection] = held_bytes
        while self._held_total > self.limits.held_bytes:
            first = next((each for each in self._held if each.awaits_client), connection)
            self.release(first)
            first.abort_for_memory()

    def release(self, connection: LimitedConnection) -> None:
        self._held_total -= self._held.pop(connection, 0)

    def count_shed(self, method: str) -> None:
        """Count a shed request; the log gets one line for each check, not for each request."""
        self._shed += 1
        self._shed_series[method if method in METHODS else OTHER_METHOD].inc()

    def _schedule_check(self) -> None:
        if not self._check_scheduled:
            self._check_scheduled = True
            loop = asyncio.get_running_loop()
            loop.call_later(self.limits.check_interval_seconds, self._check)

    def _check(self) -> None:
        self._check_scheduled = False
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections):
            connection.check(now)
        if self._shed:
            logger.warning("shed", extra={"fields": {"requests": self._shed}})
            self._shed = 0
        if self._connections:
            self._schedule_check()


def _decrement(counter: Counter[str], name: str) -> None:
    """Decrement a count, and forget the name at zero: there are many names over time."""
    counter[name] -= 1
    if not counter[name]:
        del counter[name]
