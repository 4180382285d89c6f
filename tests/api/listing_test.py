"""Lists: filters, sorts and page walks, on both emulators."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from api.listing import plan
from api.models import Priority, Sort, Status, TaskQuery
from api.table import TaskItem
from tests.support.builders import Client

FILTERS: dict[str, Any] = {
    "status": "done",
    "priority": "high",
    "label": "red",
    "project": "p#1",
    "assignee": "ada",
    "due_from": "2027-01-02T00:00:00.000Z",
    "due_before": "2027-01-04T00:00:00.000Z",
}


def assorted(client: Client) -> list[dict[str, Any]]:
    """Create tasks in which every pair of values occurs, changed in another order than made."""
    tasks = [
        client.create(
            f"{number}",
            status=list(Status)[number % 4],
            priority=list(Priority)[number % 5],
            labels=["red"] if number % 2 else ["blue", "green"],
            project=[None, "p#1", "p"][number % 3],
            assignee=[None, "ada", "bob"][number // 3 % 3],
            due_at=[None, f"2027-01-0{1 + number % 7}T00:00:00Z"][number % 3 > 0],
        )
        for number in range(30)
    ]
    return [client.changed(task) for task in sorted(tasks, key=lambda task: task["title"])]


def matches(task: dict[str, Any], query: dict[str, Any]) -> bool:
    """Say in plain words what the filters mean."""
    wanted: dict[str, Callable[[Any], bool]] = {
        "status": lambda value: task["status"] == value,
        "priority": lambda value: task["priority"] == value,
        "label": lambda value: value in task["labels"],
        "project": lambda value: task["project"] == value,
        "assignee": lambda value: task["assignee"] == value,
        "due_from": lambda value: task["due_at"] is not None and task["due_at"] >= value,
        "due_before": lambda value: task["due_at"] is not None and task["due_at"] < value,
    }
    return all(wanted[name](value) for name, value in query.items())


def sort_key(task: dict[str, Any], sort: str) -> tuple[Any, ...]:
    """Say in plain words what the sorts mean; the id settles what is equal."""
    value = {
        "created": task["id"],
        "updated": task["updated_at"],
        "due": task["due_at"] or "after all dates",
        "priority": list(Priority).index(task["priority"]),
    }[sort.removeprefix("-")]
    return value, task["id"]


def test_every_filter_and_sort_gives_what_it_says(any_client: Client) -> None:
    """All pairs of filters under all sorts, walked in pages of seven, agree with plain words."""
    tasks = assorted(any_client)
    singles = [dict([pair]) for pair in FILTERS.items()]
    pairs = [dict(two) for two in itertools.combinations(FILTERS.items(), 2)]
    for query in [{}, *singles, *pairs, FILTERS]:
        for sort in Sort:
            expected = sorted(
                (task for task in tasks if matches(task, query)),
                key=lambda task: sort_key(task, sort.value),
                reverse=sort.value.startswith("-"),
            )
            walked = any_client.walk(**query, sort=sort.value, limit=7)
            assert walked == expected, (query, sort)


def test_a_list_is_newest_first(client: Client) -> None:
    """Whoever asks for nothing in particular sees what was just made."""
    for title in "abc":
        client.create(title)
    assert client.titles() == ["c", "b", "a"]


def test_the_last_page_says_so(any_client: Client) -> None:
    """A page that ends the list has no next one, even where it is exactly full."""
    for title in "abcd":
        any_client.create(title)
    first = any_client.page(limit=2)
    last = any_client.page(limit=2, cursor=first["next_cursor"])
    assert first["next_cursor"]
    assert last["next_cursor"] is None
    assert [task["title"] for task in last["items"]] == ["b", "a"]


def test_an_empty_due_range_is_an_empty_page(any_client: Client) -> None:
    """Nothing is due from later on and before earlier."""
    any_client.create(due_at="2027-01-01T00:00:00Z")
    range_ = {"due_from": "2027-02-01T00:00:00Z", "due_before": "2027-01-01T00:00:00Z"}
    assert any_client.page(sort="due", **range_) == {"items": [], "next_cursor": None}


def test_a_walk_shows_untouched_tasks_once(any_client: Client) -> None:
    """Tasks made, changed and deleted under way do not disturb the others."""
    tasks = [any_client.create(f"{n}") for n in range(9)]
    page = any_client.page(limit=3, sort="updated")
    seen = [task["title"] for task in page["items"]]
    any_client.changed(tasks[0], priority="low")
    any_client.delete(f"/v1/tasks/{tasks[2]['id']}", headers={"If-Match": "*"})
    any_client.create("late")
    while page["next_cursor"]:
        page = any_client.page(limit=3, sort="updated", cursor=page["next_cursor"])
        seen += [task["title"] for task in page["items"]]
    assert [title for title in seen if title in "345678"] == list("345678")


def test_a_filter_without_an_index_costs_no_more_than_its_budget(client: Client) -> None:
    """What a rare label's page drops is bounded: the page is short and the walk goes on."""
    for _ in range(40):
        client.create()
    rare = client.create(labels=["rare"])
    from api import repository

    repository.MOST_ROWS_READ, kept = 10, repository.MOST_ROWS_READ
    try:
        page = client.page(label="rare", sort="created", limit=5)
        walked = client.walk(label="rare", sort="created", limit=5)
    finally:
        repository.MOST_ROWS_READ = kept
    assert page["items"] == []
    assert page["next_cursor"]
    assert walked == [rare]


@pytest.mark.parametrize("query", [{}, {"status": "todo"}, {"project": "x"}, {"assignee": "a"}])
@pytest.mark.parametrize("order", ["created", "updated", "due", "priority"])
def test_one_filter_under_any_sort_needs_no_filtering(query: dict[str, Any], order: str) -> None:
    """There is an index for it: nothing that is read is dropped."""
    listing = plan("default", TaskQuery(**query, sort=order))
    assert listing.filter_condition is None
    assert hasattr(TaskItem, listing.index)


@pytest.mark.parametrize(
    "query",
    [
        {"priority": "low", "sort": "created"},
        {"priority": "low", "sort": "-priority"},
        {"due_from": "2027-01-01T00:00:00Z", "sort": "due"},
        {"due_before": "2027-01-01T00:00:00Z", "sort": "-due", "project": "x"},
        {"priority": "low", "assignee": "ada", "sort": "created"},
    ],
)
def test_what_an_index_sorts_by_it_also_filters_by(query: dict[str, Any]) -> None:
    """A range of the sort key is part of the key."""
    listing = plan("default", TaskQuery(**query))
    assert listing.filter_condition is None
    assert listing.range_condition is not None
