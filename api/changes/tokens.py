"""Tokens: how far a client has read the feed, signed as cursors are.

A token never passes the horizon. A write is stamped before it is stored, and the index shows it
later still: what is older than the horizon is complete, what is younger is delivered, and read
again with the next request. The token therefore also names what was delivered above the horizon.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from api.changes.errors import FeedExpired
from api.clock import Clock
from api.cursor import Cursors
from api.dynamodb.retry import REQUEST_SECONDS
from api.errors import InvalidCursor
from api.tasks.updates import TOMBSTONE_LIFETIME
from api.values import rfc3339

# How long an index takes to show a write, and how far the clocks of two processes may differ.
INDEX_LAG_SECONDS = 4
CLOCK_SKEW_SECONDS = 3
# A write that is stamped now is seen by every reader after so long. The first part is the deadline
# of a request, which begins with the stamp of its write.
HORIZON = timedelta(seconds=REQUEST_SECONDS + INDEX_LAG_SECONDS + CLOCK_SKEW_SECONDS)
# A tombstone must outlive the tokens from before the deletion.
MAX_AGE = TOMBSTONE_LIFETIME - HORIZON
# Changes above the horizon that a token names; further ones wait until they are below it.
MAX_SEEN = 200
TIME_LENGTH = len("2027-01-01T00:00:00.000Z")
POSITION_LENGTH = TIME_LENGTH + len("#01ARZ3NDEKTSV4RRFFQ69G5FAV")
REVISION_BYTES = 8
TIME_BYTES = 4
SEEN_BYTES = REVISION_BYTES + TIME_BYTES
# Sorts before every id.
NO_ID = "#" + "0" * 26


class Seen(NamedTuple):
    """A change that was delivered above the horizon: its revision, and its time in seconds."""

    revision: str
    seconds: int

    def pack(self) -> bytes:
        return bytes.fromhex(self.revision) + self.seconds.to_bytes(TIME_BYTES, "big")

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        revision, seconds = packed[:REVISION_BYTES], packed[REVISION_BYTES:]
        return cls(revision.hex(), int.from_bytes(seconds, "big"))


class Token(NamedTuple):
    """Everything up to a position of the order by update was delivered, and some beyond it."""

    position: str
    seen: tuple[Seen, ...] = ()

    @classmethod
    def at_horizon(cls, now: datetime) -> Self:
        return cls(horizon(now))

    def pack(self) -> bytes:
        return self.position.encode() + b"".join(seen.pack() for seen in self.seen)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        position, rest = packed[:POSITION_LENGTH], packed[POSITION_LENGTH:]
        return cls(position.decode(), tuple(_unpack_seen(rest)))

    def is_valid(self, now: datetime) -> bool:
        """Return whether all deletions since are known; a token of the future was never made."""
        return rfc3339(now - MAX_AGE) < self.position[:TIME_LENGTH] <= rfc3339(now)

    def seen_after(self, position: str) -> tuple[Seen, ...]:
        """Return what was delivered beyond a position, or in the same second."""
        first = seconds_of(position)
        return tuple(seen for seen in self.seen if seen.seconds >= first)


class Tokens:
    """Converts tokens to the text that clients get, and back."""

    def __init__(self, cursors: Cursors, clock: Clock) -> None:
        self._cursors = cursors
        self._clock = clock

    def seal(self, token: Token, context: str) -> str:
        return self._cursors.seal_bytes(token.pack(), context)

    def open(self, text: str, context: str) -> Token:
        """Return a valid token.

        Raises:
            FeedExpired: it is too old, or not one of this feed.
        """
        now = self._clock()
        try:
            token = Token.unpack(self._cursors.open_bytes(text, context))
        except InvalidCursor:
            token = None
        if token is None or not token.is_valid(now):
            raise FeedExpired(self.seal(Token.at_horizon(now), context))
        return token


def horizon(now: datetime) -> str:
    """Return the position up to which all changes are stored and in the index."""
    return rfc3339(now - HORIZON) + NO_ID


def seconds_of(position: str) -> int:
    """Return the time of a position in whole seconds since 1970."""
    return int(datetime.fromisoformat(position[:TIME_LENGTH]).timestamp())


def _unpack_seen(packed: bytes) -> Iterator[Seen]:
    for start in range(0, len(packed), SEEN_BYTES):
        yield Seen.unpack(packed[start : start + SEEN_BYTES])
