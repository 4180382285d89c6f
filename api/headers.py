"""Headers that are no resource's own: what browsers are told, and what a trace brings along."""

import random
import re
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from api import errors

RawHeaders = list[tuple[bytes, bytes]]

# Answers are data: a browser is to show nothing of them as a page, and to keep nothing.
OF_DATA: RawHeaders = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
# FastAPI's page has a script in its text and takes Swagger's from this network.
PAGE_POLICY = (
    b"default-src 'none'; connect-src 'self'; frame-ancestors 'none'; "
    b"img-src data: https://fastapi.tiangolo.com; "
    b"script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    b"style-src 'unsafe-inline' https://cdn.jsdelivr.net"
)
OF_THE_PAGE: RawHeaders = [
    (name, PAGE_POLICY if name == b"content-security-policy" else value) for name, value in OF_DATA
]

# W3C Trace Context; what later versions add stands behind another dash.
TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?"
)

ID_BYTES = 16


def new_request_id() -> str:
    """Make an id for a request that brings none."""
    return f"{random.getrandbits(4 * ID_BYTES):0{ID_BYTES}x}"


class Trace(NamedTuple):
    """The trace that a request belongs to, and the step in it that has sent it."""

    trace_id: str | None = None
    parent_id: str | None = None


def trace(traceparent: bytes) -> Trace:
    """Read a traceparent header; what is none belongs to no trace."""
    found = TRACEPARENT.fullmatch(traceparent)
    return Trace(found[1].decode(), found[2].decode()) if found else Trace()


class CrossOrigin(CORSMiddleware):
    """Lets pages of the named origins call the API from a browser, without cookies."""

    def __init__(self, app: ASGIApp, origins: list[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=[
                *("Authorization", "Content-Type", "Idempotency-Key", "If-Match"),
                *("If-None-Match", "Traceparent", "X-Api-Key", "X-Request-Id"),
            ],
            expose_headers=[
                *("ETag", "Idempotent-Replayed", "Location", "RateLimit-Limit"),
                *("RateLimit-Remaining", "RateLimit-Reset", "Retry-After", "X-Request-Id"),
            ],
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Refuse as everything else here does, with a problem document.

        Raises:
            OriginRefused: the origin, the method or a header is none of the allowed.
        """
        answer = super().preflight_response(request_headers)
        if answer.status_code >= 400:
            raise errors.OriginRefused(bytes(answer.body).decode())
        return answer
