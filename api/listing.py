"""Which index serves a list, and what is left for a filter to drop."""

from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

from pynamodb.expressions.condition import Condition

from api.models import TaskQuery
from api.table import RANKS, TASK, UNDATED, TaskItem, partition, scope

if TYPE_CHECKING:
    from pynamodb.attributes import Attribute

ID_LENGTH = 26
ORDERS = {
    "created": "sk",
    "updated": "updated_order",
    "due": "due_order",
    "priority": "priority_order",
}
# Narrowest first: one person has fewer tasks than one project, and a project than a status.
NARROWING = ("assignee", "project", "status")
EQUALITIES: "dict[str, Attribute[Any]]" = {
    "assignee": TaskItem.assignee,
    "project": TaskItem.project,
    "status": TaskItem.status,
    "priority": TaskItem.priority,
}


@dataclass(frozen=True, slots=True)
class Listing:
    """One partition of one index, read in one direction."""

    index: str
    scope_attribute: str
    partition: str
    table_partition: str
    order_attribute: str
    ascending: bool
    range_condition: Condition | None
    filter_condition: Condition | None

    def query(self, position: str | None) -> dict[str, Any]:
        """Say what PynamoDB's query wants, to read on behind a position."""
        return {
            "hash_key": self.partition,
            "range_key_condition": self.range_condition,
            "filter_condition": self.filter_condition,
            "index_name": self.index,
            "scan_index_forward": self.ascending,
            "exclusive_start_key": self._start(position) if position else None,
        }

    def position(self, item: dict[str, Any]) -> str:
        """Tell where an item, or a key that DynamoDB returned, stands in the list."""
        position: str = item[self.order_attribute]["S"]
        return position

    def _start(self, position: str) -> dict[str, Any]:
        key = {
            "pk": self.table_partition,
            "sk": TASK + position[-ID_LENGTH:],
            self.scope_attribute: self.partition,
            self.order_attribute: position,
        }
        return {name: {"S": value} for name, value in key.items()}


def plan(workspace: str, query: TaskQuery) -> Listing:
    """Choose the narrowest index that has the wanted order."""
    narrowed_by = next((name for name in NARROWING if getattr(query, name)), "all")
    order = _order(query)
    filters = _filters(query, served={narrowed_by, order})
    return Listing(
        index=f"{narrowed_by}_{order}",
        scope_attribute=f"{narrowed_by}_scope",
        partition=workspace
        if narrowed_by == "all"
        else scope(workspace, getattr(query, narrowed_by)),
        table_partition=partition(workspace),
        order_attribute=ORDERS[order],
        ascending=query.sort.ascending,
        range_condition=_range(query, order),
        filter_condition=reduce(and_, filters) if filters else None,
    )


def _order(query: TaskQuery) -> str:
    # Tasks of one priority stand by creation inside their index: it serves both sorts.
    if query.priority and query.sort.order == "created":
        return "priority"
    return query.sort.order


def _range(query: TaskQuery, order: str) -> Condition | None:
    if order == "due" and (query.due_from or query.due_before):
        return TaskItem.due_order.between(query.due_from or "0", query.due_before or UNDATED)
    if order == "priority" and query.priority:
        return TaskItem.priority_order.startswith(f"{RANKS[query.priority]}#")
    return None


def _filters(query: TaskQuery, served: set[str]) -> list[Condition]:
    filters = [
        attribute == wanted
        for name, attribute in EQUALITIES.items()
        if name not in served and (wanted := getattr(query, name))
    ]
    if query.label:
        filters.append(TaskItem.labels.contains(query.label))
    if "due" not in served:
        filters += [TaskItem.due_at >= query.due_from] if query.due_from else []
        filters += [TaskItem.due_at < query.due_before] if query.due_before else []
    return filters
