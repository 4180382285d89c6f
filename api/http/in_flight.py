"""The authorized requests that are being processed, shared fairly."""

from api.errors import Overloaded


class InFlight:
    """Counts requests that were authorized and have arrived as a whole.

    Requests that are refused, and probes, take no slot from those that do work.
    """

    def __init__(self, limit: int, limit_each: int) -> None:
        self._limit = limit
        self._limit_each = limit_each
        self._total = 0
        self._by_holder: dict[str, int] = {}

    @property
    def is_full(self) -> bool:
        return self._total >= self._limit

    def enter(self, holders: tuple[str, ...]) -> None:
        """Take a slot in the names of an API key and a client.

        Raises:
            Overloaded: all slots are taken, or all that one holder may have.
        """
        held = self._by_holder
        if self.is_full or any(held.get(holder, 0) >= self._limit_each for holder in holders):
            raise Overloaded
        self._total += 1
        for holder in holders:
            held[holder] = held.get(holder, 0) + 1

    def leave(self, holders: tuple[str, ...]) -> None:
        self._total -= 1
        for holder in holders:
            self._by_holder[holder] -= 1
            if not self._by_holder[holder]:
                del self._by_holder[holder]
