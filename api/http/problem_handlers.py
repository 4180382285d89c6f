"""Every failure that leaves the app as problem+json (RFC 9457)."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import compile_path
from starlette.types import Scope

from api.errors import IfMatchRequired, InvalidRequest, MethodNotAllowed, NotFound
from api.http.context import RequestContext
from api.http.routing import with_head
from api.problem import MEDIA_TYPE, Problem
from api.values import reason_of

# A hostile body can have thousands of errors; a client's author needs a few.
MAX_ERRORS = 20
MAX_FIELD_LENGTH = 100
# How FastAPI locates the header whose absence has a status of its own.
IF_MATCH = ("header", "If-Match")
# Instead of pydantic's words, which are for authors of Python. All minimal lengths are 1.
TEXTS = {
    "bool_parsing": "must be true or false",
    "enum": "must be {expected}",
    "extra_forbidden": "there is no such field",
    "greater_than_equal": "must be at least {ge}",
    "int_parsing": "must be an integer",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be an array",
    "literal_error": "must be {expected}",
    "missing": "must be sent",
    "model_attributes_type": "must be a JSON object",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "string_type": "must be a string",
    "too_long": "must have at most {max_length} items",
    "too_short": "must not be empty",
}


def render(problem: Problem, request_id: str) -> JSONResponse:
    body = problem.document(request_id=request_id)
    return JSONResponse(body, problem.status, problem.headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(RequestValidationError)
    async def on_invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        return _respond(request, _invalid_request(error))

    # Problems are HTTPExceptions, too.
    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> JSONResponse:
        return _respond(request, _problem_of(error, request, app))


def _respond(request: Request, problem: Problem) -> JSONResponse:
    return render(problem, RequestContext.of(request.scope).request_id)


def _problem_of(error: HTTPException, request: Request, app: FastAPI) -> Problem:
    """Return the problem for an HTTPException of FastAPI's or Starlette's own."""
    if isinstance(error, Problem) and not isinstance(error, NotFound):
        return error
    match error.status_code:
        case 400:
            # FastAPI's response to a body that its JSON parser cannot begin to read.
            return InvalidRequest.of("body", "", "must be JSON in UTF-8")
        case 404:
            return _not_found(request.scope, app)
        case 405:
            return MethodNotAllowed(_methods(request, app))
        case _:
            raise error


def _invalid_request(invalid: RequestValidationError) -> Problem:
    errors = list(invalid.errors())
    if errors[0]["type"] == "json_invalid":
        return _invalid_json(str(invalid.body), errors[0])
    if any(error["loc"] == IF_MATCH and error["type"] == "missing" for error in errors):
        return IfMatchRequired()
    details = [_error_detail(error) for error in errors[:MAX_ERRORS]]
    return InvalidRequest.listing(*details)


def _invalid_json(text: str, error: dict[str, Any]) -> Problem:
    """Return where the JSON ends to be valid, counted as editors do, from 1."""
    position = error["loc"][1]
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    detail = f"invalid JSON at line {line}, column {column}: {error['ctx']['error']}"
    return InvalidRequest.of("body", "", detail)


def _error_detail(error: dict[str, Any]) -> dict[str, str]:
    # Without the input itself, which may be secret.
    location, *path = error["loc"]
    field = "/".join(str(step) for step in path)[:MAX_FIELD_LENGTH]
    text = TEXTS.get(error["type"])
    detail = text.format(**error.get("ctx", {})) if text else reason_of(error["msg"])
    return {"location": str(location), "field": field, "detail": detail}


def _not_found(scope: Scope, app: FastAPI) -> Problem:
    """Return what there is instead; the path itself is not repeated, because it may be secret."""
    paths = app.state.documented_methods
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if path.endswith("/") and any(compile_path(each)[0].match(path[:-1]) for each in paths):
        return NotFound("Remove the slash at the end of the path.")
    if app.openapi_url is None:
        return NotFound()
    there = ", ".join(sorted(paths))
    return NotFound(f"{NotFound.detail} There are {there}; {app.openapi_url} describes them.")


def _methods(request: Request, app: FastAPI) -> list[str]:
    # Starlette's own Allow header lists one route's methods; a path can have several routes.
    path = getattr(request.scope.get("route"), "path", None)
    # Paths that the document leaves out, itself included, allow GET only.
    return sorted(with_head(app.state.documented_methods.get(path, {"GET"})))
