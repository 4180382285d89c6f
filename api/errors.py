"""One class for each failure; api/problem_json.py makes answers of them."""

import re
from collections.abc import Iterable
from typing import Any, ClassVar

from starlette.exceptions import HTTPException


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


class MalformedRequest(Problem):
    status = 400
    title = "This is not HTTP"

    def __init__(self) -> None:
        super().__init__("What was sent cannot be read as an HTTP/1.1 request.")


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


class RequestTimeout(Problem):
    status = 408
    title = "The request did not arrive in time"

    def __init__(self, part: str, seconds: float) -> None:
        super().__init__(f"A request's {part} is awaited for {seconds:g} s. Nothing was done.")


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


class HeadTooLarge(Problem):
    status = 431
    title = "The head is too large"

    def __init__(self, most_bytes: int, most_fields: int) -> None:
        super().__init__(
            f"Path, query and headers have {most_bytes} bytes and {most_fields} fields at most."
        )


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


class Overloaded(Problem):
    status = 503
    title = "There is too much to do"

    def __init__(self) -> None:
        super().__init__(
            "Nothing was done. Repeat the request after Retry-After, more slowly.",
            headers={"Retry-After": "1"},
        )


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
