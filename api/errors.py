"""One class for each failure, rendered in one place as problem+json (RFC 9457)."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

MEDIA_TYPE = "application/problem+json"
# A hostile body can hold thousands of faults; its author needs a few.
MOST_FAULTS = 20
LONGEST_NAME = 100
# Where FastAPI says that the header is missing: HTTP has a status of its own for that.
IF_MATCH = ("header", "if-match")


class Problem(HTTPException):
    """A failure that the caller is told of.

    Members beyond the standard ones go into the answer as they are. It is an HTTPException
    because FastAPI lets only those out of the reading of a body.
    """

    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(
        self, detail: str, *, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(self.status, detail, headers)
        self.members = members

    @classmethod
    def type_uri(cls) -> str:
        return "urn:problem:" + re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class OriginRefused(Problem):
    status = 400
    title = "Pages of this origin may not do this"


class AccessProblem(Problem):
    """A caller is not let in; the metrics are told a reason that the caller may not be."""

    reason: str


class KeyMissing(AccessProblem):
    status = 401
    title = "A key is required"
    reason = "missing"

    def __init__(self) -> None:
        super().__init__("Send an API key: Authorization: Bearer tt_...", headers=_challenge())


class KeyRefused(AccessProblem):
    status = 401
    title = "The key is not valid"

    def __init__(self, reason: str) -> None:
        # One text for every way of being wrong: a guesser learns nothing from it.
        super().__init__(
            "It is mistyped, unknown, expired or revoked.",
            headers=_challenge(error="invalid_token"),
        )
        self.reason = reason


class ScopeMissing(AccessProblem):
    status = 403
    title = "The key does not allow this"
    reason = "scope"

    def __init__(self, needed: str) -> None:
        super().__init__(
            f"It takes a key with the scope {needed}.",
            headers=_challenge(error="insufficient_scope", scope=needed),
            needed_scope=needed,
        )


class ForeignWorkspace(Problem):
    status = 403
    title = "Another workspace's keys"

    def __init__(self) -> None:
        super().__init__("A key manages the keys of its own workspace.")


class BadCursor(Problem):
    status = 400
    title = "The cursor is not one of this list's"

    def __init__(self) -> None:
        # One text for every way of being wrong: a forger learns nothing from it.
        super().__init__("Start again without a cursor, or send back next_cursor unchanged.")


class TaskNotFound(Problem):
    status = 404
    title = "No such task"

    def __init__(self) -> None:
        super().__init__("There is no task with this id.")


class KeyNotFound(Problem):
    status = 404
    title = "No such key"

    def __init__(self) -> None:
        super().__init__("There is no key with this id.")


class IllegalMove(Problem):
    status = 409
    title = "The task's status does not allow this move"

    def __init__(self, current: str, wanted: str, moves: Iterable[str]) -> None:
        legal = sorted(moves)
        super().__init__(
            f"A task that is {current} cannot become {wanted}; it can become {' or '.join(legal)}.",
            current_status=current,
            legal_moves=legal,
        )


class RequestInProgress(Problem):
    status = 409
    title = "Another request is writing the same"

    def __init__(self) -> None:
        super().__init__(
            "Nothing was done. Repeat the request with the same Idempotency-Key.",
            headers={"Retry-After": "1"},
        )


class StaleTag(Problem):
    status = 412
    title = "The task has changed since"

    def __init__(self, current_etag: str) -> None:
        super().__init__(
            "Read the task again, apply the change to what it is now, and send its ETag.",
            headers={"ETag": current_etag},
            current_etag=current_etag,
        )


class BodyTooLarge(Problem):
    status = 413
    title = "The body is too large"


class WrongMediaType(Problem):
    status = 415
    title = "The body's media type is not supported"


class InvalidRequest(Problem):
    status = 422
    title = "The request is not valid"


class KeyReused(Problem):
    status = 422
    title = "The Idempotency-Key was used for another request"

    def __init__(self) -> None:
        super().__init__(
            "Nothing was done. Take a new key for each request that says something new."
        )


class TagMissing(Problem):
    status = 428
    title = "If-Match is required"

    def __init__(self) -> None:
        super().__init__("Send the task's ETag in If-Match, so that no change is lost.")


class TooManyRequests(AccessProblem):
    status = 429
    title = "Too many requests"
    reason = "rate"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"The key's rate is used up. Go on in {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )


class TooManyFailures(AccessProblem):
    status = 429
    title = "Too many refused keys"
    reason = "failures"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"Too many keys that are not valid came from this address. Try again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )


class InternalError(Problem):
    status = 500
    title = "Something went wrong here"

    def __init__(self) -> None:
        super().__init__("It has been logged under this request id.")


class StoreUnavailable(Problem):
    status = 503
    title = "The store cannot be reached"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


class StoreThrottled(StoreUnavailable):
    title = "The store is busy"


class TableMissing(StoreUnavailable):
    title = "The table does not exist"


class OutcomeUnknown(StoreUnavailable):
    title = "Whether it was done is not known"

    def __init__(self) -> None:
        super().__init__(
            "The store took the request and did not answer. A request with an Idempotency-Key, or "
            "a DELETE, can be repeated as it is; otherwise read first."
        )
        self.members["outcome"] = "unknown"


ACCESS_PROBLEMS = (KeyMissing, KeyRefused, ScopeMissing, TooManyRequests, TooManyFailures)
STORE_FAILURES = (StoreUnavailable, StoreThrottled, TableMissing)
WRITE_FAILURES = (*STORE_FAILURES, OutcomeUnknown)


def _challenge(**parts: str) -> dict[str, str]:
    """Say what a key is for, as RFC 6750 has it."""
    said = "".join(f', {name}="{value}"' for name, value in parts.items())
    return {"WWW-Authenticate": f'Bearer realm="task-tracker"{said}'}


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
