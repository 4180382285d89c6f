"""A clock that stands still until a test advances it."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Returns the same time until it is advanced."""

    def __init__(self) -> None:
        self._now = datetime(2027, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self._now

    def advance(self, **by: float) -> None:
        """Advance by the arguments of a timedelta, such as hours or seconds."""
        self._now += timedelta(**by)
