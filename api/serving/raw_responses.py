"""Responses that a connection writes itself, without the app."""

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from api.errors import Overloaded
from api.http import problem_handlers
from api.http.context import REQUEST_ID_LENGTH
from api.http.headers import DATA_HEADERS, RawHeader
from api.problem import Problem

# The place of the id in a response that is rendered once and sent often.
ID_PLACEHOLDER = "?" * REQUEST_ID_LENGTH
CLOSE_HEADER: RawHeader = (b"connection", b"close")


class RawResponse(NamedTuple):
    """The two parts of a response; HEAD gets the first only."""

    head: bytes
    body: bytes


def overloaded(request_id: str, more: tuple[RawHeader, ...]) -> RawResponse:
    """Return the response to a request that is shed."""
    rendered = _rendered_overloaded(more)
    head, body = (part.replace(ID_PLACEHOLDER.encode(), request_id.encode()) for part in rendered)
    return RawResponse(head, body)


def closing_response(problem: Problem, request_id: str, more: Iterable[RawHeader]) -> bytes:
    """Return a response after which the connection closes."""
    return b"".join(_render(problem, request_id, (CLOSE_HEADER, *more)))


@lru_cache(maxsize=16)
def _rendered_overloaded(more: tuple[RawHeader, ...]) -> RawResponse:
    return _render(Overloaded(), ID_PLACEHOLDER, more)


def _render(problem: Problem, request_id: str, more: Iterable[RawHeader]) -> RawResponse:
    response = problem_handlers.render(problem, request_id)
    own = (b"x-request-id", request_id.encode())
    headers = [*response.raw_headers, own, *DATA_HEADERS, *more]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    status = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n".encode()
    return RawResponse(status + lines + b"\r\n", bytes(response.body))
