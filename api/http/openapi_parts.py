"""The parts of the OpenAPI document that are the same whatever the routes are."""

from typing import Any

EXAMPLE_REQUEST_ID = "59110df53f7a21af"

INFO: dict[str, Any] = {
    "summary": "Tasks of workspaces, stored in DynamoDB.",
    "description": "Requests need an API key, except under `AUTH=off`. A change sends the task's "
    "ETag in `If-Match`, so that it overwrites no other change. An `Idempotency-Key` makes a "
    "request safe to repeat. Every failure is a problem document (RFC 9457) whose `type` is the "
    "path of a page that describes it.",
    "contact": {"name": "The Task Tracker authors"},
    "license_info": {"name": "MIT", "identifier": "MIT"},
    "tags": [
        {"name": "tasks", "description": "Create, list, read, change and delete tasks."},
        {
            "name": "comments",
            "description": "Write, list, read, change and delete the comments of tasks.",
        },
        {
            "name": "names",
            "description": "The projects, labels and assignees that open tasks have.",
        },
        {"name": "changes", "description": "Learn what changed, deletions included."},
        {"name": "keys", "description": "Manage a workspace's API keys."},
        {"name": "operations", "description": "Probes for load balancers and containers."},
    ],
}
SERVER = {"url": "/", "description": "The host that serves this document."}
SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "tt_<id>_<secret>_<check>",
        "description": "An API key. Each operation's `x-required-scope` is the scope that the key "
        "must have. Under `AUTH=off` none is needed.",
    },
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "The same key, where Authorization holds an AWS signature.",
    },
}


def header(description: str, example: str | int, **schema: Any) -> dict[str, Any]:
    """Describe a header of a response."""
    kind = "integer" if isinstance(example, int) else "string"
    return {
        "description": description,
        "schema": {"type": kind, "examples": [example], **schema},
    }


HEADERS = {
    "X-Request-Id": header(
        "The id of the request in the log. A valid id sent by the client is used.",
        EXAMPLE_REQUEST_ID,
    ),
    "Retry-After": header("Seconds after which the request can be repeated.", 1, minimum=0),
    "RateLimit-Limit": header("Requests that the key may send at once.", 100, minimum=1),
    "RateLimit-Remaining": header("Requests that the key may still send now.", 99, minimum=0),
    "RateLimit-Reset": header("Seconds until the full burst is available again.", 1, minimum=0),
    "WWW-Authenticate": header("How to authenticate (RFC 6750).", 'Bearer realm="task-tracker"'),
    "ETag": header("The current state, for `If-Match`.", '"a5a7d12d3d028369"'),
    "Accept-Post": header("The media types that the operation accepts.", "application/json"),
    "Accept-Patch": header(
        "The media types that the operation accepts.",
        "application/merge-patch+json, application/json",
    ),
}
# Sent with every response to a caller whose key is known.
RATE_LIMIT_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def header_references(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _member(kind: str, description: str, example: Any, **schema: Any) -> dict[str, Any]:
    return {"type": kind, "description": description, "examples": [example], **schema}


FAULT = {
    "type": "object",
    "description": "A field that is at fault.",
    "required": ["location", "field", "detail"],
    "properties": {
        "location": _member("string", "The part of the request: body, query or header.", "body"),
        "field": _member(
            "string", "Its name, or its path in the body; empty for the whole.", "title"
        ),
        "detail": _member("string", "What is wrong with it.", "must be sent"),
    },
}
PROBLEM = {
    "type": "object",
    "description": "A failure (RFC 9457). Some types have members of their own.",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": _member(
            "string",
            "Identifies the kind of failure, and is the path of its description.",
            "/problems/task-not-found",
            format="uri-reference",
        ),
        "title": _member("string", "The type in words; may change.", "Task not found"),
        "status": _member("integer", "The status of the response.", 404),
        "detail": _member(
            "string", "What went wrong, and what to do.", "There is no task with this id."
        ),
        "request_id": _member("string", "Also in X-Request-Id and in the log.", EXAMPLE_REQUEST_ID),
        "errors": {
            "type": "array",
            "description": "The faults of an invalid request.",
            "items": {"$ref": "#/components/schemas/Fault"},
        },
        "outcome": _member(
            "string",
            "The write may have taken effect, or may still take effect. Without this member, "
            "a failed write had no effect.",
            "unknown",
            const="unknown",
        ),
        "token": _member(
            "string",
            "A new token, with which an expired feed continues.",
            "WzEsIjAxQVJaM05ERUtUU1Y0UlJGRlE2OUc1RkFWIl0",
        ),
        "current_etag": _member(
            "string", "The ETag now, of the task or the comment.", '"a5a7d12d3d028369"'
        ),
        "current_status": _member("string", "The task's status now.", "done"),
        "legal_moves": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The statuses that the task can change to.",
            "examples": [["todo"]],
        },
        "needed_scope": _member("string", "The scope that the key lacks.", "tasks:write"),
        "item": _member(
            "integer",
            "The index of the item because of which an atomic bulk was refused.",
            0,
            minimum=0,
        ),
    },
}
