"""Text that people can see."""

import re
import unicodedata

import pytest
from pydantic import TypeAdapter, ValidationError

from api.tasks.models import CommentText, NewTask
from api.values import LINES_PATTERN, MAX_COMBINING, TEXT_PATTERN, Name

parse_lines = TypeAdapter(CommentText).validate_python
parse_name = TypeAdapter(Name).validate_python

VISIBLE_FORMATS = {"\u0600", "\u06dd", "\u08e2", "\U000110bd"}


def is_text(character: str) -> bool:
    try:
        return bool(parse_name(character))
    except ValidationError:
        return False


def test_controls_and_spaces_are_no_text_and_letters_digits_and_punctuation_are() -> None:
    for code in range(0x110000):
        category = unicodedata.category(character := chr(code))
        if category in {"Cc", "Zl", "Zp", "Zs"}:
            assert not is_text(character), hex(code)
        if category[0] in "LNP" and "FILLER" not in unicodedata.name(character, ""):
            assert is_text(character), hex(code)


@pytest.mark.parametrize("character", ["\u00ad", "\u034f", "\u200d", "\u202e", "\u3164", "\ufeff"])
def test_the_documented_pattern_refuses_default_ignorable_characters(character: str) -> None:
    assert not re.search(TEXT_PATTERN, character)
    assert re.search(TEXT_PATTERN, f"{character}x")


@pytest.mark.parametrize("character", ["\U000e0061", "\U000e01ef", "\U0001d173"])
def test_those_beyond_ffff_are_refused_as_well(character: str) -> None:
    assert not is_text(character)


@pytest.mark.parametrize("character", sorted(VISIBLE_FORMATS))
def test_a_format_character_with_a_shape_is_text(character: str) -> None:
    assert is_text(character)


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


def test_text_of_several_lines_is_kept_in_nfc_without_surrounding_whitespace() -> None:
    assert parse_lines(" \n e\u0301\n\ttwo \n") == "\u00e9\n\ttwo"


def test_text_of_several_lines_has_its_length_after_that() -> None:
    assert len(parse_lines(" " * 100 + "e\u0301" * 8000)) == 8000
    with pytest.raises(ValidationError, match="at most 8000 characters"):
        parse_lines("x" * 8001)


@pytest.mark.parametrize("text", ["", " \n", "\u200b\n\u3164", "a\0b"])
def test_text_without_a_visible_character_or_with_a_nul_is_refused(text: str) -> None:
    """The documented pattern refuses it, too."""
    with pytest.raises(ValidationError):
        parse_lines(text)
    assert not re.search(LINES_PATTERN, text)


def test_text_that_would_take_long_to_normalise_is_refused() -> None:
    """More combining characters in a row than Unicode's Stream-Safe Text Format has."""
    assert parse_lines("a" + "\u0315" * MAX_COMBINING)
    with pytest.raises(ValidationError, match="combining characters in a row"):
        parse_lines("a" + "\u0315\u0323" * MAX_COMBINING)
