"""Token buckets: how often something may be done, counted in this process alone."""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

MOST_BUCKETS = 10_000
HAIR = 1e-6


class Level(NamedTuple):
    """What is left in a bucket, and when there is more; times are whole seconds, rounded up."""

    allowed: bool
    remaining: int
    full_in: int
    next_in: int


class Buckets:
    """A bucket for each name: it holds a burst, and fills up at a rate.

    So many are kept at most; the one that was longest untouched is forgotten, which is to say full.
    """

    def __init__(self, per_second: float, burst: int, timer: Callable[[], float]) -> None:
        self.burst = burst
        self._per_second = per_second
        self._timer = timer
        # For each name, when its bucket is full again.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def look(self, name: str) -> Level:
        """Tell whether there is anything in a bucket, and leave it."""
        return self._level(max(self._full_at.get(name, 0.0) - self._timer(), 0.0))

    def take(self, name: str) -> Level:
        """Take one from a bucket, if it holds one."""
        now = self._timer()
        lacking = max(self._full_at.get(name, 0.0) - now, 0.0)
        before = self._level(lacking)
        if not before.allowed:
            return before
        lacking += 1 / self._per_second
        self._keep(name, now + lacking)
        return self._level(lacking)._replace(allowed=True)

    def _keep(self, name: str, full_at: float) -> None:
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        if len(self._full_at) > MOST_BUCKETS:
            self._full_at.popitem(last=False)

    def _level(self, lacking_seconds: float) -> Level:
        # Rounding may cut a token by a hair.
        tokens = self.burst - lacking_seconds * self._per_second + HAIR
        return Level(
            allowed=tokens >= 1,
            remaining=max(int(tokens), 0),
            full_in=math.ceil(lacking_seconds - HAIR),
            next_in=max(math.ceil((1 - tokens) / self._per_second), 0),
        )
