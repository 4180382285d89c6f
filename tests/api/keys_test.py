"""The form of a key: what is one, and that nothing near it is."""

import re

from hypothesis import given
from hypothesis import strategies as st

from api import keys

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
KEY = keys.make(ID)
# For scanners of secrets: SECURITY.md has it, too.
PATTERN = r"tt_[0-9A-HJKMNP-TV-Z]{26}_[0-9a-f]{64}_[0-9a-f]{8}"


def test_a_key_can_be_read() -> None:
    """It names itself, and its digest is not its secret."""
    presented = keys.read(KEY)
    assert presented
    assert presented.id == ID
    assert len(presented.digest) == 64
    assert presented.digest not in KEY
    assert re.fullmatch(PATTERN, KEY)


def test_no_two_keys_are_the_same() -> None:
    """Though they have one id."""
    assert len({keys.make(ID) for _ in range(100)}) == 100


@given(st.integers(0, len(KEY) - 1), st.characters())
def test_one_wrong_character_is_noticed(position: int, character: str) -> None:
    """Whichever it is: nobody asks a table for a typing error."""
    changed = KEY[:position] + character + KEY[position + 1 :]
    assert (keys.read(changed) is not None) == (changed == KEY)


@given(st.text())
def test_no_other_text_is_a_key(text: str) -> None:
    """Not even one with a key in it."""
    assert keys.read(text) is None
    if text:
        assert keys.read(KEY + text) is None
        assert keys.read(text + KEY) is None
