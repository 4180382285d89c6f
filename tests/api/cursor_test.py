"""Cursors: whoever did not get one from us cannot have one."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursor import Cursors
from api.errors import BadCursor
from tests.support.builders import SECRET, Client

CURSORS = Cursors(SECRET)


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_cursor_opens_where_it_was_sealed(position: str, context: str) -> None:
    """Any position in any list survives the trip."""
    assert CURSORS.open(CURSORS.seal(position, context), context) == position


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_a_cursor_belongs_to_its_list(position: str, context: str, other: str) -> None:
    """Another caller, filter or sort cannot use it."""
    if context != other:
        with pytest.raises(BadCursor):
            CURSORS.open(CURSORS.seal(position, context), other)


def test_no_single_character_can_be_changed() -> None:
    """Every other character at every place is refused, unused bits at the end included."""
    cursor = CURSORS.seal("position#1", "context")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ é"
    forged = {
        cursor[:place] + character + cursor[place + 1 :]
        for place in range(len(cursor))
        for character in alphabet
    } - {cursor}
    for attempt in forged | {cursor + "A", cursor[:-1], cursor + "=", "", "AAAA"}:
        with pytest.raises(BadCursor):
            CURSORS.open(attempt, "context")


def test_another_secret_makes_other_cursors() -> None:
    """A secret that changed ends the walks begun under the old one."""
    with pytest.raises(BadCursor):
        Cursors(SECRET + "!").open(CURSORS.seal("position", "context"), "context")


def test_position_and_context_do_not_run_together() -> None:
    """What moves from one into the other is another cursor."""
    with pytest.raises(BadCursor):
        CURSORS.open(CURSORS.seal("bc", "a"), "ab")


@pytest.mark.parametrize(
    "changed",
    [{"sort": "due"}, {"status": "todo"}, {"project": "x"}, {"label": "x"}],
)
def test_a_list_takes_only_its_own_cursors(client: Client, changed: dict[str, str]) -> None:
    """A foreign cursor and a forged one get the same answer, but for the request's id."""
    for _ in range(3):
        client.create()
    cursor = client.page(limit=1)["next_cursor"]
    forged = base64.urlsafe_b64encode(b"x" * 48).decode()
    answers = [
        client.get("/v1/tasks", params={**changed, "cursor": foreign}).json()
        for foreign in (cursor, forged, "", "é")
    ]
    assert {answer.pop("status") for answer in answers} == {400}
    assert len({answer.pop("request_id") for answer in answers}) == 4
    assert all(answer == answers[0] for answer in answers)


def test_a_page_can_change_its_size_under_way(client: Client) -> None:
    """The limit is no part of the list."""
    for title in "abc":
        client.create(title)
    cursor = client.page(limit=1)["next_cursor"]
    assert client.titles(limit=50, cursor=cursor) == ["b", "a"]
