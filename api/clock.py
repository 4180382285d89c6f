"""The two clocks of the process, as functions that tests can replace."""

from collections.abc import Callable
from datetime import UTC, datetime

# The wall clock, in UTC.
Clock = Callable[[], datetime]
# A monotonic clock, in seconds.
Timer = Callable[[], float]


def system_clock() -> datetime:
    return datetime.now(UTC)
