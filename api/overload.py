"""How much of everything there may be at once, and what all connections of a process share.

docs/overload.md says what each limit is for; a test compares the two.
"""

import asyncio
import logging
from typing import NamedTuple, Protocol

from api.addresses import is_loopback
from api.metrics import METHODS, OTHER_METHOD, SHED, Metrics

logger = logging.getLogger(__name__)


class Limits(NamedTuple):
    """What a client may take of this process; times in seconds, sizes in bytes."""

    # A phone in a tunnel needs seconds for its head, and nobody needs longer.
    head_seconds: float = 10
    # The largest body at 7 KB/s.
    body_seconds: float = 20
    # 64 KB of an answer are read by then, or the reader is too slow.
    write_seconds: float = 30
    # A client that was refused may read why, and send what was on its way.
    linger_seconds: float = 2
    # Longer than AWS's load balancers keep a connection (60), which else send into closed ones.
    idle_seconds: float = 75
    head_bytes: int = 16 * 1024
    head_fields: int = 100
    # Of a body that nobody wants any more.
    discarded_bytes: int = 1024 * 1024
    # Of all answers together that their clients have not read yet.
    unread_bytes: int = 64 * 1024 * 1024
    # Requests of one connection that wait for the one before.
    pipelined: int = 16
    # Each has a file descriptor and some kilobytes.
    connections: int = 4096
    # More of them from this host: health checks and Prometheus come whatever there is to do.
    reserved_connections: int = 64
    # 64 can be under way to DynamoDB (loop_wire.CONNECTIONS), as many wait for their turn.
    in_flight: int = 128
    # How exact the times above are.
    watch_seconds: float = 1


LIMITS = Limits()


class Watched(Protocol):
    """A connection, as far as it is watched over."""

    @property
    def unread_bytes(self) -> int: ...

    def check(self, now: float) -> None: ...

    def end(self, reason: str) -> None: ...


class Load:
    """All connections of a process, and the requests that it works on."""

    def __init__(self, metrics: Metrics, limits: Limits) -> None:
        self.metrics = metrics
        self.limits = limits
        # A request whose body is still on its way is no work yet, or slow senders fill the house.
        self.working: set[object] = set()
        self._connections: set[Watched] = set()
        # In the order in which their clients began to lag.
        self._lagging: dict[Watched, None] = {}
        self._is_watched = False
        self._shed = 0
        metrics.expect_connections()
        # Made once, which begins them at 0; nothing is looked up where a request is refused.
        self._shed_series = {
            method: metrics.requests.labels(method, SHED, "503")
            for method in (*METHODS, OTHER_METHOD)
        }

    @property
    def is_full(self) -> bool:
        return len(self.working) >= self.limits.in_flight

    def has_room(self, peer: str) -> bool:
        """Tell whether a connection may stay that has been entered."""
        reserved = self.limits.reserved_connections if is_loopback(peer) else 0
        return len(self._connections) <= self.limits.connections + reserved

    def enter(self, connection: Watched) -> None:
        self._connections.add(connection)
        self._keep_watching()
        self.metrics.connections.inc()

    def leave(self, connection: Watched) -> None:
        self._connections.discard(connection)
        self.caught_up(connection)
        self.metrics.connections.dec()

    def lags(self, connection: Watched) -> None:
        """Note a client that does not read, and end the longest to do so if it gets too much."""
        self._lagging[connection] = None
        while sum(one.unread_bytes for one in self._lagging) > self.limits.unread_bytes:
            first = next(iter(self._lagging))
            self.caught_up(first)
            first.end("slow_reader")

    def caught_up(self, connection: Watched) -> None:
        self._lagging.pop(connection, None)

    def shed(self, method: str) -> None:
        """Count a request that is refused before it is looked at; the log has a line a second."""
        self._shed += 1
        self._shed_series[method if method in METHODS else OTHER_METHOD].inc()

    def _keep_watching(self) -> None:
        if not self._is_watched:
            self._is_watched = True
            asyncio.get_running_loop().call_later(self.limits.watch_seconds, self._watch)

    def _watch(self) -> None:
        self._is_watched = False
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections):
            connection.check(now)
        if self._shed:
            logger.warning("shed", extra={"fields": {"requests": self._shed}})
            self._shed = 0
        if self._connections:
            self._keep_watching()
