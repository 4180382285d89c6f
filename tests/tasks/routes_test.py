"""The routes of a single task, on both emulators."""

import json
import re
from typing import Any

import pytest
from pydantic import TypeAdapter

from api.tasks.list_models import Sort
from api.tasks.models import MOVES, Status
from api.values import Bound, Timestamp
from tests.support.builders import Client

FULL: dict[str, Any] = {
    "title": "Write it down",
    "description": "Before it is forgotten",
    "status": "in_progress",
    "priority": "high",
    "labels": ["paper", "pen"],
    "project": "memory",
    "assignee": "ada",
    "due_at": "2027-01-31T10:30:00+01:00",
}
UNKNOWN_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
INVALID: dict[str, list[object]] = {
    "title": ["", " ", "\u200b\u3164\ufe0f", "\U000e0061", "\0x", "x\ny", "x" * 201, "\ud800", 1],
    "description": ["x" * 8001, "x\0"],
    "status": ["open"],
    "priority": ["2"],
    "labels": [
        "x",
        ["x", "x"],
        ["x", " x"],
        ["\u00e9", "e\u0301"],
        [""],
        ["\u00ad"],
        ["x" * 51],
        [str(n) for n in range(21)],
    ],
    "project": ["", "\u2800", "a\x85b", "x" * 101],
    "assignee": ["x" * 101, "\u200e"],
    "due_at": [
        "tomorrow",
        "2027-01-31",
        "2027-01-31T10:30:00",
        "2027-02-30T10:30:00Z",
        "9999-12-31T23:59:59-01:00",
        "2027-01-31T24:00:00Z",
        "2027-01-31T10:30:60Z",
        "2027-01-31T10:30:00+00:99",
        "2027-01-31T10:30:00-05:60",
        "2027-01-31T10:30:00+24:00",
        1800000000,
    ],
    "id": [UNKNOWN_ID],
    "version": [7],
}
LEGAL = [(a, b) for a in MOVES for b in sorted(MOVES[a])]
ILLEGAL = [(a, b) for a in Status for b in Status if a is not b and b not in MOVES[a]]


def test_every_field_is_stored_and_due_times_become_utc(any_client: Client) -> None:
    task = any_client.create(**FULL)
    read = any_client.get(f"/v1/tasks/{task['id']}").json()
    assert read == task
    assert {name: read[name] for name in FULL} == FULL | {"due_at": "2027-01-31T09:30:00.000Z"}


def test_a_task_needs_only_a_title_and_the_response_has_the_defaults(any_client: Client) -> None:
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
        "created_by": {"key_id": None, "label": "anonymous"},
        "updated_by": {"key_id": None, "label": "anonymous"},
        "comment_count": 0,
        "version": 1,
    }


def test_a_create_returns_the_location_and_the_etag(client: Client) -> None:
    response = client.post("/v1/tasks", json={"title": "x"})
    assert client.get(response.headers["Location"]).json() == response.json()
    assert response.headers["ETag"] == response.json()["etag"]


def test_ids_sort_by_time_of_creation(client: Client) -> None:
    ids = [client.create()["id"] for _ in range(3)]
    assert [i[:10] for i in ids] == sorted(i[:10] for i in ids)


def test_a_change_sets_the_fields_it_names_and_keeps_the_rest(any_client: Client) -> None:
    before = any_client.create(**FULL)
    after = any_client.changed(before, title="Written", labels=["ink"])
    expected = {"title": "Written", "labels": ["ink"], "version": 2}
    generated = {name: after[name] for name in ("etag", "updated_at")}
    assert after == before | expected | generated
    assert after["etag"] != before["etag"]
    assert any_client.get(f"/v1/tasks/{before['id']}").json() == after


def test_null_resets_a_field_to_its_default(any_client: Client) -> None:
    cleared: dict[str, Any] = dict.fromkeys(
        ("description", "priority", "labels", "project", "assignee", "due_at")
    )
    after = any_client.changed(any_client.create(**FULL), **cleared)
    defaults = {"description": "", "priority": "none", "labels": []}
    assert {name: after[name] for name in cleared} == cleared | defaults


@pytest.mark.parametrize("field", ["title", "status"])
def test_null_is_refused_for_a_required_field_and_the_problem_names_it(
    client: Client, field: str
) -> None:
    response = client.change(client.create(), **{field: None})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field


def test_an_empty_change_keeps_every_field(client: Client) -> None:
    before = client.create(**FULL)
    after = client.changed(before)
    kept = {*FULL, "id", "created_at"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_a_merge_patch_that_is_not_an_object_is_refused(client: Client) -> None:
    task = client.create()
    response = client.merge(task["id"], ["title"], {"If-Match": task["etag"]})
    assert response.status_code == 422


@pytest.mark.parametrize(("before", "after"), LEGAL)
def test_a_legal_move_is_made(client: Client, before: Status, after: Status) -> None:
    assert client.changed(client.create(status=before), status=after)["status"] == after


@pytest.mark.parametrize(("before", "after"), ILLEGAL)
def test_an_illegal_move_changes_nothing_and_the_problem_lists_the_legal_ones(
    any_client: Client, before: Status, after: Status
) -> None:
    task = any_client.create(status=before)
    response = any_client.change(task, status=after, title="Half")
    assert response.status_code == 409
    assert response.json()["legal_moves"] == sorted(MOVES[before])
    assert any_client.get(f"/v1/tasks/{task['id']}").json() == task


def test_completed_at_is_set_by_done_kept_while_done_and_removed_by_reopening(
    client: Client,
) -> None:
    created_done = client.create(status="done")
    assert created_done["completed_at"] == created_done["created_at"]
    done = client.changed(client.create(), status="done")
    assert done["completed_at"] == done["updated_at"]
    again = client.changed(done, status="done", title="Still done")
    assert again["completed_at"] == done["completed_at"]
    assert client.changed(again, status="todo")["completed_at"] is None


def test_a_deleted_task_is_not_found_and_in_no_list(any_client: Client) -> None:
    task = any_client.create(**FULL)
    path = f"/v1/tasks/{task['id']}"
    assert any_client.delete(path, headers={"If-Match": task["etag"]}).status_code == 204
    assert any_client.get(path).status_code == 404
    assert any_client.delete(path, headers={"If-Match": "*"}).status_code == 404
    assert any_client.change(task, title="x").status_code == 404
    assert any_client.merge(task["id"], {"title": "x"}, {"If-Match": "*"}).status_code == 404
    for sort in Sort:
        for query in ({}, {"status": "in_progress"}, {"project": "memory"}, {"assignee": "ada"}):
            assert any_client.titles(**query, sort=sort.value) == []


def test_a_repeated_deletion_succeeds_for_the_deleted_state_only(any_client: Client) -> None:
    first = any_client.create()
    second = any_client.changed(first, title="Newer")
    path = f"/v1/tasks/{first['id']}"
    for _ in range(2):
        assert any_client.delete(path, headers={"If-Match": second["etag"]}).status_code == 204
    assert any_client.delete(path, headers={"If-Match": first["etag"]}).status_code == 404


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_stale_etag_changes_nothing_and_the_response_has_the_current_one(
    any_client: Client, method: str
) -> None:
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


def test_a_stale_etag_is_reported_before_an_illegal_move(client: Client) -> None:
    """A client that has not seen the current state cannot judge its moves."""
    task = client.create()
    client.changed(task, status="done")
    assert client.change(task, status="cancelled").status_code == 412


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        ("*", 200),
        ('"0000000000000000", {etag}', 200),
        ('{etag},W/"x"', 200),
        ("W/{etag}", 412),
        ('"1"', 412),
        ('""', 412),
    ],
)
def test_if_match_accepts_a_star_or_a_list_and_compares_strongly(
    any_client: Client, if_match: str, status: int
) -> None:
    task = any_client.create()
    headers = {"If-Match": if_match.format(**task)}
    assert any_client.merge(task["id"], {"title": "x"}, headers).status_code == status


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
def test_if_match_star_does_not_create_a_task(any_client: Client, headers: dict[str, str]) -> None:
    headers = {"If-Match": "*", **headers}
    assert any_client.merge(UNKNOWN_ID, {"title": "x"}, headers).status_code == 404
    assert any_client.get(f"/v1/tasks/{UNKNOWN_ID}").status_code == 404


@pytest.mark.parametrize("prefix", ["", "W/", '"0", '])
def test_if_none_match_gets_a_304_only_if_the_etag_is_current(client: Client, prefix: str) -> None:
    """The comparison is weak; the response has the ETag and no body."""
    task = client.create()
    headers = {"If-None-Match": prefix + task["etag"]}
    response = client.get(f"/v1/tasks/{task['id']}", headers=headers)
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["ETag"] == task["etag"]
    newer = client.changed(task, title="Newer")
    assert client.get(f"/v1/tasks/{task['id']}", headers=headers).json() == newer


@pytest.mark.parametrize("task_id", ["nope", UNKNOWN_ID.lower(), "..", "a%2Fb", "%00"])
def test_a_malformed_id_is_not_found(client: Client, task_id: str) -> None:
    assert client.get(f"/v1/tasks/{task_id}").status_code == 404


@pytest.mark.parametrize(
    ("field", "value"), [(name, value) for name in INVALID for value in INVALID[name]]
)
def test_an_invalid_field_is_refused_and_the_problem_names_it(
    client: Client, field: str, value: object
) -> None:
    # Escaped, because a lone surrogate has no UTF-8.
    content = json.dumps({"title": "x", field: value})
    response = client.post(
        "/v1/tasks", content=content, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"].startswith(field)


def test_a_task_with_every_field_at_its_limit_is_accepted(any_client: Client) -> None:
    # As a JSON escape, this character is the longest that a client can send.
    wide = "\N{GRINNING FACE}"
    fields = {
        "title": wide * 200,
        "description": wide * 8000,
        "labels": [f"{n:02}" + wide * 48 for n in range(20)],
        "project": wide * 100,
        "assignee": wide * 100,
    }
    headers = {"Content-Type": "application/json"}
    response = any_client.post("/v1/tasks", content=json.dumps(fields), headers=headers)
    assert response.status_code == 201, response.text
    task = response.json()
    assert any_client.get(f"/v1/tasks/{task['id']}").json() == task
    assert any_client.walk(project=wide * 100) == [task]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00z", "2027-01-31t10:30:00.123456789+05:30"])
def test_times_of_any_precision_and_offset_are_stored_in_one_width(text: str) -> None:
    """Times of one width sort as text."""
    stored = TypeAdapter(Timestamp).validate_python(text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stored)


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ("2027-01-01T00:00:00.0005Z", "2027-01-01T00:00:00.001Z"),
        ("2027-01-01T00:00:00.9990000001+00:00", "2027-01-01T00:00:01.000Z"),
        ("2027-01-01T00:00:00.0010000Z", "2027-01-01T00:00:00.001Z"),
    ],
)
def test_a_bound_between_two_milliseconds_is_the_later_one(bound: str, expected: str) -> None:
    assert TypeAdapter(Bound).validate_python(bound) == expected


@pytest.mark.parametrize("sort", ["due", "created"])
def test_a_bound_cuts_between_the_tasks_before_and_after_it(client: Client, sort: str) -> None:
    """Although times are stored to the millisecond, and the bound lies between two."""
    bound = "2027-01-01T00:00:00.0005Z"
    client.create("before", due_at="2027-01-01T00:00:00Z")
    client.create("after", due_at="2027-01-01T00:00:00.001Z")
    assert client.titles(due_before=bound, sort=sort) == ["before"]
    assert client.titles(due_from=bound, sort=sort) == ["after"]


DECOMPOSED, COMPOSED = " cafe\u0301 ", "caf\u00e9"


def test_names_and_labels_that_look_alike_are_one(client: Client) -> None:
    """In a body, in a merge patch and in a filter; they are NFC without surrounding whitespace."""
    fields = {"project": DECOMPOSED, "assignee": DECOMPOSED, "labels": [DECOMPOSED]}
    expected = {"project": COMPOSED, "assignee": COMPOSED, "labels": [COMPOSED]}
    created = client.create(DECOMPOSED, **fields)
    changed = client.changed(client.create("other"), title=DECOMPOSED, **fields)
    for task in (created, changed):
        assert {**task, **expected, "title": COMPOSED} == task
    for name in ("project", "assignee", "label"):
        assert client.titles(**{name: DECOMPOSED}) == [COMPOSED] * 2


def test_a_text_is_as_long_as_its_normal_form(client: Client) -> None:
    task = client.create("  " + "e\u0301" * 200)
    assert task["title"] == "\u00e9" * 200


@pytest.mark.parametrize("query", [{"label": "\u200b"}, {"project": "a\nb"}, {"assignee": "\t"}])
def test_a_filter_that_no_task_can_match_is_refused_by_name(
    client: Client, query: dict[str, str]
) -> None:
    response = client.get("/v1/tasks", params=query)
    assert response.status_code == 422
    fields = [error["field"].partition("/")[0] for error in response.json()["errors"]]
    assert fields == list(query)


def test_a_description_may_have_lines(client: Client) -> None:
    assert client.create(description="a\n\tb\r\n")["description"] == "a\n\tb\r\n"
