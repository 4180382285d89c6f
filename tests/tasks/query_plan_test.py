"""Filters, sorts and pages of lists, on both emulators."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from api.tasks import pages
from api.tasks.list_models import Sort, TaskQuery
from api.tasks.models import Priority, Status
from api.tasks.query_plan import plan_query
from api.tasks.table import TaskItem
from tests.support.builders import Client

FILTERS: dict[str, Any] = {
    "status": ["done", "in_progress"],
    "priority": "high",
    "label": ["red", "large"],
    "project": "p#1",
    "assignee": "none",
    "due_from": "2027-01-02T00:00:00.000Z",
    "due_before": "2027-01-04T00:00:00.000Z",
    "q": "Report q3",
}
OPEN = ["todo", "in_progress"]
STATES: dict[str, list[Any]] = {"open": OPEN, "closed": ["done", "cancelled"], "all": list(Status)}


def create_varied(client: Client) -> list[dict[str, Any]]:
    """Create tasks with every pair of values, and change them in another order."""
    tasks = [
        client.create(
            f"{number} Report" + " Q3" * (number % 3 == 0),
            status=list(Status)[number % 4],
            priority=list(Priority)[number % 5],
            labels=["red", *["large"] * (number % 4)][:2] if number % 2 else ["blue"],
            project=[None, "p#1", "p"][number % 3],
            assignee=[None, "ada", "bob"][number // 3 % 3],
            due_at=[None, f"2027-01-0{1 + number % 7}T00:00:00Z"][number % 3 > 0],
        )
        for number in range(30)
    ]
    return [client.changed(task) for task in sorted(tasks, key=lambda task: task["title"])]


def matches(task: dict[str, Any], query: dict[str, Any]) -> bool:
    """Return whether a task passes the filters."""
    wanted: dict[str, Callable[[Any], bool]] = {
        "state": lambda value: task["status"] in STATES[value],
        "status": lambda value: task["status"] in value,
        "priority": lambda value: task["priority"] == value,
        "label": lambda value: set(value) <= set(task["labels"]),
        "project": lambda value: task["project"] == value,
        "assignee": lambda value: task["assignee"] == (None if value == "none" else value),
        "due_from": lambda value: task["due_at"] is not None and task["due_at"] >= value,
        "due_before": lambda value: task["due_at"] is not None and task["due_at"] < value,
        "updated_from": lambda value: task["updated_at"] >= value,
        "updated_before": lambda value: task["updated_at"] < value,
        "q": lambda value: all(word in task["title"].lower() for word in value.lower().split()),
    }
    return all(wanted[name](value) for name, value in query.items())


def sort_key(task: dict[str, Any], sort: str) -> tuple[Any, ...]:
    """Return the value that a sort compares, then the id for equal values."""
    undated_last = "0" if sort == "-due" else "after all times"
    value = {
        "created": task["id"],
        "updated": task["updated_at"],
        "due": task["due_at"] or undated_last,
        "priority": list(Priority).index(task["priority"]),
    }[sort.removeprefix("-")]
    return value, task["id"]


def expected(tasks: list[dict[str, Any]], query: dict[str, Any], sort: str) -> list[dict[str, Any]]:
    return sorted(
        (task for task in tasks if matches(task, query)),
        key=lambda task: sort_key(task, sort),
        reverse=sort.startswith("-"),
    )


def test_a_list_holds_the_tasks_that_its_filters_match_in_the_order_of_its_sort(
    any_client: Client,
) -> None:
    """All pairs of filters in all states and orders, in pages of seven."""
    tasks = create_varied(any_client)
    middle = sorted(task["updated_at"] for task in tasks)[len(tasks) // 2]
    filters = FILTERS | {"updated_from": middle}
    singles = [dict([pair]) for pair in [*filters.items(), ("updated_before", middle)]]
    pairs = [dict(two) for two in itertools.combinations(filters.items(), 2)]
    for number, filtered in enumerate([{}, *singles, *pairs, filters]):
        for sort in list(Sort)[number % 2 :: 2]:
            # Only open tasks have an order of due time and priority.
            states = ["open"] if sort.order in {"due", "priority"} else list(STATES)
            for state in states:
                query = {**filtered, "state": state}
                if "status" in query:
                    query["status"] = [each for each in query["status"] if each in STATES[state]]
                walked = any_client.walk(**query, sort=sort.value, limit=7)
                assert walked == expected(tasks, query, sort.value), (query, sort)


@pytest.mark.parametrize("max_rows", [4, 32])
def test_a_list_of_rare_statuses_is_the_same_whether_few_or_many_tasks_have_them(
    client: Client, monkeypatch: pytest.MonkeyPatch, max_rows: int
) -> None:
    """Few are read as a whole and sorted; of many, the rows of the sort's index are filtered."""
    monkeypatch.setattr(pages, "MAX_RARE_ROWS", max_rows)
    tasks = create_varied(client)
    for sort in Sort:
        statuses = ["in_progress"]
        if sort.order not in {"due", "priority"}:
            statuses.append("cancelled")
        scopes: list[dict[str, Any]] = [{}, {"project": "p"}, {"label": ["red"]}]
        for query in [scope | {"status": statuses} for scope in scopes]:
            assert client.walk(**query, sort=sort.value, limit=2) == expected(
                tasks, query, sort.value
            ), (query, sort)


@pytest.mark.parametrize(
    ("query", "statuses"),
    [
        ({}, OPEN),
        ({"state": "closed"}, ["done", "cancelled"]),
        ({"status": ["done"]}, ["done"]),
        ({"status": ["todo", "done", "cancelled"]}, ["todo", "done", "cancelled"]),
        ({"status": ["todo"], "state": "all"}, ["todo"]),
    ],
)
def test_a_list_is_of_open_tasks_unless_state_or_status_asks_for_others(
    client: Client, query: dict[str, Any], statuses: list[str]
) -> None:
    for status in Status:
        client.create(status=status)
    assert [task["status"] for task in client.walk(**query, sort="created")] == statuses


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        (
            {"state": "open", "status": ["done"]},
            ("query state: status=done is closed: use state=closed, state=all, or no state"),
        ),
        (
            {"state": "all", "sort": "due"},
            "query sort: sort=due orders open tasks: use state=open, or sort=created",
        ),
        (
            {"status": ["todo", "done"], "sort": "-priority"},
            ("query sort: sort=-priority orders open tasks: use state=open, or sort=created"),
        ),
        (
            {"status": ["open"]},
            "query status/0: must be 'todo', 'in_progress', 'done' or 'cancelled'",
        ),
    ],
)
def test_filters_that_contradict_each_other_are_refused_with_the_way_out(
    client: Client, query: dict[str, Any], detail: str
) -> None:
    response = client.get("/v1/tasks", params=query)
    assert (response.status_code, response.json()["detail"]) == (422, detail)


def test_a_name_in_double_quotes_is_literal(client: Client) -> None:
    """A person of the name none can be found, and those without an assignee, too."""
    names = [None, "none", '"none"', "ada"]
    tasks = {name: client.create(assignee=name) for name in names}
    found = {text: client.walk(assignee=text) for text in ["none", '"none"', '""none""', '"ada"']}
    assert found == {
        "none": [tasks[None]],
        '"none"': [tasks["none"]],
        '""none""': [tasks['"none"']],
        '"ada"': [tasks["ada"]],
    }


def test_the_longest_filters_fit_into_a_query_of_the_store(any_client: Client) -> None:
    words = [f"{number % 10}" for number in range(100)]
    task = any_client.create(" ".join(words), labels=[f"{number}" * 25 for number in range(20)])
    query = {
        **FILTERS,
        "project": "none",
        "label": task["labels"],
        "status": ["todo", "done", "cancelled"],
        "q": " ".join(words),
    }
    query |= {"updated_from": "2027-01-01T00:00:00Z", "updated_before": "2027-02-01T00:00:00Z"}
    assert any_client.page(**query)["items"] == []
    assert any_client.walk(q=" ".join(words), label=task["labels"]) == [task]


def test_words_of_a_title_are_found_whatever_their_case_and_normal_form(client: Client) -> None:
    street = client.create("Straße zum Café")
    for words in ["STRASSE", "cafe\u0301", "CAF\u00c9 stras"]:
        assert client.walk(q=words) == [street]
    assert client.walk(q="strasse bar") == []


def test_a_list_is_newest_first_by_default(client: Client) -> None:
    for title in "abc":
        client.create(title)
    assert client.titles() == ["c", "b", "a"]


def test_the_last_page_has_no_next_cursor_even_if_it_is_full(any_client: Client) -> None:
    for title in "abcd":
        any_client.create(title)
    first = any_client.page(limit=2)
    last = any_client.page(limit=2, cursor=first["next_cursor"])
    assert first["next_cursor"]
    assert last["next_cursor"] is None
    assert [task["title"] for task in last["items"]] == ["b", "a"]


def test_a_due_range_that_ends_before_it_begins_gives_an_empty_page(any_client: Client) -> None:
    any_client.create(due_at="2027-01-01T00:00:00Z")
    range_ = {"due_from": "2027-02-01T00:00:00Z", "due_before": "2027-01-01T00:00:00Z"}
    assert any_client.page(sort="due", **range_) == {"items": [], "next_cursor": None}


def test_writes_between_pages_neither_repeat_nor_hide_unchanged_tasks(any_client: Client) -> None:
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


def test_a_page_of_a_filter_without_an_index_reads_a_limited_number_of_rows(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is then short, and its cursor leads to the rest."""
    monkeypatch.setattr(pages, "MAX_ROWS_READ", 10)
    for _ in range(40):
        client.create()
    rare = client.create(labels=["rare"])
    query = {"label": "rare", "sort": "created", "limit": 5}
    page = client.page(**query)
    assert page["items"] == []
    assert page["next_cursor"]
    assert client.walk(**query) == [rare]


def streams(**query: Any) -> list[str]:
    return [stream.index for stream in plan_query("default", TaskQuery(**query)).streams]


@pytest.mark.parametrize(
    ("query", "indexes"),
    [
        ({}, ["all_created"]),
        ({"state": "all"}, ["all_created", "all_created"]),
        ({"status": ["todo"]}, ["status_created"]),
        ({"status": ["todo", "in_progress"]}, ["all_created"]),
        ({"status": ["todo", "done"]}, ["status_created", "status_created"]),
        ({"project": "x"}, ["project_created"]),
        ({"project": "x", "state": "all"}, ["project_created", "project_created"]),
        ({"assignee": "x", "sort": "due"}, ["assignee_due"]),
        ({"assignee": "x", "sort": "priority"}, ["assignee_priority"]),
        ({"sort": "due"}, ["all_due"]),
        ({"sort": "-due"}, ["all_due", "all_due"]),
        ({"sort": "updated"}, ["all_updated"]),
        ({"priority": "low"}, ["all_priority"]),
        ({"priority": "low", "project": "x"}, ["project_priority"]),
        ({"due_from": "2027-01-01T00:00:00Z", "sort": "-due"}, ["all_due"]),
        ({"updated_from": "2027-01-01T00:00:00Z", "sort": "updated"}, ["all_updated"]),
    ],
)
def test_an_index_serves_each_of_these_lists_alone(
    query: dict[str, Any], indexes: list[str]
) -> None:
    """No row that is read is dropped."""
    assert streams(**query) == indexes
    assert plan_query("default", TaskQuery(**query)).filter_condition is None
    assert all(hasattr(TaskItem, index) for index in indexes)
