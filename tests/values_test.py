"""Text that people can see."""

import re
import unicodedata

import pytest
from pydantic import ValidationError

from api.tasks.models import NewTask
from api.values import EXACT_TEXT_PATTERN, TEXT_PATTERN

VISIBLE_FORMATS = {"\u0600", "\u06dd", "\u08e2", "\U000110bd"}


def test_controls_and_spaces_are_no_text_and_letters_digits_and_punctuation_are() -> None:
    for code in range(0x110000):
        category = unicodedata.category(character := chr(code))
        if category in {"Cc", "Zl", "Zp", "Zs"}:
            assert not re.search(EXACT_TEXT_PATTERN, character), hex(code)
        if category[0] in "LNP" and "FILLER" not in unicodedata.name(character, ""):
            assert re.search(EXACT_TEXT_PATTERN, character), hex(code)


@pytest.mark.parametrize("character", ["\u00ad", "\u034f", "\u200d", "\u202e", "\u3164", "\ufeff"])
def test_the_documented_pattern_refuses_default_ignorable_characters(character: str) -> None:
    assert not re.search(TEXT_PATTERN, character)
    assert re.search(TEXT_PATTERN, f"{character}x")


@pytest.mark.parametrize("character", ["\U000e0061", "\U000e01ef", "\U0001d173"])
def test_the_exact_pattern_refuses_those_beyond_ffff_as_well(character: str) -> None:
    assert not re.search(EXACT_TEXT_PATTERN, character)


@pytest.mark.parametrize("character", sorted(VISIBLE_FORMATS))
def test_a_format_character_with_a_shape_is_text(character: str) -> None:
    assert re.search(EXACT_TEXT_PATTERN, character)


def test_text_that_is_much_too_long_is_refused_before_it_is_normalised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Normalising takes time with the square of the length: seconds for a body of 128 KiB."""
    lengths: list[int] = []

    def normalize(_form: str, text: str) -> str:
        lengths.append(len(text))
        return text

    monkeypatch.setattr(unicodedata, "normalize", normalize)
    with pytest.raises(ValidationError, match="at most 200 characters"):
        NewTask(title="a" + "\u0315" * 16_000 + "\u0323" * 16_000)
    assert lengths == []
