"""CORS: which origins' pages may call the API from a browser."""

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from api.http.headers import RawHeader
from api.problem import Problem


class OriginNotAllowed(Problem):
    """The preflight request's origin, method or headers are not allowed by CORS_ORIGINS."""

    status = 400
    title = "Origin not allowed"
    example_args = ("Disallowed CORS origin",)


EXPOSED_HEADERS = (
    *("ETag", "Idempotent-Replayed", "Location", "RateLimit-Limit"),
    *("RateLimit-Remaining", "RateLimit-Reset", "Retry-After", "X-Request-Id"),
)


def origin_headers(allowed: frozenset[str], headers: Iterable[RawHeader]) -> list[RawHeader]:
    """Return the CORS headers of a response that is written outside of the CORS middleware."""
    origin = next((value for name, value in headers if name == b"origin"), b"")
    if origin.decode("latin-1") not in allowed:
        return []
    exposed = ", ".join(EXPOSED_HEADERS).encode()
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", exposed),
        (b"vary", b"Origin"),
    ]


class Cors(CORSMiddleware):
    """Lets pages of the configured origins call the API from a browser, without cookies."""

    def __init__(self, app: ASGIApp, origins: frozenset[str]) -> None:
        super().__init__(
            app,
            allow_origins=sorted(origins),
            allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE"],
            allow_headers=[
                *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID"),
                *("If-None-Match", "Traceparent", "X-Api-Key", "X-Request-Id"),
            ],
            expose_headers=EXPOSED_HEADERS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the response to a preflight request.

        Raises:
            OriginNotAllowed: the origin, the method or a header is not allowed.
        """
        response = super().preflight_response(request_headers)
        if response.status_code >= 400:
            raise OriginNotAllowed(bytes(response.body).decode())
        return response
