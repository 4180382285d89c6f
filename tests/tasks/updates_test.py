"""A change makes the same item, whether DynamoDB applies it or the API does after a read."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from api.dynamodb.item_json import to_attribute
from api.tasks.change_models import LABEL_CHANGES, TaskChange
from api.tasks.models import MOVES, NewTask, Priority, Status
from api.tasks.revisions import covers
from api.tasks.table import NO_REVISION, REVISION_HISTORY, TaskKey
from api.tasks.updates import TaskUpdate
from tests.support.service import ANY, WORKSPACE, Service

pytestmark = pytest.mark.anyio

TITLES = st.text("ab ", min_size=1, max_size=5).map(str.strip).filter(bool)
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
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(Status),
        "labels_add": FIELDS["labels"],
        "labels_remove": FIELDS["labels"],
        **FIELDS,
    },
).filter(lambda fields: "labels" not in fields or not fields.keys() & LABEL_CHANGES)


@pytest.fixture
async def service(store: str) -> AsyncIterator[Service]:
    async with Service.at(store) as service:
        yield service


def _legal(status: Status, fields: dict[str, Any]) -> TaskChange:
    """Return a change of these fields, without the status if that move is illegal."""
    wanted = fields.get("status", status)
    if wanted is not status and wanted not in MOVES[status]:
        fields = {name: value for name, value in fields.items() if name != "status"}
    return TaskChange(**fields)


@effort(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(new=TASKS, changes=st.lists(CHANGES, min_size=1, max_size=5))
async def test_a_change_makes_the_same_item_with_and_without_an_idempotency_key(
    service: Service, new: NewTask, changes: list[dict[str, Any]]
) -> None:
    """Two tasks that begin alike stay alike, including the length of their revision history."""
    tasks, repository = service.tasks, service.repository
    plain, keyed = [await tasks.create(WORKSPACE, new) for _ in range(2)]
    for number, fields in enumerate(changes):
        change = _legal(plain.status, fields)
        plain = await tasks.change(WORKSPACE, plain.id, ANY, change)
        done = await tasks.change_once(WORKSPACE, keyed.id, ANY, change, f"{number}")
        keyed = await tasks.get(WORKSPACE, keyed.id)
        assert done == keyed
    items = [
        await service.transport.run(partial(repository._items.live, TaskKey(WORKSPACE, task.id)))
        for task in (plain, keyed)
    ]
    assert _comparable(items[0], plain.id) == _comparable(items[1], keyed.id)


def _comparable(item: dict[str, Any], task_id: str) -> dict[str, Any]:
    """Leave out what two tasks never share: ids, times and revisions, but not their number."""
    differing = {"created_at", "updated_at", "completed_at", "updated_order", *REVISION_HISTORY}
    shared = sorted((name, value) for name, value in item.items() if name not in differing)
    return {
        "item": str(shared).replace(task_id, "ID"),
        "history": [item[name] == to_attribute(NO_REVISION) for name in REVISION_HISTORY],
        "completed": "completed_at" in item,
    }


def _item(revisions: str) -> dict[str, Any]:
    """Return an item whose revision history is these letters, the newest first."""
    return {
        name: to_attribute(letter) for name, letter in zip(REVISION_HISTORY, revisions, strict=True)
    }


@pytest.mark.parametrize("revision", "abcd")
def test_a_change_is_recognised_while_its_revision_is_in_the_history(revision: str) -> None:
    assert TaskUpdate(ANY, {}, revision).already_applied(_item("abcd"))
    assert not TaskUpdate(ANY, {}, "e").already_applied(_item("abcd"))


@pytest.mark.parametrize(
    ("revisions", "matched", "covered"),
    [
        ("abcd", {"d"}, True),
        ("abcd", {"x", "a"}, True),
        ("abcd", {"x"}, False),
        ("abcd", set(), True),
        ("abc-", {"x"}, True),
    ],
)
def test_a_history_covers_a_change_if_it_reaches_back_to_a_matched_state_or_the_creation(
    revisions: str, matched: set[str], covered: bool
) -> None:
    assert covers(_item(revisions), frozenset(matched)) is covered
