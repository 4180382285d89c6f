"""Value types that several packages share: timestamps, names, ids, page sizes."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from itertools import groupby
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import CoreSchema, core_schema
from ulid import ULID

ULID_PATTERN = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_ULID = re.compile(ULID_PATTERN, re.ASCII)
# Every part has its range: the Pythons differ in what else datetime.fromisoformat accepts.
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.(?P<fraction>\d+))?"
    r"(Z|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII | re.IGNORECASE,
)
_MILLISECOND_DIGITS = 3

_CONTROLS = r"\u0000-\u001f\u007f-\u009f"
# Characters that leave no mark: spaces, format characters, what Unicode calls default ignorable,
# such as Hangul fillers and variation selectors, and the blank of Braille.
_INVISIBLE = _CONTROLS + (
    r" \u00a0\u00ad\u034f\u061c\u070f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\ufffb"
)
_INVISIBLE_BEYOND_FFFF = (
    r"\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff"
)
_CONTROL = re.compile(f"[{_CONTROLS}]")
_VISIBLE = re.compile(f"[^{_INVISIBLE}{_INVISIBLE_BEYOND_FFFF}]")

# Clients differ in how their regular expressions write characters beyond U+FFFF, so the document
# leaves those out.
TEXT_PATTERN = f"^[^{_CONTROLS}]*[^{_INVISIBLE}][^{_CONTROLS}]*$"
LINES_PATTERN = rf"^[^\u0000]*[^{_INVISIBLE}][^\u0000]*$"

# Room for the longest text in its decomposed form.
MAX_NORMALISED = 1000
# Of Unicode's Stream-Safe Text Format: with more, normalising takes time with the square of them.
MAX_COMBINING = 30


def new_ulid(now: datetime) -> str:
    """Make an id that sorts by the given time."""
    return str(ULID.from_datetime(now))


def ulid_of(now: datetime, unique: bytes) -> str:
    """Make the id of a time and ten bytes."""
    return str(ULID.from_bytes(epoch_milliseconds(now).to_bytes(6, "big") + unique))


def is_ulid(text: str) -> bool:
    return _ULID.fullmatch(text) is not None


def rfc3339(moment: datetime) -> str:
    """Format a time as UTC to the millisecond; the fixed width makes the text sortable."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def reason_of(message: str) -> str:
    """Return an error's message without pydantic's words before the text of our own validators."""
    return message.removeprefix("Value error, ")


def epoch_milliseconds(moment: datetime) -> int:
    """Return the whole milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds between two timestamps; 0 where clocks disagree about their order."""
    passed = datetime.fromisoformat(later) - datetime.fromisoformat(earlier)
    return max(0, passed.total_seconds())


def is_loopback(host: str) -> bool:
    """Return whether a peer is on this host; text that is not an IP address is not."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _to_utc(value: object, step: timedelta = timedelta()) -> str:
    """Return a timestamp; a time between two milliseconds is moved by the step and cut down."""
    found = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be RFC 3339 with an offset, such as 2027-01-31T09:30:00Z")
    is_between = (found["fraction"] or "")[_MILLISECOND_DIGITS:].strip("0") != ""
    try:
        moment = datetime.fromisoformat(found[0].upper())
        return rfc3339(moment + step if is_between else moment)
    except (ValueError, OverflowError):
        raise ValueError("no such date or time in UTC") from None


def _to_bound(value: object) -> str:
    return _to_utc(value, timedelta(milliseconds=1))


def _to_visible_text(value: object, validate: ValidatorFunctionWrapHandler) -> str:
    """Return text in NFC without surrounding whitespace, which makes equal what looks alike."""
    # Longer text is refused for its length: normalising takes time with the square of it.
    if isinstance(value, str) and len(value) <= MAX_NORMALISED:
        if _CONTROL.search(value):
            raise ValueError("must not contain control characters")
        value = unicodedata.normalize("NFC", value).strip()
    text: str = validate(value)
    if not _VISIBLE.search(text):
        raise ValueError("must have a visible character")
    return text


def _to_visible_lines(value: object, validate: ValidatorFunctionWrapHandler) -> str:
    """Return text of any number of lines in NFC without surrounding whitespace."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("must not contain NUL")
        if not _is_stream_safe(value):
            raise ValueError(
                f"must not have more than {MAX_COMBINING} combining characters in a row"
            )
        value = unicodedata.normalize("NFC", value).strip()
    text: str = validate(value)
    if not _VISIBLE.search(text):
        raise ValueError("must have a visible character")
    return text


def _is_stream_safe(text: str) -> bool:
    if text.isascii():
        return True
    runs = groupby(text, lambda character: unicodedata.combining(character) > 0)
    return all(len(list(run)) <= MAX_COMBINING for are_combining, run in runs if are_combining)


@dataclass(frozen=True, slots=True)
class Matching:
    """A pattern of a text, and what its error says instead of repeating the pattern."""

    pattern: str
    hint: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern}

    def _check(self, text: str) -> str:
        if re.fullmatch(self.pattern, text, re.ASCII) is None:
            raise ValueError(self.hint)
        return text


class NamedEnum(StrEnum):
    """An enumeration whose members keep their names in generated clients."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        json_schema = handler(schema)
        # As generators of clients read it: a reference stays one, its target gets the names.
        handler.resolve_ref_schema(json_schema)["x-enum-varnames"] = [each.name for each in cls]
        return json_schema


_DATE_TIME = WithJsonSchema({"type": "string", "format": "date-time"})
# A timestamp stays the text that DynamoDB stores: parsed once on input, never again.
Timestamp = Annotated[str, BeforeValidator(_to_utc), _DATE_TIME]
# A bound of a range of timestamps. Those are whole milliseconds, so the next one stands for it:
# what lies before it, or from it on, is the same.
Bound = Annotated[str, BeforeValidator(_to_bound), _DATE_TIME]
# Beside the length of a text, which is that of the normalised one.
VISIBLE_TEXT = WrapValidator(_to_visible_text)
VISIBLE_TEXT_SCHEMA = Field(json_schema_extra={"pattern": TEXT_PATTERN})
VISIBLE_LINES = WrapValidator(_to_visible_lines)
VISIBLE_LINES_SCHEMA = Field(json_schema_extra={"pattern": LINES_PATTERN})
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=100), VISIBLE_TEXT, VISIBLE_TEXT_SCHEMA
]
MAX_PAGE_LIMIT = 100
PageLimit = Annotated[
    int, Field(ge=1, le=MAX_PAGE_LIMIT, description="Items a page holds at most.", examples=[10])
]
DEFAULT_PAGE_LIMIT = 25
EXAMPLE_CURSOR = "WzEsIjAxQVJaM05ERUtUU1Y0UlJGRlE2OUc1RkFWIl0"
PageCursor = Annotated[
    str | None,
    Field(
        max_length=1024,
        description="The `next_cursor` of the previous page.",
        examples=[EXAMPLE_CURSOR],
    ),
]


class PageQuery(BaseModel):
    """The query parameters of a list that has no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: PageLimit = DEFAULT_PAGE_LIMIT
    cursor: PageCursor = None
