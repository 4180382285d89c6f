"""DynamoDB's JSON: the typed form in which it takes and returns attribute values."""

from typing import Any

from pynamodb.expressions.operand import Path

Item = dict[str, Any]

NOT_EXISTS = Path("pk").does_not_exist()


def to_attribute(value: str | int | list[str]) -> dict[str, Any]:
    """Convert a value to DynamoDB's JSON."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"L": [{"S": text} for text in value]}
