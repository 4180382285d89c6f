"""The names in use: how many open tasks have each project, label or assignee.

They are counted with each request: a stored counter would make every write dearer.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field, TypeAdapter
from pynamodb.connection.table import TableConnection

from api.dynamodb.item_json import Item
from api.tasks.models import State
from api.tasks.pages import MAX_PAGE_BYTES, MAX_ROWS_READ
from api.tasks.table import state_partition


class NameField(StrEnum):
    """The fields of a task that hold names."""

    PROJECT = "project"
    LABELS = "labels"
    ASSIGNEE = "assignee"


@dataclass(slots=True)
class NameInUse:
    """A name, and how many of the counted tasks have it."""

    name: Annotated[
        str, Field(description="The name of a project, label or assignee.", examples=["memory"])
    ]
    open_tasks: Annotated[
        int, Field(ge=1, description="How many open tasks have the name.", examples=[2])
    ]


@dataclass(slots=True)
class NamesInUse:
    """The names of a workspace's open tasks, the most frequent first."""

    items: Annotated[list[NameInUse], Field(description="The names, the most frequent first.")]
    complete: Annotated[
        bool,
        Field(
            description="Whether all open tasks were counted, and not only the newest "
            f"{MAX_ROWS_READ}, or fewer if their names are long.",
            examples=[True],
        ),
    ]


names_json = TypeAdapter(NamesInUse).dump_json


def count_names(table: TableConnection, workspace: str, field: NameField) -> NamesInUse:
    """Count the names of the newest open tasks; in memory is one response of DynamoDB's."""
    counts: Counter[str] = Counter()
    rows, size = 0, 0
    last_key: Item | None = None
    while True:
        uncounted = MAX_ROWS_READ - rows
        response = table.query(
            state_partition(workspace, State.OPEN),
            index_name="all_created",
            scan_index_forward=False,
            attributes_to_get=[field],
            # One task more than is counted shows whether there are more.
            limit=uncounted + 1,
            exclusive_start_key=last_key,
        )
        for item in response["Items"][:uncounted]:
            counts.update(_names(item, field))
        rows += len(response["Items"])
        size += response["ResponseMetadata"]["ResponseBytes"]
        last_key = response.get("LastEvaluatedKey")
        if last_key is None or rows > MAX_ROWS_READ or size >= MAX_PAGE_BYTES:
            break
    by_count = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    complete = last_key is None and rows <= MAX_ROWS_READ
    return NamesInUse([NameInUse(*pair) for pair in by_count], complete)


def _names(item: Item, field: NameField) -> Iterator[str]:
    if field in item:
        value = item[field]
        yield from (each["S"] for each in value.get("L", [value]))
