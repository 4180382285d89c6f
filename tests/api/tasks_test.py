"""One task over HTTP, on both emulators."""

import re
from typing import Any

import pytest
from pydantic import TypeAdapter

from api.models import MOVES, Moment, Sort, Status
from tests.support.builders import Client

WHOLE: dict[str, Any] = {
    "title": "Write it down",
    "description": "Before it is forgotten",
    "status": "in_progress",
    "priority": "high",
    "labels": ["paper", "pen"],
    "project": "memory",
    "assignee": "ada",
    "due_at": "2027-01-31T10:30:00+01:00",
}
ILLEGAL = [(a, b) for a in Status for b in Status if a is not b and b not in MOVES[a]]


def test_a_task_comes_back_as_it_was_sent(any_client: Client) -> None:
    """Every field is stored; times are UTC."""
    task = any_client.create(**WHOLE)
    read = any_client.get(f"/v1/tasks/{task['id']}").json()
    assert read == task
    assert {name: read[name] for name in WHOLE} == WHOLE | {"due_at": "2027-01-31T09:30:00.000Z"}


def test_a_title_is_enough(any_client: Client) -> None:
    """What is not sent has a default, and is in the answer."""
    task = any_client.create("Only this")
    generated = ("id", "created_at", "updated_at", "etag")
    assert {name: value for name, value in task.items() if name not in generated} == {
        "title": "Only this",
        "description": "",
        "status": "todo",
        "priority": "none",
        "labels": [],
        "project": None,
        "assignee": None,
        "due_at": None,
        "completed_at": None,
        "version": 1,
    }


def test_a_new_task_says_where_it_is(client: Client) -> None:
    """Location leads to the task, and the ETag header is the one in the body."""
    response = client.post("/v1/tasks", json={"title": "x"})
    assert client.get(response.headers["Location"]).json() == response.json()
    assert response.headers["ETag"] == response.json()["etag"]


def test_an_id_tells_the_time_of_creation(client: Client) -> None:
    """Ids made later sort later."""
    ids = [client.create()["id"] for _ in range(3)]
    assert [i[:10] for i in ids] == sorted(i[:10] for i in ids)


def test_a_change_leaves_the_rest_alone(any_client: Client) -> None:
    """A merge patch sets what it names, and counts the version."""
    before = any_client.create(**WHOLE)
    after = any_client.changed(before, title="Written", labels=["ink"])
    moved = {"title": "Written", "labels": ["ink"], "version": 2}
    stamps = {name: after[name] for name in ("etag", "updated_at")}
    assert after == before | moved | stamps
    assert after["etag"] != before["etag"]
    assert any_client.get(f"/v1/tasks/{before['id']}").json() == after


def test_null_goes_back_to_the_default(any_client: Client) -> None:
    """RFC 7396: null removes a member."""
    cleared: dict[str, Any] = dict.fromkeys(
        ("description", "priority", "labels", "project", "assignee", "due_at")
    )
    after = any_client.changed(any_client.create(**WHOLE), **cleared)
    defaults = {"description": "", "priority": "none", "labels": []}
    assert {name: after[name] for name in cleared} == cleared | defaults


@pytest.mark.parametrize("field", ["title", "status"])
def test_what_a_task_cannot_lack_cannot_be_removed(client: Client, field: str) -> None:
    """A null title or status is refused, and says which field it was."""
    response = client.change(client.create(), **{field: None})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field


def test_an_empty_change_is_a_change_of_nothing(client: Client) -> None:
    """It needs the right tag like any other, and gives the task a new state."""
    before = client.create(**WHOLE)
    after = client.changed(before)
    kept = {*WHOLE, "id", "created_at"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_a_patch_that_is_no_object_is_refused(client: Client) -> None:
    """It would replace the task whole."""
    task = client.create()
    response = client.merge(task["id"], ["title"], {"If-Match": task["etag"]})
    assert response.status_code == 422


@pytest.mark.parametrize(("before", "after"), [(a, b) for a in MOVES for b in sorted(MOVES[a])])
def test_a_legal_move_is_made(client: Client, before: Status, after: Status) -> None:
    """Each move in the table works."""
    assert client.changed(client.create(status=before), status=after)["status"] == after


@pytest.mark.parametrize(("before", "after"), ILLEGAL)
def test_an_illegal_move_names_the_legal_ones(
    any_client: Client, before: Status, after: Status
) -> None:
    """The caller learns what it could do instead, and nothing has changed."""
    task = any_client.create(status=before)
    response = any_client.change(task, status=after, title="Half")
    assert response.status_code == 409
    assert response.json()["legal_moves"] == sorted(MOVES[before])
    assert any_client.get(f"/v1/tasks/{task['id']}").json() == task


def test_done_says_since_when(client: Client) -> None:
    """Completion is stamped with the move, kept while done, and gone when reopened."""
    done = client.changed(client.create(), status="done")
    assert done["completed_at"] == done["updated_at"]
    again = client.changed(done, status="done", title="Still done")
    assert again["completed_at"] == done["completed_at"]
    assert client.changed(again, status="todo")["completed_at"] is None


def test_a_task_can_begin_done(client: Client) -> None:
    """What was finished before it was written down is completed at once."""
    task = client.create(status="done")
    assert task["completed_at"] == task["created_at"]


def test_a_deleted_task_is_gone(any_client: Client) -> None:
    """Reading it, changing it and deleting what is there are all 404; no list has it."""
    task = any_client.create(**WHOLE)
    path, tag = f"/v1/tasks/{task['id']}", {"If-Match": task["etag"]}
    assert any_client.delete(path, headers=tag).status_code == 204
    assert any_client.get(path).status_code == 404
    assert any_client.delete(path, headers={"If-Match": "*"}).status_code == 404
    assert any_client.change(task, title="x").status_code == 404
    assert any_client.merge(task["id"], {"title": "x"}, {"If-Match": "*"}).status_code == 404
    for sort in Sort:
        for query in ({}, {"status": "in_progress"}, {"project": "memory"}, {"assignee": "ada"}):
            assert any_client.titles(**query, sort=sort.value) == []


def test_a_deletion_can_be_repeated(any_client: Client) -> None:
    """Whoever deletes the same state hears the same; another state is not there."""
    first = any_client.create()
    second = any_client.changed(first, title="Newer")
    path = f"/v1/tasks/{first['id']}"
    for _ in range(2):
        assert any_client.delete(path, headers={"If-Match": second["etag"]}).status_code == 204
    assert any_client.delete(path, headers={"If-Match": first["etag"]}).status_code == 404


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_stale_tag_changes_nothing(any_client: Client, method: str) -> None:
    """The answer carries the tag that would have matched."""
    old = any_client.create()
    current = any_client.changed(old, title="Newer")
    response = any_client.request(
        method,
        f"/v1/tasks/{old['id']}",
        headers={"If-Match": old["etag"], "Content-Type": "application/merge-patch+json"},
        content="{}" if method == "PATCH" else b"",
    )
    assert response.status_code == 412
    assert response.headers["ETag"] == response.json()["current_etag"] == current["etag"]
    assert any_client.get(f"/v1/tasks/{old['id']}").json() == current


def test_a_stale_tag_outweighs_an_illegal_move(client: Client) -> None:
    """A caller that has not seen the task cannot judge its moves."""
    task = client.create()
    client.changed(task, status="done")
    assert client.change(task, status="cancelled").status_code == 412


@pytest.mark.parametrize("tags", ["*", '"0000000000000000", {etag}', '{etag},W/"x"'])
def test_a_matching_tag_may_stand_in_a_list(any_client: Client, tags: str) -> None:
    """RFC 9110: a star matches whatever is there, a list matches by any member."""
    task = any_client.create()
    header = {"If-Match": tags.format(**task)}
    assert any_client.merge(task["id"], {"title": "x"}, header).status_code == 200


@pytest.mark.parametrize("tags", ["W/{etag}", '"1"', '""'])
def test_a_tag_that_is_weak_or_not_ours_never_matches(any_client: Client, tags: str) -> None:
    """If-Match compares strongly."""
    task = any_client.create()
    header = {"If-Match": tags.format(**task)}
    assert any_client.merge(task["id"], {"title": "x"}, header).status_code == 412


def test_a_star_does_not_make_a_task(any_client: Client) -> None:
    """If-Match: * is false where nothing is."""
    gone = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    assert any_client.merge(gone, {"title": "x"}, {"If-Match": "*"}).status_code == 404
    assert any_client.get(f"/v1/tasks/{gone}").status_code == 404


@pytest.mark.parametrize(("prefix", "status"), [("", 304), ("W/", 304), ('"0", ', 304)])
def test_a_client_that_has_the_task_is_told_so(client: Client, prefix: str, status: int) -> None:
    """If-None-Match compares weakly; the answer has a tag and no body."""
    task = client.create()
    headers = {"If-None-Match": prefix + task["etag"]}
    response = client.get(f"/v1/tasks/{task['id']}", headers=headers)
    assert (response.status_code, response.content) == (status, b"")
    assert response.headers["ETag"] == task["etag"]


def test_a_client_with_an_old_state_gets_the_new_one(client: Client) -> None:
    """A tag that no longer holds costs a whole answer."""
    old = client.create()
    client.changed(old, title="Newer")
    headers = {"If-None-Match": old["etag"]}
    assert client.get(f"/v1/tasks/{old['id']}", headers=headers).json()["title"] == "Newer"


@pytest.mark.parametrize("task_id", ["nope", "01arz3ndektsv4rrffq69g5fav", "..", "a%2Fb", "%00"])
def test_what_cannot_be_an_id_is_no_task(client: Client, task_id: str) -> None:
    """There is one answer for every id that is not there."""
    assert client.get(f"/v1/tasks/{task_id}").status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", " \t"),
        ("title", "x" * 201),
        ("title", 1),
        ("description", "x" * 8001),
        ("status", "open"),
        ("priority", "2"),
        ("labels", "x"),
        ("labels", ["x", "x"]),
        ("labels", [""]),
        ("labels", ["x" * 51]),
        ("labels", [str(n) for n in range(21)]),
        ("project", ""),
        ("project", "x" * 101),
        ("assignee", "x" * 101),
        ("due_at", "tomorrow"),
        ("due_at", "2027-01-31"),
        ("due_at", "2027-01-31T10:30:00"),
        ("due_at", "2027-02-30T10:30:00Z"),
        ("due_at", "9999-12-31T23:59:59-01:00"),
        ("due_at", 1800000000),
        ("id", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("version", 7),
    ],
)
def test_a_field_out_of_bounds_is_named(client: Client, field: str, value: object) -> None:
    """The answer says which field it is."""
    response = client.post("/v1/tasks", json={"title": "x", field: value})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"].startswith(field)


def test_the_largest_task_fits(any_client: Client) -> None:
    """Every field at its limit, every character a JSON escape, is under the body limit."""
    wide = "\N{GRINNING FACE}"
    labels = [f"{n:02}" + wide * 48 for n in range(20)]
    task = any_client.create(
        wide * 200,
        description=wide * 8000,
        labels=labels,
        project=wide * 100,
        assignee=wide * 100,
    )
    assert any_client.get(f"/v1/tasks/{task['id']}").json() == task
    assert any_client.walk(project=wide * 100) == [task]


def test_times_have_one_width() -> None:
    """Whatever its precision and offset, a time is stored as text that sorts."""
    stamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    read = TypeAdapter(Moment).validate_python
    for text in ("0001-01-01T00:00:00z", "2027-01-31t10:30:00.123456789+05:30"):
        assert stamp.fullmatch(read(text))
