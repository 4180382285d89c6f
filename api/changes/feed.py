"""The order by update over tasks, deleted tasks and comments, read on from a token."""

from dataclasses import replace
from functools import reduce
from operator import or_
from typing import NamedTuple

from pynamodb.expressions.condition import Condition

from api.changes.models import ChangesQuery
from api.changes.tokens import MAX_SEEN, Seen, Token, seconds_of
from api.dynamodb.conditions import holds
from api.dynamodb.item_json import Item
from api.tasks.list_models import Sort, StateFilter, TaskFilters, TaskQuery
from api.tasks.query_plan import QueryPlan, Stream, plan_query
from api.tasks.table import COMMENTS, DELETED, TaskItem, state_partition

# DynamoDB's limit for one IN is 100, of which DynamoDB Local takes the attribute for one.
MAX_IN = 99


class Page(NamedTuple):
    """What was found after a token, and the token after it."""

    items: list[Item]
    token: Token
    has_more: bool = False
    # Whether something waits until it is below the horizon.
    is_held: bool = False


def plan_changes(workspace: str, query: ChangesQuery, token: Token) -> QueryPlan:
    """Read four partitions of one index; deletions and comments pass every filter."""
    filters = {name: getattr(query, name) for name in TaskFilters.model_fields}
    filters["state"] = query.state or (None if query.status else StateFilter.ALL)
    plan = plan_query(workspace, TaskQuery(**filters, sort=Sort.UPDATED))
    others = [
        Stream("all_updated", state_partition(workspace, name), "updated_order")
        for name in (DELETED, COMMENTS)
    ]
    wanted = plan.filter_condition
    if wanted is not None:
        is_comment = TaskItem.status.does_not_exist()
        wanted = TaskItem.expires_at.exists() | is_comment | wanted
    return replace(
        plan,
        streams=[*plan.streams, *others],
        filter_condition=_without(token.seen, wanted),
        rare=None,
    )


def selects(plan: QueryPlan, item: Item) -> bool:
    """Return whether a read of the feed would find an item that is in memory."""
    is_in_feed = any(item["all_scope"]["S"] == stream.partition for stream in plan.streams)
    condition = plan.filter_condition
    return is_in_feed and (condition is None or holds(condition, item))


def page_after(token: Token, items: list[Item], next_position: str | None, complete: str) -> Page:
    """Decide what is delivered, and from where the next request reads.

    `complete` is the horizon of a time before the items were read.
    """
    settled = max(token.position, min(next_position or complete, complete))
    seen = token.seen_after(settled)
    young = [item for item in items if position_of(item) > settled]
    room = MAX_SEEN - len(seen)
    if is_held := len(young) > room:
        items = items[: len(items) - len(young) + room]
    delivered = (_seen(item) for item in young[:room])
    has_more = next_position is not None and (settled == next_position or bool(items))
    return Page(items, Token(settled, (*seen, *delivered)), has_more and not is_held, is_held)


def position_of(item: Item) -> str:
    position: str = item["updated_order"]["S"]
    return position


def _seen(item: Item) -> Seen:
    return Seen(item["revision"]["S"], seconds_of(position_of(item)))


def _without(seen: tuple[Seen, ...], wanted: Condition | None) -> Condition | None:
    """Leave out what was delivered before, by its revisions."""
    if not seen:
        return wanted
    revisions = [each.revision for each in seen]
    parts = [revisions[start : start + MAX_IN] for start in range(0, len(revisions), MAX_IN)]
    unseen: Condition = ~reduce(or_, (TaskItem.revision.is_in(*part) for part in parts))
    return unseen if wanted is None else wanted & unseen
