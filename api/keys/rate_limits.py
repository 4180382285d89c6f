"""Token buckets: how often something may happen, counted in this process only."""

import math
from collections import OrderedDict
from typing import NamedTuple

from api.clock import Timer

MAX_BUCKETS = 10_000
# Floating-point rounding may make a token a little smaller than 1.
EPSILON = 1e-6


class BucketState(NamedTuple):
    """What a bucket holds; times are whole seconds, rounded up."""

    allowed: bool
    remaining: int
    reset_after: int
    retry_after: int


class TokenBuckets:
    """A bucket for each name: it holds a burst, and fills up at a constant rate.

    The number of buckets is bounded; the one unused for the longest time is dropped, and so
    counts as full.
    """

    def __init__(self, per_second: float, burst: int, timer: Timer) -> None:
        self.burst = burst
        self._per_second = per_second
        self._timer = timer
        # When each bucket is full again.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str) -> BucketState:
        """Take a token if there is one."""
        now = self._timer()
        fill_seconds = max(self._full_at.get(name, 0.0) - now, 0.0)
        allowed = self._tokens(fill_seconds) >= 1
        if allowed:
            fill_seconds += 1 / self._per_second
            self._store(name, now + fill_seconds)
        return self._state(fill_seconds, allowed)

    def owe(self, name: str, tokens: int) -> BucketState:
        """Take tokens that may not be there yet: the next one waits until all are paid."""
        now = self._timer()
        fill_seconds = max(self._full_at.get(name, 0.0) - now, 0.0) + tokens / self._per_second
        self._store(name, now + fill_seconds)
        return self._state(fill_seconds, allowed=True)

    def give_back(self, name: str) -> None:
        """Return a token that was taken; a bucket that was dropped since is full anyway."""
        if name in self._full_at:
            self._full_at[name] -= 1 / self._per_second

    def _store(self, name: str, full_at: float) -> None:
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        if len(self._full_at) > MAX_BUCKETS:
            self._full_at.popitem(last=False)

    def _tokens(self, fill_seconds: float) -> float:
        return self.burst - fill_seconds * self._per_second + EPSILON

    def _state(self, fill_seconds: float, allowed: bool) -> BucketState:
        tokens = self._tokens(fill_seconds)
        return BucketState(
            allowed=allowed,
            remaining=max(int(tokens), 0),
            reset_after=math.ceil(fill_seconds - EPSILON),
            retry_after=max(math.ceil((1 - tokens) / self._per_second), 0),
        )
