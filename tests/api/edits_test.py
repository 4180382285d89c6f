"""A change is the same, made by DynamoDB on what is there or here on what was read."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from api import edits
from api.edits import Edit
from api.models import MOVES, NewTask, Priority, Status, TaskChange
from api.service import TaskService
from api.table import LINEAGE, Place, as_json
from tests.support.service import ANY, Service

pytestmark = pytest.mark.anyio

TITLES = st.text("ab ", min_size=1, max_size=5).filter(str.strip)
NAMES = st.none() | TITLES
DATES = st.none() | st.sampled_from(["2027-01-31T09:30:00Z", "2028-01-31T09:30:00+01:00"])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "title": TITLES,
    "description": st.sampled_from(["", "d"]),
    "priority": st.sampled_from(Priority),
    "labels": st.lists(TITLES, max_size=3, unique=True),
    "project": NAMES,
    "assignee": NAMES,
    "due_at": DATES,
}
TASKS = st.fixed_dictionaries({"status": st.sampled_from(Status), **FIELDS}).map(
    lambda fields: NewTask(**fields)
)
CHANGES = st.fixed_dictionaries({}, optional={"status": st.sampled_from(Status), **FIELDS})


@pytest.fixture
async def tasks(store: str) -> AsyncIterator[TaskService]:
    async with Service.at(store) as service:
        yield service.tasks


def _legal(status: Status, change: dict[str, Any]) -> TaskChange:
    wanted = change.get("status", status)
    if wanted is not status and wanted not in MOVES[status]:
        change = {name: value for name, value in change.items() if name != "status"}
    return TaskChange(**change)


@effort(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(new=TASKS, changes=st.lists(CHANGES, min_size=1, max_size=5), data=st.data())
async def test_a_change_is_the_same_with_a_key_and_without(
    tasks: TaskService, new: NewTask, changes: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Two tasks that begin alike stay alike, the lineage's length included."""
    repository = tasks._repository
    plain, keyed = [await tasks.create("w", new) for _ in range(2)]
    for number, fields in enumerate(changes):
        change = _legal(plain.status, fields)
        plain = await tasks.change("w", plain.id, ANY, change)
        done = await tasks.change_once("w", keyed.id, ANY, change, f"{number}")
        keyed = await tasks.get("w", keyed.id)
        assert done == keyed
    items = [
        await repository.wire.run(lambda task=task: repository._items.live(Place("w", task.id)))  # type: ignore[misc]
        for task in (plain, keyed)
    ]
    assert _comparable(items[0], plain.id) == _comparable(items[1], keyed.id)


def _comparable(item: dict[str, Any], task_id: str) -> dict[str, Any]:
    """Take out what two tasks never share: ids, times and revisions, but not which there are."""
    times = ("created_at", "updated_at", "completed_at", "updated_order")
    shared = {name: value for name, value in item.items() if name not in (*times, *LINEAGE)}
    known = [value == as_json("-") for value in (item[name] for name in LINEAGE)]
    text = str(sorted(shared.items())).replace(task_id, "ID")
    return {"item": text, "known": known, "completed": "completed_at" in item}


def _item(*lineage: str) -> dict[str, Any]:
    return {name: as_json(value) for name, value in zip(LINEAGE, lineage, strict=True)}


@pytest.mark.parametrize("place", range(4))
def test_a_change_is_known_again_behind_three_others(place: int) -> None:
    """As long as its revision is in the lineage, it was made."""
    revisions = ["a", "b", "c", "d"]
    edit = Edit(ANY, {}, revisions[place])
    assert edit.was_made(_item(*revisions))
    assert not edit._replace(revision="e").was_made(_item(*revisions))


@pytest.mark.parametrize(
    ("lineage", "matched", "tells"),
    [
        ("abcd", {"d"}, True),
        ("abcd", {"x", "a"}, True),
        ("abcd", {"x"}, False),
        ("abcd", set(), True),
        ("abc-", {"x"}, True),
    ],
)
def test_a_lineage_tells_what_was_never_made(lineage: str, matched: set[str], tells: bool) -> None:
    """It does so if it reaches back to a state that the write may follow, or to the beginning."""
    assert edits.reaches_back(_item(*lineage), frozenset(matched)) is tells
