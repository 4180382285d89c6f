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


class NameCounter:
    """Counts the names of the newest open tasks; in memory is one response of DynamoDB's."""

    def __init__(self, table: TableConnection, workspace: str, field: NameField) -> None:
        self._table = table
        self._partition = state_partition(workspace, State.OPEN)
        self._field = field
        self._counts: Counter[str] = Counter()
        self._rows_read = 0
        self._bytes_read = 0

    def count(self) -> NamesInUse:
        last_key = self._count_page(None)
        while last_key and not self._is_spent:
            last_key = self._count_page(last_key)
        by_count = sorted(self._counts.items(), key=lambda pair: (-pair[1], pair[0]))
        complete = last_key is None and self._rows_read <= MAX_ROWS_READ
        return NamesInUse([NameInUse(*pair) for pair in by_count], complete)

    @property
    def _is_spent(self) -> bool:
        return self._rows_read > MAX_ROWS_READ or self._bytes_read >= MAX_PAGE_BYTES

    def _count_page(self, after: Item | None) -> Item | None:
        """Count one response, and return the key after which the next one begins."""
        uncounted = MAX_ROWS_READ - self._rows_read
        response = self._table.query(
            self._partition,
            index_name="all_created",
            scan_index_forward=False,
            attributes_to_get=[self._field],
            # One task more than is counted shows whether there are more.
            limit=uncounted + 1,
            exclusive_start_key=after,
        )
        for item in response["Items"][:uncounted]:
            self._counts.update(self._names(item))
        self._rows_read += len(response["Items"])
        self._bytes_read += response["ResponseMetadata"]["ResponseBytes"]
        last_key: Item | None = response.get("LastEvaluatedKey")
        return last_key

    def _names(self, item: Item) -> Iterator[str]:
        if self._field in item:
            value = item[self._field]
            yield from (each["S"] for each in value.get("L", [value]))
