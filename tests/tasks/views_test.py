"""The forms of a page of tasks, and its ETag, on both emulators."""

import pytest

from api.tasks.models import Priority
from tests.support.builders import Client

TASKS = "/v1/tasks"
BRIEF_FIELDS = ("id", "title", "status", "priority", "due_at", "project", "assignee", "etag")
MAX_BRIEF_BYTES = 25_000


def create_many(client: Client, number: int) -> None:
    """Create tasks of ordinary size, half of them in progress, and half with a due time."""
    for count in range(number):
        client.create(
            "t" * 60,
            description="d" * 200,
            status="in_progress" if count % 2 else "todo",
            priority=list(Priority)[count % 5],
            labels=["x" * 10, "y" * 10],
            project="p" * 10,
            assignee="a" * 10,
            due_at="2027-01-31T10:30:00Z" if count % 4 < 2 else None,
        )


def test_a_brief_list_has_only_the_fields_that_a_list_shows(any_client: Client) -> None:
    """Their values, the order and the next cursor are those of the full list."""
    create_many(any_client, 3)
    full, brief = any_client.page(limit=2), any_client.page(limit=2, view="brief")
    assert brief["items"] == [{name: task[name] for name in BRIEF_FIELDS} for task in full["items"]]
    assert brief["next_cursor"] == full["next_cursor"] is not None
    assert any_client.page(limit=2, view="full") == full


def test_a_hundred_brief_tasks_are_below_25_kilobytes(any_client: Client) -> None:
    create_many(any_client, 100)
    response = any_client.get(TASKS, params={"view": "brief", "limit": 100})
    assert len(response.json()["items"]) == 100
    assert len(response.content) < MAX_BRIEF_BYTES


@pytest.mark.parametrize(("first", "second"), [("full", "brief"), ("brief", "full")])
def test_the_view_may_change_between_the_pages_of_a_list(
    any_client: Client, first: str, second: str
) -> None:
    create_many(any_client, 2)
    cursor = any_client.page(view=first, limit=1)["next_cursor"]
    following = any_client.page(view=second, limit=1, cursor=cursor)
    assert following["items"] == any_client.page(view=second, limit=2)["items"][1:]


def test_an_unknown_view_is_refused(client: Client) -> None:
    response = client.get(TASKS, params={"view": "short"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "view"


@pytest.mark.parametrize("view", ["full", "brief"])
@pytest.mark.parametrize("if_none_match", ["{}", '"0123456789abcdef", {}', "*"])
def test_a_page_that_the_client_has_is_not_sent_again(
    any_client: Client, view: str, if_none_match: str
) -> None:
    """The 304 has the page's weak ETag and no body."""
    any_client.create()
    query = {"view": view}
    etag = any_client.get(TASKS, params=query).headers["ETag"]
    assert etag.startswith('W/"')
    headers = {"If-None-Match": if_none_match.format(etag)}
    unchanged = any_client.get(TASKS, params=query, headers=headers)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["ETag"] == etag


def test_the_tag_of_a_page_is_compared_weakly(client: Client) -> None:
    """A client or cache may have lost the mark of a weak ETag."""
    strong = client.get(TASKS).headers["ETag"].removeprefix("W/")
    assert client.get(TASKS, headers={"If-None-Match": strong}).status_code == 304


def test_a_page_has_another_etag_once_it_changes(any_client: Client) -> None:
    """By a change of a task, a new task, or a following page; and in another view."""
    task = any_client.create()
    seen = [any_client.get(TASKS, params={"limit": 1}).headers["ETag"]]

    def changed_page(**query: str) -> None:
        response = any_client.get(
            TASKS, params={"limit": 1, **query}, headers={"If-None-Match": ", ".join(seen)}
        )
        assert (response.status_code, len(response.json()["items"])) == (200, 1)
        seen.append(response.headers["ETag"])

    any_client.changed(task, title="Newer")
    changed_page()
    changed_page(view="brief")
    any_client.create()
    changed_page()
    changed_page(view="brief")
    assert len(set(seen)) == len(seen)
