"""One page of a list, read from the streams of its plan."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic_core import to_json
from pynamodb.connection.table import TableConnection

from api.dynamodb.item_json import Item
from api.tasks.query_plan import QueryPlan, Stream

# The price of a page: 1 000 rows of 1 KB are 125 read units.
MAX_ROWS_READ = 1000
# The start key of a comment in an index is not known whole, so that it may be found once more.
MIN_ROWS = 2
# Fewer tasks of rare statuses are read whole: 32 rows of 1 KB are 4 read units.
MAX_RARE_ROWS = 32
# The memory of a page, about: it ends early when its tasks are large.
MAX_PAGE_BYTES = 256 * 1024


@dataclass(slots=True)
class StreamReader:
    """How far one stream was read."""

    stream: Stream
    read_to: str | None
    # How many rows the next query reads.
    rows: int
    items: list[Item] = field(default_factory=list)
    # Whether this page has read from it, and whether nothing is left in it.
    started: bool = False
    ended: bool = False


class PageReader:
    """Reads one page after a position.

    A page ends before the position up to which every stream was read, so that no stream's items
    are passed over. A filter can make it short: the number of rows read is bounded.
    """

    def __init__(
        self, table: TableConnection, plan: QueryPlan, limit: int, position: str | None
    ) -> None:
        self._table = table
        self._plan = plan
        self._limit = limit
        self._start = position
        rank = plan.rank(position) if position else 0
        # One item more than the page holds shows whether there is a next page.
        self._readers = [
            StreamReader(stream, position if stream.rank == rank else None, limit + 1)
            for stream in plan.streams
            if stream.rank >= rank
        ]
        self._rows_read = 0
        self._bytes_read = 0

    def read(self) -> tuple[list[Item], str | None]:
        """Return the page's items, and the position after which the next one begins."""
        found, behind = self._read_rare(), None
        if found is None:
            found, behind = self._read_streams()
        limit = self._limit
        if self._bytes_read > MAX_PAGE_BYTES:
            limit = min(limit, _fitting([item for _, item in found]))
        if len(found) > limit:
            position: str | None = found[limit - 1][0]
        else:
            position = behind.read_to if behind else None
        return [item for _, item in found[:limit]], position

    def _read_streams(self) -> tuple[list[tuple[str, Item]], StreamReader | None]:
        while True:
            behind = self._furthest_behind()
            found = self._found_up_to(behind)
            if behind is None or len(found) > self._limit:
                return found, behind
            if behind.started and self._is_spent:
                return found, behind
            self._read_on(behind)

    def _read_rare(self) -> list[tuple[str, Item]] | None:
        """Return all that is left of the list if few tasks have its statuses."""
        if self._plan.rare is None:
            return None
        # A task that moved between two reads is in both.
        items: dict[str, Item] = {}
        rows, size = 0, 0
        for stream in self._plan.rare.streams:
            arguments = self._plan.rare.query(stream, None)
            response = self._table.query(limit=MAX_RARE_ROWS - rows, **arguments)
            if "LastEvaluatedKey" in response:
                return None
            items |= {item["sk"]["S"]: item for item in response["Items"]}
            rows += response["ScannedCount"]
            size += response["ResponseMetadata"]["ResponseBytes"]
        self._bytes_read = size
        return self._after_start(items.values())

    def _after_start(self, items: Iterable[Item]) -> list[tuple[str, Item]]:
        """Return the items that follow the page's start, in order, each with its position."""
        rows = [(self._plan.position(item), item) for item in items]
        rows.sort(key=lambda row: row[0], reverse=not self._plan.ascending)
        rows.sort(key=lambda row: self._plan.rank(row[0]))
        return [row for row in rows if self._start is None or self._follows(row[0], self._start)]

    def _follows(self, position: str, start: str) -> bool:
        rank, first_rank = self._plan.rank(position), self._plan.rank(start)
        if rank != first_rank:
            return rank > first_rank
        return position > start if self._plan.ascending else position < start

    @property
    def _is_spent(self) -> bool:
        return self._rows_read >= MAX_ROWS_READ or self._bytes_read >= MAX_PAGE_BYTES

    def _furthest_behind(self) -> StreamReader | None:
        """Return the stream to read next: no item after its position may be returned yet."""
        unfinished = [reader for reader in self._readers if not reader.ended]
        if not unfinished:
            return None
        rank = min(reader.stream.rank for reader in unfinished)
        merged = [reader for reader in unfinished if reader.stream.rank == rank]
        unread = (reader for reader in merged if not reader.started)
        first = min if self._plan.ascending else max
        return next(unread, None) or first(merged, key=lambda reader: reader.read_to or "")

    def _found_up_to(self, behind: StreamReader | None) -> list[tuple[str, Item]]:
        """Return the items that can be returned, in order, each with its position.

        A task that moved between two reads is in both streams; it is returned once.
        """
        found: dict[str, tuple[str, Item]] = {}
        for rank in sorted({reader.stream.rank for reader in self._readers}):
            rows = [
                (reader.stream.position(item), item)
                for reader in self._readers
                if reader.stream.rank == rank
                for item in reader.items
            ]
            rows.sort(key=lambda row: row[0], reverse=not self._plan.ascending)
            for position, item in rows:
                if self._is_reached(rank, position, behind):
                    found.setdefault(item["sk"]["S"], (position, item))
        return list(found.values())

    def _is_reached(self, rank: int, position: str, behind: StreamReader | None) -> bool:
        if behind is None or rank < behind.stream.rank:
            return True
        if rank > behind.stream.rank or behind.read_to is None:
            return False
        ascending = self._plan.ascending
        return position <= behind.read_to if ascending else position >= behind.read_to

    def _read_on(self, reader: StreamReader) -> None:
        # A stream that nothing was read from yet holds the page up: a row moves it on.
        rows = 0 if self._is_spent else min(reader.rows, MAX_ROWS_READ - self._rows_read)
        before, position = reader.read_to, reader.stream.position
        arguments = self._plan.query(reader.stream, before)
        response = self._table.query(limit=max(rows, MIN_ROWS), **arguments)
        self._rows_read += response["ScannedCount"]
        self._bytes_read += response["ResponseMetadata"]["ResponseBytes"]
        last_key = response.get("LastEvaluatedKey")
        reader.read_to = position(last_key) if last_key else None
        reader.items += [item for item in response["Items"] if position(item) != before]
        reader.rows *= 2
        reader.started, reader.ended = True, last_key is None


def _fitting(items: list[Item]) -> int:
    """Return how many items fit into a page, at least one."""
    total = 0
    for number, item in enumerate(items):
        total += len(to_json(item))
        if total > MAX_PAGE_BYTES:
            return max(number, 1)
    return len(items)
