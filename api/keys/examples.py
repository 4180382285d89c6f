"""Examples of requests and responses, for the OpenAPI document; tests send and validate them."""

from typing import Any

KEY: dict[str, Any] = {
    "id": "01ARZ3NDEKTSV4RRFFQ69G5FAW",
    "workspace": "default",
    "label": "backup script",
    "scopes": ["tasks:read"],
    "created_at": "2027-01-04T08:00:00.000Z",
    "expires_at": None,
    "revoked_at": None,
    "last_used_on": "2027-01-31",
    "created_by": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
}
EXAMPLES: dict[str, Any] = {
    "new_key": {
        "summary": "A key that reads tasks",
        "value": {"label": "backup script", "scopes": ["tasks:read"]},
    },
    "created_key": {
        "summary": "A new key",
        "value": KEY | {"last_used_on": None, "key": "tt_01ARZ3NDEKTSV4RRFFQ69G5FAW_..."},
    },
    "key_page": {"summary": "The last page", "value": {"items": [KEY], "next_cursor": None}},
}
