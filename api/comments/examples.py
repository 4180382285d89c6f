"""Examples of requests and responses, for the OpenAPI document; tests send and validate them."""

from typing import Any

from api.tasks.examples import ACTOR, ID

COMMENT_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAX"
ETAG = '"0d6f5b8a9c3e2417"'
BODY = {"text": "The pencil broke.\nI take ink."}
COMMENT = {
    "id": COMMENT_ID,
    "task_id": ID,
    **BODY,
    "created_at": "2027-01-04T09:00:00.000Z",
    "updated_at": "2027-01-04T09:00:00.000Z",
    "created_by": ACTOR,
    "updated_by": ACTOR,
    "version": 1,
    "etag": ETAG,
}
EXAMPLES: dict[str, Any] = {
    "comment_body": {"summary": "Two lines", "value": BODY},
    "comment": {"summary": "A comment", "value": COMMENT},
    "comment_page": {
        "summary": "The last page",
        "value": {"items": [COMMENT], "next_cursor": None},
    },
}
