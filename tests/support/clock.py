"""A clock that a test moves."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self._now = datetime(2027, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self._now

    def advance(self, **by: float) -> None:
        """Go forward by some hours, minutes or seconds."""
        self._now += timedelta(**by)
