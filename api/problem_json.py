"""Problems as answers: every failure leaves the app as problem+json (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

from api.errors import InvalidRequest, Problem, TagMissing

MEDIA_TYPE = "application/problem+json"
# A hostile body can hold thousands of faults; its author needs a few.
MOST_FAULTS = 20
LONGEST_NAME = 100
# Where FastAPI says that the header is missing: HTTP has a status of its own for that.
IF_MATCH = ("header", "if-match")


def render(problem: Problem, request_id: str) -> JSONResponse:
    body = {
        "type": problem.type_uri(),
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": request_id,
        **problem.members,
    }
    return JSONResponse(body, problem.status, problem.headers, MEDIA_TYPE)


def _plain(status: int, headers: dict[str, str] | None, request_id: str) -> JSONResponse:
    """Render a status that says all there is to say, such as a 404 for no route."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "request_id": request_id,
    }
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def _fault(error: dict[str, Any]) -> dict[str, str]:
    # Never the input itself: it may be secret, and it is the caller's already.
    location, *path = error["loc"]
    field = "/".join(str(step) for step in path)[:LONGEST_NAME]
    return {"location": str(location), "field": field, "detail": error["msg"]}


def _invalid(errors: list[dict[str, Any]]) -> Problem:
    if any(error["loc"] == IF_MATCH and error["type"] == "missing" for error in errors):
        return TagMissing()
    faults = [_fault(error) for error in errors[:MOST_FAULTS]]
    detail = f"{faults[0]['location']} {faults[0]['field']}: {faults[0]['detail']}"
    return InvalidRequest(detail, errors=faults)


def install(app: FastAPI) -> None:
    """Make every failure that leaves the app a problem document."""

    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> JSONResponse:
        return render(problem, request.scope["request_id"])

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return render(_invalid(list(error.errors())), request.scope["request_id"])

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.BAD_REQUEST:
            # FastAPI's word for a body that json cannot even begin to read.
            unreadable = InvalidRequest("The body is not JSON in UTF-8.")
            return render(unreadable, request.scope["request_id"])
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            # Starlette names the methods of one route; a path can have several.
            headers["Allow"] = ", ".join(_methods(app, request.scope))
        return _plain(error.status_code, headers, request.scope["request_id"])


def _methods(app: FastAPI, scope: Scope) -> list[str]:
    # The pages that the document leaves out, itself among them, are only read.
    path = getattr(scope.get("route"), "path", None)
    operations = app.openapi()["paths"].get(path, {"get": {}})
    return sorted(method.upper() for method in operations)
