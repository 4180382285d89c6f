"""API keys as clients see them."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from api.principal import Scope
from api.values import (
    DEFAULT_PAGE_LIMIT,
    EXAMPLE_CURSOR,
    ULID_PATTERN,
    Matching,
    Name,
    PageCursor,
    PageLimit,
    Timestamp,
)


def _distinct(scopes: list[Scope]) -> list[Scope]:
    if len(set(scopes)) != len(scopes):
        raise ValueError("scopes must differ from one another")
    return sorted(scopes)


Workspace = Annotated[
    str,
    Matching(
        "^[a-z0-9][a-z0-9-]{0,62}$",
        "must be 1 to 63 lower-case letters, digits and dashes, and not begin with a dash",
    ),
    Field(description="The name of a tenant.", examples=["default"]),
]
WorkspaceOfKeys = Annotated[
    Workspace | None,
    Field(
        description="Defaults to the caller's; only the bootstrap key may name another.",
        examples=["default"],
    ),
]
Scopes = Annotated[
    list[Scope],
    Field(
        min_length=1,
        max_length=len(Scope),
        json_schema_extra={"uniqueItems": True},
        description="What the key may do.",
        examples=[["tasks:read", "tasks:write"]],
    ),
    AfterValidator(_distinct),
]


Label = Annotated[
    Name, Field(description="What the key is for, in your words.", examples=["backup script"])
]
KEY_ID = Field(
    description="The second part of the key.",
    pattern=ULID_PATTERN,
    examples=["01ARZ3NDEKTSV4RRFFQ69G5FAW"],
)


@dataclass(slots=True)
class Key:
    """An API key without its secret, which is not stored."""

    id: Annotated[str, KEY_ID]
    workspace: Workspace
    label: Label
    scopes: Scopes
    created_at: Annotated[
        Timestamp,
        Field(description="When the key was created.", examples=["2027-01-04T08:00:00.000Z"]),
    ]
    expires_at: Annotated[
        Timestamp | None,
        Field(
            description="When the key ends; null if never.", examples=["2028-01-01T00:00:00.000Z"]
        ),
    ]
    revoked_at: Annotated[
        Timestamp | None,
        Field(description="When the key was revoked; null if it was not.", examples=[None]),
    ]
    last_used_on: Annotated[
        str | None,
        Field(
            description="The last day, in UTC, on which the key was used.",
            examples=["2027-01-31"],
        ),
    ]
    created_by: Annotated[
        str | None,
        Field(
            description="The `id` of the key that created this one, if any.",
            examples=["01ARZ3NDEKTSV4RRFFQ69G5FAV"],
        ),
    ]


@dataclass(slots=True)
class CreatedKey(Key):
    """An API key that was just created, with its text."""

    key: Annotated[
        str,
        Field(
            description="The key itself, shown only in this response.",
            examples=["tt_01ARZ3NDEKTSV4RRFFQ69G5FAW_..."],
        ),
    ]


class NewKey(BaseModel):
    """The body of a request that creates an API key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: Label
    scopes: Scopes
    expires_at: Timestamp | None = Field(
        default=None,
        examples=["2099-01-01T00:00:00Z"],
        description="In the future. If omitted, the creating key's own; never, if that has none.",
    )
    workspace: WorkspaceOfKeys = None


class KeyQuery(BaseModel):
    """The query parameters of a list of API keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workspace: WorkspaceOfKeys = None
    limit: PageLimit = DEFAULT_PAGE_LIMIT
    cursor: PageCursor = None


@dataclass(slots=True)
class KeyPage:
    """One page of API keys, newest first; the last one has a null `next_cursor`."""

    items: Annotated[list[Key], Field(description="The keys, the newest first.")]
    next_cursor: Annotated[
        str | None,
        Field(
            description="Opaque. Send it to get the next page. Null on the last page.",
            examples=[EXAMPLE_CURSOR],
        ),
    ]


created_key_json = TypeAdapter(CreatedKey).dump_json
key_page_json = TypeAdapter(KeyPage).dump_json
