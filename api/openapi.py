"""The OpenAPI document: FastAPI's, with failures as what they are, problem documents."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import errors, problem_json

SCHEMA_NAME = "Problem"
SCHEMA = {
    "type": "object",
    "description": "A failure (RFC 9457). A problem type can have members of its own.",
    "required": ["type", "title", "status", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "Names the kind of failure; stable."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "description": "Also in X-Request-Id and in the log."},
        "errors": {
            "type": "array",
            "description": "What is wrong with the request, field by field.",
            "items": {
                "type": "object",
                "required": ["location", "field", "detail"],
                "properties": {
                    "location": {"type": "string", "examples": ["body", "query", "header"]},
                    "field": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
        "outcome": {
            "type": "string",
            "const": "unknown",
            "description": "The write may have been made, and may yet be. Without this member "
            "a failed write was not made.",
        },
        "current_etag": {"type": "string"},
        "current_status": {"type": "string"},
        "legal_moves": {"type": "array", "items": {"type": "string"}},
        "needed_scope": {"type": "string"},
    },
}


# A route says by `access.needs` which scope of them it takes.
SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "tt_<id>_<secret>_<check>",
        "description": "An API key.",
    },
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "The same key, where the Authorization header holds a signature of AWS.",
    },
}


def document(app: FastAPI) -> dict[str, Any]:
    """Describe the API; made once, for it does not change."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, routes=app.routes)
        _correct(made)
        app.openapi_schema = made
    return app.openapi_schema


def responses(*problems: type[errors.Problem]) -> dict[int | str, dict[str, Any]]:
    """Document the failures of an operation; several may share a status."""
    titles: dict[int, list[str]] = {}
    for problem in problems:
        titles.setdefault(problem.status, []).append(problem.title)
    content = {problem_json.MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{SCHEMA_NAME}"}}}
    return {
        status: {"description": ", or: ".join(names), "content": content}
        for status, names in titles.items()
    }


def _correct(document: dict[str, Any]) -> None:
    """Put the problem schema in the place of FastAPI's own errors."""
    schemas = document["components"]["schemas"]
    for fastapis_own in ("HTTPValidationError", "ValidationError"):
        schemas.pop(fastapis_own, None)
    schemas[SCHEMA_NAME] = SCHEMA
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    for path in document["paths"].values():
        for operation in path.values():
            # FastAPI adds a 422 to whatever has a parameter, though none here can fail as text.
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
