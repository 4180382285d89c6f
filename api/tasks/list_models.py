"""The query parameters of a list of tasks, and its pages."""

import unicodedata
from dataclasses import dataclass
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)

from api.tasks.models import (
    MAX_LABELS,
    STATES,
    Label,
    Priority,
    State,
    Status,
    Task,
)
from api.values import (
    DEFAULT_PAGE_LIMIT,
    EXAMPLE_CURSOR,
    VISIBLE_TEXT,
    VISIBLE_TEXT_SCHEMA,
    Bound,
    NamedEnum,
    PageCursor,
    PageLimit,
)


class StateFilter(NamedEnum):
    """Which tasks a list holds by their state."""

    OPEN = "open"
    CLOSED = "closed"
    ALL = "all"


class Sort(NamedEnum):
    """The order of a list; a minus sign reverses it."""

    CREATED = "created"
    CREATED_DESCENDING = "-created"
    UPDATED = "updated"
    UPDATED_DESCENDING = "-updated"
    DUE = "due"
    DUE_DESCENDING = "-due"
    PRIORITY = "priority"
    PRIORITY_DESCENDING = "-priority"

    @property
    def order(self) -> str:
        return self.value.removeprefix("-")

    @property
    def ascending(self) -> bool:
        return not self.value.startswith("-")


class View(NamedEnum):
    """Which fields of its tasks a list has."""

    FULL = "full"
    BRIEF = "brief"


# The orders that only open tasks have.
OPEN_SORTS = frozenset({"due", "priority"})


# The value of a filter that finds tasks without a project or an assignee.
WITHOUT = "none"
# A name with the quotes that make it literal.
NameFilter = Annotated[
    str, StringConstraints(min_length=1, max_length=102), VISIBLE_TEXT, VISIBLE_TEXT_SCHEMA
]
Words = Annotated[str, StringConstraints(max_length=200), VISIBLE_TEXT, VISIBLE_TEXT_SCHEMA]


def folded(text: str) -> str:
    """Return the form in which words of titles are compared: case-folded and NFC."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


class TaskFilters(BaseModel):
    """The query parameters that say which tasks are wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: list[Status] = Field(
        default=[],
        max_length=len(Status),
        description="Any of these; may be repeated.",
        examples=[["todo"]],
    )
    state: StateFilter | None = Field(
        default=None,
        description="`open` tasks are `todo` or `in_progress`, `closed` ones `done` or "
        "`cancelled`. Without it: the states of `status`, or else `open`.",
        examples=["all"],
    )
    priority: Priority | None = Field(
        default=None, description="This priority only.", examples=["high"]
    )
    label: list[Label] = Field(
        default=[],
        max_length=MAX_LABELS,
        description="All of these; may be repeated.",
        examples=[["paper"]],
    )
    project: NameFilter | None = Field(
        default=None,
        description="`none` finds tasks without one; a name in double quotes is literal: "
        '`"none"` finds the project of that name.',
        examples=["memory"],
    )
    assignee: NameFilter | None = Field(default=None, description="As `project`.", examples=["ada"])
    due_from: Bound | None = Field(
        default=None,
        description="Due at this time or later.",
        examples=["2027-01-01T00:00:00Z"],
    )
    due_before: Bound | None = Field(
        default=None,
        description="Due earlier than this time.",
        examples=["2027-02-01T00:00:00Z"],
    )
    q: Words | None = Field(
        default=None,
        description="Words that the title contains, in any order, place and case; parts of words "
        "count.",
        examples=["write down"],
    )

    @field_validator("state")
    @classmethod
    def _holds_the_statuses(
        cls, state: StateFilter | None, info: ValidationInfo
    ) -> StateFilter | None:
        for status in info.data.get("status", ()):
            if state not in {None, StateFilter.ALL, StateFilter(STATES[status])}:
                raise ValueError(
                    f"status={status} is {STATES[status]}: use state={STATES[status]}, state=all, "
                    "or no state"
                )
        return state

    @property
    def words(self) -> list[str]:
        return folded(self.q or "").split()


class TaskQuery(TaskFilters):
    """The query parameters of a list of tasks."""

    updated_from: Bound | None = Field(
        default=None,
        description="Last changed at this time or later.",
        examples=["2027-01-01T00:00:00+01:00"],
    )
    updated_before: Bound | None = Field(
        default=None,
        description="Last changed earlier than this time.",
        examples=["2027-02-01T00:00:00+01:00"],
    )
    sort: Sort = Field(
        default=Sort.CREATED_DESCENDING,
        description="`due` and `priority` order open tasks. Under `due` and `-due`, tasks "
        "without a due time come last.",
        examples=["due"],
    )
    view: View = Field(
        default=View.FULL,
        description="`brief` returns only the fields of `BriefTask`. It may change between pages.",
        examples=["brief"],
    )
    limit: PageLimit = DEFAULT_PAGE_LIMIT
    cursor: PageCursor = None

    @field_validator("sort")
    @classmethod
    def _orders_open_tasks(cls, sort: Sort, info: ValidationInfo) -> Sort:
        if {"status", "state"} <= info.data.keys():
            states = _states(info.data["status"], info.data["state"])
            if sort.order in OPEN_SORTS and states != [State.OPEN]:
                raise ValueError(f"sort={sort} orders open tasks: use state=open, or sort=created")
        return sort

    @property
    def states(self) -> list[State]:
        return _states(self.status, self.state)

    @property
    def is_empty(self) -> bool:
        """Whether a range ends before it begins."""
        ranges = [(self.due_from, self.due_before), (self.updated_from, self.updated_before)]
        return any(first and end and first >= end for first, end in ranges)


def _states(statuses: list[Status], state: StateFilter | None) -> list[State]:
    """Return the states that a list holds, in their own order."""
    if statuses:
        wanted = {STATES[status] for status in statuses}
        return [each for each in State if each in wanted]
    return list(State) if state is StateFilter.ALL else [State(state or StateFilter.OPEN)]


NextCursor = Annotated[
    str | None,
    Field(
        description="Opaque. Send it with the same filters and sort to get the next page. "
        "A page can be short, even empty, and still have a next one. Null on the last page.",
        examples=[EXAMPLE_CURSOR],
    ),
]


@dataclass(slots=True)
class TaskPage:
    """One page of a list; the last one has a null `next_cursor`."""

    items: Annotated[list[Task], Field(description="The tasks, in the order of the list.")]
    next_cursor: NextCursor


page_json = TypeAdapter(TaskPage).dump_json
