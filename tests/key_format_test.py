"""The format of an API key."""

import re

from hypothesis import given
from hypothesis import strategies as st

from api import key_format

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
KEY = key_format.generate(ID)
# The pattern for secret scanners, as in SECURITY.md.
PATTERN = r"tt_[0-9A-HJKMNP-TV-Z]{26}_[0-9a-f]{64}_[0-9a-f]{8}"


def test_a_key_contains_its_id_and_its_secret_only() -> None:
    """The stored digest cannot be read from it."""
    presented = key_format.parse(KEY)
    assert presented
    assert presented.id == ID
    assert len(presented.digest) == 64
    assert presented.digest not in KEY
    assert re.fullmatch(PATTERN, KEY)


def test_each_key_has_a_secret_of_its_own() -> None:
    assert len({key_format.generate(ID) for _ in range(100)}) == 100


@given(st.integers(0, len(KEY) - 1), st.characters())
def test_a_key_with_one_wrong_character_is_malformed(position: int, character: str) -> None:
    """A typing error is refused without a look-up."""
    changed = KEY[:position] + character + KEY[position + 1 :]
    assert (key_format.parse(changed) is not None) == (changed == KEY)


@given(st.text())
def test_other_text_is_no_key(text: str) -> None:
    """Nor is text that contains a key."""
    assert key_format.parse(text) is None
    if text:
        assert key_format.parse(KEY + text) is None
        assert key_format.parse(text + KEY) is None
