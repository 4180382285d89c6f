"""How many tasks are open and overdue, counted at a bounded price (docs/decisions/0029)."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from pynamodb.connection.table import TableConnection

from api.dynamodb.item_json import Item
from api.dynamodb.run_on_loop import run_on_loop
from api.dynamodb.transport import Transport
from api.tasks.models import State
from api.tasks.table import state_partition

# The price of a round in request units, and what of it the lease and the workspaces' record cost.
MAX_UNITS = 500
RECORD_UNITS = 6
PAGE_ROWS = 100
# A page has at most 1 MB, and one more task.
MAX_PAGE_UNITS = 136


class Page(NamedTuple):
    """Some of a workspace's open tasks, what comes after them, and what they cost."""

    items: list[Item]
    last_key: Item | None
    units: float


@dataclass(slots=True)
class Backlog:
    """The open tasks that were counted."""

    now: str
    # By status and priority.
    open: Counter[tuple[str, str]] = field(default_factory=Counter)
    overdue: int = 0
    # The due time of the oldest overdue task.
    oldest_due: str | None = None
    # Whether all open tasks were counted; otherwise the numbers are lower bounds.
    complete: bool = False

    def add(self, items: Iterable[Item]) -> None:
        for item in items:
            self.open[item["status"]["S"], item["priority"]["S"]] += 1
            if "due_at" in item and item["due_at"]["S"] < self.now:
                self._add_overdue(item["due_at"]["S"])

    def _add_overdue(self, due_at: str) -> None:
        self.overdue += 1
        self.oldest_due = min(self.oldest_due or due_at, due_at)


class BacklogRepository:
    """The open tasks of a workspace, soonest due first."""

    def __init__(self, table: TableConnection, transport: Transport) -> None:
        self._table = table
        self.transport = transport

    @run_on_loop
    def page(self, workspace: str, after: Item | None) -> Page:
        response = self._table.query(
            state_partition(workspace, State.OPEN),
            index_name="all_due",
            attributes_to_get=["status", "priority", "due_at"],
            limit=PAGE_ROWS,
            exclusive_start_key=after,
        )
        units = response["ConsumedCapacity"]["CapacityUnits"]
        return Page(response["Items"], response.get("LastEvaluatedKey"), float(units))


async def count(repository: BacklogRepository, workspaces: Iterable[str], now: str) -> Backlog:
    """Count page by page, a page of each workspace in turn.

    The overdue tasks come first, so that the price ends what is least urgent.
    """
    backlog, spent = Backlog(now), float(RECORD_UNITS)
    left: deque[tuple[str, Item | None]] = deque((each, None) for each in workspaces)
    while left and spent + MAX_PAGE_UNITS <= MAX_UNITS:
        workspace, after = left.popleft()
        page = await repository.page(workspace, after)
        backlog.add(page.items)
        spent += page.units
        if page.last_key is not None:
            left.append((workspace, page.last_key))
    backlog.complete = not left
    return backlog
