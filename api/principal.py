"""Who is calling: a workspace, and the scopes of the API key."""

from typing import NamedTuple

from api.values import NamedEnum

DEFAULT_WORKSPACE = "default"


class Scope(NamedEnum):
    """A permission of an API key."""

    READ = "tasks:read"
    WRITE = "tasks:write"
    ADMIN = "admin"


class Principal(NamedTuple):
    """The caller of a request; an operator may manage the keys of every workspace."""

    workspace: str
    scopes: frozenset[Scope]
    key_id: str | None = None
    operator: bool = False
    # When the key ends, as RFC 3339 in UTC; the keys that it creates end then at the latest.
    expires_at: str | None = None


# The caller of every request under AUTH=off, which listens on loopback only.
ANONYMOUS = Principal(DEFAULT_WORKSPACE, frozenset(Scope), operator=True)
