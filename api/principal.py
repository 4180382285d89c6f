"""Who is calling: a workspace, and the scopes of the API key."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import Field

from api.values import ULID_PATTERN, NamedEnum

DEFAULT_WORKSPACE = "default"


class Scope(NamedEnum):
    """A permission of an API key."""

    READ = "tasks:read"
    WRITE = "tasks:write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a write: an API key, or `anonymous` where none is required."""

    key_id: Annotated[
        str | None,
        Field(
            description="The `id` of the API key; null without one.",
            pattern=ULID_PATTERN,
            examples=["01ARZ3NDEKTSV4RRFFQ69G5FAW"],
        ),
    ] = None
    label: Annotated[
        str,
        Field(
            description="The label of the API key; `anonymous` without one.",
            examples=["backup script"],
        ),
    ] = "anonymous"


# Who writes where no API key is required, or did before it was recorded.
NO_KEY = Actor()


class Principal(NamedTuple):
    """The caller of a request; an operator may manage the keys of every workspace."""

    workspace: str
    scopes: frozenset[Scope]
    key_id: str | None = None
    operator: bool = False
    # When the key ends, as RFC 3339 in UTC; the keys that it creates end then at the latest.
    expires_at: str | None = None
    # Who its writes are said to be by.
    actor: Actor = NO_KEY


# The caller of every request under AUTH=off, which listens on loopback only.
ANONYMOUS = Principal(DEFAULT_WORKSPACE, frozenset(Scope), operator=True)
