"""The latest changes of one workspace, from which all requests that wait for them are served."""

from datetime import datetime, timedelta

from pydantic_core import to_json

from api.changes.feed import Page, page_after, plan_changes, position_of, selects
from api.changes.models import ChangesQuery
from api.changes.tokens import Token, horizon
from api.dynamodb.item_json import Item
from api.tasks.pages import MAX_PAGE_BYTES

# Longer than a request waits: its token, and that of one that comes again at once, are covered.
KEPT = timedelta(seconds=60)


class Recent:
    """The changes after a position, as the last look at the feed has shown them."""

    def __init__(self, now: datetime) -> None:
        # How far the feed was read, and what was delivered above the horizon.
        self.token = Token.at_horizon(now - KEPT)
        # All changes after this position are here.
        self._since = self.token.position
        # Of each task and comment the latest state, with its size in bytes.
        self._items: dict[str, tuple[Item, int]] = {}
        self._bytes = 0

    def add(self, page: Page, now: datetime) -> None:
        """Add what a look found, and drop what is old, or more than one page may hold."""
        self.token = page.token
        for item in page.items:
            self._put(item)
        self._since = max(self._since, horizon(now - KEPT))
        for position, key in sorted((position_of(item), key) for key, item in self._all()):
            if position > self._since and self._bytes <= MAX_PAGE_BYTES:
                break
            self._since = max(self._since, position)
            self._remove(key)

    def covers(self, token: Token) -> bool:
        """Return whether everything after a token is here."""
        return token.position >= self._since

    def page(self, workspace: str, query: ChangesQuery, token: Token) -> Page:
        """Return what a read of the feed would have returned at the time of the last look."""
        plan = plan_changes(workspace, query, token)
        after = (item for _, item in self._all() if position_of(item) > token.position)
        items = sorted((item for item in after if selects(plan, item)), key=position_of)
        has_more = len(items) > query.limit
        next_position = position_of(items[query.limit - 1]) if has_more else None
        return page_after(token, items[: query.limit], next_position, self.token.position)

    def _all(self) -> list[tuple[str, Item]]:
        return [(key, item) for key, (item, _) in self._items.items()]

    def _put(self, item: Item) -> None:
        key = item["sk"]["S"]
        # An index may show an older state after a newer one.
        if key in self._items and _version(self._items[key][0]) > _version(item):
            return
        self._remove(key)
        self._items[key] = item, len(to_json(item))
        self._bytes += self._items[key][1]

    def _remove(self, key: str) -> None:
        if key in self._items:
            self._bytes -= self._items.pop(key)[1]


def _version(item: Item) -> int:
    return int(item["version"]["N"])
