"""The problems that any request can meet."""

from typing import Any, ClassVar, Self

from api.problem import Problem


class MalformedRequest(Problem):
    """The connection did not carry a valid HTTP/1.1 request."""

    status = 400
    title = "Malformed request"
    detail = "The data cannot be parsed as an HTTP/1.1 request."


class InvalidCursor(Problem):
    """The cursor was not issued for this list: its workspace, filters or sort differ."""

    status = 400
    title = "Invalid cursor"
    # One text for every cause, so that a forger learns nothing from it.
    detail = "Send next_cursor back unchanged, or start again without a cursor."


class UnreadableEvent(Problem):
    """The event that invoked the Lambda function is not a whole HTTP request."""

    status = 400
    title = "Unreadable event"
    detail = (
        "The event is not a whole request of an HTTP API, a REST API, a function URL or an "
        "application load balancer."
    )


class NotFound(Problem):
    """There is nothing at this path."""

    status = 404
    title = "Not found"
    detail = "There is nothing at this path."


class MethodNotAllowed(Problem):
    """The path exists, but not with this method. The Allow header lists the methods it has."""

    status = 405
    title = "Method not allowed"
    example_args = (["GET", "HEAD", "POST"],)

    def __init__(self, allowed: list[str]) -> None:
        methods = ", ".join(allowed)
        super().__init__(f"This path allows {methods}.", headers={"Allow": methods})


class RequestTimeout(Problem):
    """The headers or the body did not arrive in time. Nothing was done."""

    status = 408
    title = "Request timeout"
    example_args = ("body", 20)

    def __init__(self, part: str, seconds: float) -> None:
        super().__init__(f"The {part} did not arrive within {seconds:g} s. Nothing was done.")


class RequestInProgress(Problem):
    """Another request under the same Idempotency-Key, or on the same task, is being processed."""

    status = 409
    title = "Request in progress"
    detail = "Nothing was done. Repeat the request, with its Idempotency-Key if it has one."
    retry_after = 1


class BodyTooLarge(Problem):
    """The request's body exceeds the limit."""

    status = 413
    title = "Body too large"
    example_args = (131072,)

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"A body may have at most {max_bytes} bytes.")


class UnsupportedMediaType(Problem):
    """The Content-Type is not one that the operation accepts. A header lists those it accepts."""

    status = 415
    title = "Unsupported media type"
    example_args = ("Send application/json.",)


class InvalidRequest(Problem):
    """A parameter, header or body is invalid. `errors` lists each fault with its field."""

    status = 422
    title = "Invalid request"

    @classmethod
    def example(cls) -> Self:
        return cls.of("body", "title", "must be sent")

    @classmethod
    def of(cls, location: str, field: str, detail: str) -> Self:
        """Make the problem of one field, or of the whole of a location if the field is empty."""
        return cls.listing({"location": location, "field": field, "detail": detail})

    @classmethod
    def listing(cls, *errors: dict[str, str]) -> Self:
        """Make the problem of several fields; the first one becomes the detail."""
        where = f"{errors[0]['location']} {errors[0]['field']}".strip()
        return cls(f"{where}: {errors[0]['detail']}", errors=list(errors))


class IfMatchRequired(Problem):
    """A change must send the current ETag in If-Match, so that it overwrites no other change."""

    status = 428
    title = "If-Match required"
    detail = "Send the ETag of the task or comment in If-Match, or `*` to skip this check."


class HeadersTooLarge(Problem):
    """The path, query and headers together exceed the limit."""

    status = 431
    title = "Headers too large"
    example_args = (16384, 100)

    def __init__(self, max_bytes: int, max_fields: int) -> None:
        super().__init__(
            f"Path, query and headers may have at most {max_bytes} bytes and {max_fields} fields."
        )


class InternalError(Problem):
    """The service has a bug. The request id identifies the log entry."""

    status = 500
    title = "Internal error"
    detail = "The error is logged under this request id."


class Overloaded(Problem):
    """The service is processing as many requests as it can. Nothing was done."""

    status = 503
    title = "Service overloaded"
    detail = "Nothing was done. Repeat the request after Retry-After seconds."
    retry_after = 1


class StoreUnavailable(Problem):
    """DynamoDB cannot be reached, or did not respond in time. Nothing was done."""

    status = 503
    title = "Store unavailable"
    retry_after = 1
    example_args: ClassVar[tuple[Any, ...]] = (
        "DynamoDB did not respond as expected (ConnectTimeout).",
    )


class StoreThrottled(StoreUnavailable):
    """DynamoDB is throttling requests, or other requests keep writing the same task."""

    title = "Store throttled"
    example_args = ("DynamoDB is throttling requests.",)


class TableNotFound(StoreUnavailable):
    """The DynamoDB table does not exist, or is not active yet."""

    title = "Table not found"
    example_args = ("The table does not exist, or is not active yet.",)


class OutcomeUnknown(StoreUnavailable):
    """DynamoDB did not respond to the write. It may have taken effect, or may still take effect.

    A request with an Idempotency-Key and a DELETE can be repeated unchanged. With `If-Match: *`, a
    repeated DELETE gets 404 if the first one took effect. For any other request, read the task
    before you repeat it.
    """

    title = "Outcome unknown"
    example_args = ()
    detail = (
        "DynamoDB did not respond to the write. Repeat a request with an Idempotency-Key, or a "
        "DELETE, unchanged; otherwise read the task first."
    )

    def __init__(self) -> None:
        super().__init__(outcome="unknown")


STORE_FAILURES = (StoreUnavailable, StoreThrottled, TableNotFound)
WRITE_FAILURES = (*STORE_FAILURES, OutcomeUnknown)
BODY_FAILURES = (BodyTooLarge, UnsupportedMediaType, InvalidRequest)
