"""What belongs to one request beside its parameters, in one typed object."""

import random
import re
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from starlette.types import Scope

from api.http.client_address import client_address
from api.http.headers import DATA_HEADERS, RawHeader
from api.principal import Principal

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
REQUEST_ID_LENGTH = 16
# W3C Trace Context; later versions may append fields after another dash.
TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?"
)
_SCOPE_ENTRY = "task_tracker.context"


def new_request_id() -> str:
    return f"{random.getrandbits(4 * REQUEST_ID_LENGTH):0{REQUEST_ID_LENGTH}x}"


class Trace(NamedTuple):
    """The W3C trace that a request belongs to, and the span that sent it."""

    trace_id: str | None = None
    parent_id: str | None = None


def parse_traceparent(value: bytes) -> Trace:
    """Parse a traceparent header; an invalid one belongs to no trace."""
    found = TRACEPARENT.fullmatch(value)
    return Trace(found[1].decode(), found[2].decode()) if found else Trace()


@dataclass(slots=True)
class RequestContext:
    """One request's id, trace and client, its caller once known, and headers for its response."""

    request_id: str
    trace: Trace
    client: str
    # Whether only the headers of the response are wanted.
    is_head: bool = False
    principal: Principal | None = None
    # The id of the API key that was sent, also if it is refused.
    key_id: str | None = None
    security_headers: tuple[RawHeader, ...] = DATA_HEADERS
    response_headers: list[RawHeader] = field(default_factory=list)
    # Why the request is not authorized, and the names in which it has a slot in flight.
    refusal: str | None = None
    holders: tuple[str, ...] | None = None

    @classmethod
    def of(cls, scope: Scope) -> Self:
        context: Self = scope[_SCOPE_ENTRY]
        return context

    @classmethod
    def attach(cls, scope: Scope, trusted_hops: int) -> Self:
        """Attach a context to a request; a client's harmless X-Request-Id is kept."""
        request_id, trace = None, Trace()
        for name, value in scope["headers"]:
            if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
                request_id = value.decode()
            elif name == b"traceparent":
                trace = parse_traceparent(value)
        client = client_address(scope, trusted_hops)
        context = scope[_SCOPE_ENTRY] = cls(request_id or new_request_id(), trace, client)
        return context
