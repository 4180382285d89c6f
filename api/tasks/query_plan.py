"""Which index partitions serve a list, and which conditions are left for a filter."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

from pynamodb.attributes import Attribute
from pynamodb.expressions.condition import Condition

from api.tasks.list_models import OPEN_SORTS, WITHOUT, Sort, TaskQuery
from api.tasks.models import STATES, State, Status
from api.tasks.table import (
    RANKS,
    TASK_PREFIX,
    UNDATED,
    TaskItem,
    list_partition,
    partition,
    state_partition,
)

ID_LENGTH = 26
# An assignee has fewer tasks than a project.
NARROWING = ("assignee", "project")
# Few tasks of a workspace have one of these at a time.
RARE_STATUSES = {Status.IN_PROGRESS, Status.CANCELLED}


@dataclass(frozen=True, slots=True)
class Stream:
    """A part of a list: one partition of one index, in the list's order."""

    # Empty for the table itself.
    index: str
    partition: str
    order_attribute: str
    # What the sort key has before the position that the streams of a list have in common.
    prefix: str = ""
    range_condition: Condition | None = None
    # A stream of a higher rank follows all of a lower one; those of one rank are merged.
    rank: int = 0

    @property
    def partition_attribute(self) -> str:
        return f"{self.index.partition('_')[0]}_scope" if self.index else "pk"

    def position(self, item: dict[str, Any]) -> str:
        """Return the position of an item, or of a LastEvaluatedKey."""
        sort_key: str = item[self.order_attribute]["S"]
        return sort_key[len(self.prefix) :]


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """The streams that make a list, all read in one direction."""

    streams: list[Stream]
    table_partition: str
    ascending: bool
    filter_condition: Condition | None
    # The same tasks in another order, worth reading as a whole if they are few.
    rare: "QueryPlan | None" = None

    def query(self, stream: Stream, position: str | None) -> dict[str, Any]:
        """Return the arguments of PynamoDB's query, to read on after a position."""
        return {
            "hash_key": stream.partition,
            "range_key_condition": stream.range_condition,
            "filter_condition": self.filter_condition,
            "index_name": stream.index,
            # DynamoDB reads the table so, and no index.
            "consistent_read": not stream.index,
            "scan_index_forward": self.ascending,
            "exclusive_start_key": self._start_key(stream, position) if position else None,
        }

    def rank(self, position: str) -> int:
        """Return the rank of the stream that a position belongs to."""
        return max(each.rank for each in self.streams) if position.startswith(UNDATED) else 0

    def position(self, item: dict[str, Any]) -> str:
        """Return the position of an item that came from another index."""
        return next(
            stream.position(item)
            for stream in self.streams
            if item[stream.order_attribute]["S"].startswith(stream.prefix)
        )

    def _start_key(self, stream: Stream, position: str) -> dict[str, Any]:
        # There need not be an item with this key.
        key = {
            "pk": self.table_partition,
            "sk": TASK_PREFIX + position[-ID_LENGTH:],
            stream.partition_attribute: stream.partition,
            stream.order_attribute: stream.prefix + position,
        }
        return {name: {"S": value} for name, value in key.items()}


def plan_query(workspace: str, query: TaskQuery) -> QueryPlan:
    """Choose the narrowest index partitions that have the wanted order."""
    filters = [*_status_filter(query), *_filters(query, _order(query), _narrowed_by(query))]
    return QueryPlan(
        streams=list(_streams(workspace, query)),
        table_partition=partition(workspace),
        ascending=query.sort.ascending,
        filter_condition=_all_of(filters),
        rare=_rare_plan(workspace, query),
    )


def _rare_plan(workspace: str, query: TaskQuery) -> QueryPlan | None:
    is_rare = query.status and RARE_STATUSES.issuperset(query.status)
    if not is_rare or _has_status_streams(query):
        return None
    return QueryPlan(
        streams=list(_status_streams(workspace, query)),
        table_partition=partition(workspace),
        ascending=True,
        filter_condition=_all_of(list(_filters(query, "created", None))),
    )


def _all_of(conditions: list[Condition]) -> Condition | None:
    return reduce(and_, conditions) if conditions else None


def _streams(workspace: str, query: TaskQuery) -> Iterator[Stream]:
    order, narrowed_by = _order(query), _narrowed_by(query)
    own = list_partition(workspace, _literal(getattr(query, narrowed_by))) if narrowed_by else None
    if order == "updated":
        changed = _updated_range(query)
        for state in query.states:
            of_state = state_partition(workspace, state)
            yield Stream("all_updated", of_state, "updated_order", "", changed)
    elif order in OPEN_SORTS:
        of_state = state_partition(workspace, State.OPEN)
        yield from _open_streams(f"{narrowed_by or 'all'}_{order}", own or of_state, order, query)
    elif own:
        for state in query.states:
            begins = f"{state}#"
            in_state = TaskItem.state_created.startswith(begins)
            yield Stream(f"{narrowed_by}_created", own, "state_created", begins, in_state)
    elif _has_status_streams(query):
        yield from _status_streams(workspace, query)
    else:
        for state in query.states:
            yield Stream("all_created", state_partition(workspace, state), "sk", TASK_PREFIX)


def _status_streams(workspace: str, query: TaskQuery) -> Iterator[Stream]:
    for status in sorted(set(query.status)):
        yield Stream("status_created", list_partition(workspace, status), "sk", TASK_PREFIX)


def _open_streams(index: str, own: str, order: str, query: TaskQuery) -> Iterator[Stream]:
    attribute = f"open_{order}"
    if query.sort is Sort.DUE_DESCENDING and not (query.due_from or query.due_before):
        # Read backwards, the index begins with the tasks that have no due time.
        yield Stream(index, own, attribute, "", TaskItem.open_due < UNDATED)
        yield Stream(index, own, attribute, "", TaskItem.open_due >= UNDATED, rank=1)
    else:
        yield Stream(index, own, attribute, "", _open_range(query, order))


def _order(query: TaskQuery) -> str:
    # Inside the priority index, tasks of one priority are ordered by creation: it serves both.
    if query.priority and query.sort.order == "created" and _is_of_open_tasks(query):
        return "priority"
    return query.sort.order


def _is_of_open_tasks(query: TaskQuery) -> bool:
    return query.states == [State.OPEN] and not _has_status_streams(query)


def _narrowed_by(query: TaskQuery) -> str | None:
    """Return the filter whose index serves the list: that of one name."""
    return next((name for name in NARROWING if getattr(query, name) not in {None, WITHOUT}), None)


def _has_status_streams(query: TaskQuery) -> bool:
    return query.sort.order == "created" and _narrowed_by(query) is None and _narrows_states(query)


def _narrows_states(query: TaskQuery) -> bool:
    """Return whether the statuses are fewer than their states have."""
    return bool(query.status) and set(query.status) != {
        status for status, state in STATES.items() if state in query.states
    }


def _open_range(query: TaskQuery, order: str) -> Condition | None:
    if order == "due" and (query.due_from or query.due_before):
        # `between` includes its upper bound, but every key ends in `#` and an id: no key equals it.
        return TaskItem.open_due.between(query.due_from or "0", query.due_before or UNDATED)
    if order == "priority" and query.priority:
        return TaskItem.open_priority.startswith(f"{RANKS[query.priority]}#")
    return None


def _updated_range(query: TaskQuery) -> Condition | None:
    if query.updated_from or query.updated_before:
        after_all_times = UNDATED
        first, end = query.updated_from or "0", query.updated_before or after_all_times
        return TaskItem.updated_order.between(first, end)
    return None


def _status_filter(query: TaskQuery) -> Iterator[Condition]:
    if _narrows_states(query) and not _has_status_streams(query):
        yield TaskItem.status.is_in(*query.status)


def _filters(query: TaskQuery, order: str, narrowed_by: str | None) -> Iterator[Condition]:
    """Yield the conditions besides the status that streams of an order and name do not fulfil."""
    served = narrowed_by if order != "updated" else None
    for name in NARROWING:
        if name != served and (value := getattr(query, name)):
            attribute: Attribute[Any] = getattr(TaskItem, name)
            absent = value == WITHOUT
            yield attribute.does_not_exist() if absent else attribute == _literal(value)
    if query.priority and order != "priority":
        yield TaskItem.priority == query.priority
    yield from (TaskItem.labels.contains(label) for label in query.label)
    yield from (TaskItem.title_folded.contains(word) for word in query.words)
    if order != "due":
        yield from _range_filters(TaskItem.due_at, query.due_from, query.due_before)
    if order != "updated":
        yield from _range_filters(TaskItem.updated_at, query.updated_from, query.updated_before)


def _range_filters(
    attribute: Attribute[Any], first: str | None, end: str | None
) -> Iterator[Condition]:
    if first:
        yield attribute >= first
    if end:
        yield attribute < end


def _literal(name: str) -> str:
    """Return a name without the double quotes that make it literal."""
    is_quoted = len(name) > 2 and name[0] == name[-1] == '"'
    return name[1:-1] if is_quoted else name
