"""Evaluates PynamoDB's conditions over an item in memory, as DynamoDB does over one in a table."""

from collections.abc import Callable
from operator import eq
from typing import Any

from pynamodb.expressions.condition import Condition

from api.dynamodb.item_json import Item


def holds(condition: Condition, item: Item) -> bool:
    """Return whether a condition holds; of strings and lists of strings.

    Raises:
        KeyError: an operator that no filter of this table uses.
    """
    match condition.operator, condition.values:
        case "AND", (one, other):
            return holds(one, item) and holds(other, item)
        case "OR", (one, other):
            return holds(one, item) or holds(other, item)
        case "NOT", (inner,):
            return not holds(inner, item)
        case "attribute_exists", (path,):
            return path.path[0] in item
        case "attribute_not_exists", (path,):
            return path.path[0] not in item
        case _:
            return _compares(condition, item)


def _compares(condition: Condition, item: Item) -> bool:
    path, *operands = condition.values
    attribute = item.get(path.path[0])
    wanted = [operand.value for operand in operands]
    return attribute is not None and COMPARISONS[condition.operator](attribute, *wanted)


def _contains(attribute: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Return whether a list has an element, or a text a part."""
    return wanted in attribute["L"] if "L" in attribute else wanted["S"] in attribute["S"]


COMPARISONS: dict[str, Callable[..., bool]] = {
    "=": eq,
    "<": lambda attribute, wanted: attribute["S"] < wanted["S"],
    ">=": lambda attribute, wanted: attribute["S"] >= wanted["S"],
    "IN": lambda attribute, *wanted: attribute in wanted,
    "contains": _contains,
}
