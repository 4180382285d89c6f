"""API keys: what one looks like, and what callers say and hear of them.

`tt_<id>_<secret>_<check>`: the id is a ULID, the secret 256 bits, and the check a CRC-32 over all
before it, by which a scanner, or this service, tells a key from a text that only looks like one.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from api.models import ULID_PATTERN, Moment, Name

KEY = re.compile(r"tt_([0-7][0-9A-HJKMNP-TV-Z]{25})_([0-9a-f]{64})_([0-9a-f]{8})", re.ASCII)
SECRET_BYTES = 32


class Scope(StrEnum):
    """What a key lets its bearer do."""

    READ = "tasks:read"
    WRITE = "tasks:write"
    ADMIN = "admin"


class Presented(NamedTuple):
    """What somebody shows: which key it is, and the SHA-256 of its secret."""

    id: str
    digest: str

    def opens(self, digest: str) -> bool:
        """Tell whether this is the secret of a digest, in a time that does not depend on it."""
        return hmac.compare_digest(self.digest, digest)

    def is_same(self, other: "Presented") -> bool:
        return self.opens(other.digest) and self.id == other.id


def make(key_id: str) -> str:
    """Make a key with a secret that nobody has seen."""
    body = f"tt_{key_id}_{secrets.token_hex(SECRET_BYTES)}"
    return f"{body}_{_check(body)}"


def read(text: str) -> Presented | None:
    """Read a key, or say that it is none."""
    found = KEY.fullmatch(text)
    if found is None or _check(text.rpartition("_")[0]) != found[3]:
        return None
    return Presented(found[1], hashlib.sha256(found[2].encode()).hexdigest())


def _check(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"


def _distinct(scopes: list[Scope]) -> list[Scope]:
    if len(set(scopes)) != len(scopes):
        raise ValueError("scopes must differ from one another")
    return sorted(scopes)


Workspace = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]
WorkspaceOfKeys = Annotated[
    Workspace | None, Field(description="The caller's own; the bootstrap key may name any.")
]
Scopes = Annotated[
    list[Scope],
    Field(min_length=1, max_length=len(Scope), json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]


@dataclass(slots=True)
class Key:
    """A key as it is listed: all but its secret, which nobody has."""

    id: Annotated[str, Field(description="The second part of the key.", pattern=ULID_PATTERN)]
    workspace: Workspace
    label: Name
    scopes: Scopes
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    last_used_on: Annotated[
        str | None, Field(description="The last day, in UTC, on which it was used.")
    ]


@dataclass(slots=True)
class MadeKey(Key):
    """A key that was just made."""

    key: Annotated[str, Field(description="The key itself. It is shown this once.")]


class NewKey(BaseModel):
    """What a caller says to make a key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: Name
    scopes: Scopes
    expires_at: Moment | None = Field(default=None, description="Never, unless it is given.")
    workspace: WorkspaceOfKeys = None


class KeyQuery(BaseModel):
    """Which keys a caller wants to see."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workspace: WorkspaceOfKeys = None
    limit: int = Field(default=25, ge=1, le=100)
    cursor: str | None = Field(
        default=None, max_length=1024, description="The `next_cursor` of the page before."
    )


@dataclass(slots=True)
class KeyPage:
    """One page of keys, newest first; it is the last one when `next_cursor` is null."""

    items: list[Key]
    next_cursor: str | None


made_key_json = TypeAdapter(MadeKey).dump_json
key_page_json = TypeAdapter(KeyPage).dump_json


def made(key: Key, text: str) -> MadeKey:
    return MadeKey(**{field.name: getattr(key, field.name) for field in fields(Key)}, key=text)
