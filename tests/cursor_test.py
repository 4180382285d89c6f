"""Cursors: signed, so that clients cannot forge them, and valid for one list only."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursor import MAC_BYTES, Cursors
from api.errors import InvalidCursor
from tests.support.builders import SECRET, Client

CURSORS = Cursors(SECRET)


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_cursor_contains_its_position(position: str, context: str) -> None:
    assert CURSORS.open(CURSORS.seal(position, context), context) == position


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_a_cursor_is_invalid_in_another_context(position: str, context: str, other: str) -> None:
    if context != other:
        with pytest.raises(InvalidCursor):
            CURSORS.open(CURSORS.seal(position, context), other)


def test_a_cursor_with_any_character_changed_is_invalid() -> None:
    """Also in the bits of the last character that Base64 does not use."""
    cursor = CURSORS.seal_bytes(b"position#1", "context")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ é"
    forged = {
        cursor[:place] + character + cursor[place + 1 :]
        for place in range(len(cursor))
        for character in alphabet
    } - {cursor}
    for attempt in forged | {cursor + "A", cursor[:-1], cursor + "=", "", "AAAA"}:
        with pytest.raises(InvalidCursor):
            CURSORS.open(attempt, "context")


def test_a_cursor_is_invalid_after_a_change_of_the_secret() -> None:
    with pytest.raises(InvalidCursor):
        Cursors(SECRET + "!").open(CURSORS.seal("position", "context"), "context")


def test_the_boundary_between_context_and_position_is_signed() -> None:
    """The signature of context `a` and position `bc` does not fit context `ab` and position `c`."""
    mac = base64.urlsafe_b64decode(CURSORS.seal_bytes(b"bc", "a"))[:MAC_BYTES]
    forged = base64.urlsafe_b64encode(mac + b"c").decode().rstrip("=")
    with pytest.raises(InvalidCursor):
        CURSORS.open(forged, "ab")


@pytest.mark.parametrize(
    "changed",
    [{"sort": "due"}, {"status": "todo"}, {"project": "x"}, {"label": "x"}],
)
def test_a_list_refuses_the_cursor_of_another_list(client: Client, changed: dict[str, str]) -> None:
    """A foreign and a forged cursor get the same response, except for the request's id."""
    for _ in range(3):
        client.create()
    cursor = client.page(limit=1)["next_cursor"]
    forged = base64.urlsafe_b64encode(b"x" * 48).decode()
    responses = [
        client.get("/v1/tasks", params={**changed, "cursor": foreign}).json()
        for foreign in (cursor, forged, "", "é")
    ]
    assert {response.pop("status") for response in responses} == {400}
    assert len({response.pop("request_id") for response in responses}) == 4
    assert all(response == responses[0] for response in responses)


def test_the_limit_may_change_from_page_to_page(client: Client) -> None:
    for title in "abc":
        client.create(title)
    cursor = client.page(limit=1)["next_cursor"]
    assert client.titles(limit=50, cursor=cursor) == ["b", "a"]
