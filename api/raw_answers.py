"""Answers without the app, as they go over the wire."""

from functools import cache
from http import HTTPStatus
from typing import NamedTuple

from api import errors, problem_json
from api.headers import ID_BYTES, OF_DATA

# Stands for an id in an answer that is written once and sent often.
ANY_ID = "?" * ID_BYTES
LAST = b"connection: close\r\n"


class Answer(NamedTuple):
    """Both parts of an answer: HEAD wants the first alone."""

    head: bytes
    body: bytes


def overloaded(request_id: str) -> Answer:
    """Refuse a request that does not fit, in next to no time."""
    head, body = (part.replace(ANY_ID.encode(), request_id.encode()) for part in _overloaded())
    return Answer(head, body)


def last(problem: errors.Problem, request_id: str) -> Answer:
    """Write a problem after which the connection ends."""
    return _render(problem, request_id, LAST)


@cache
def _overloaded() -> Answer:
    return _render(errors.Overloaded(), ANY_ID)


def _render(problem: errors.Problem, request_id: str, more: bytes = b"") -> Answer:
    answer = problem_json.render(problem, request_id)
    headers = [*answer.raw_headers, (b"x-request-id", request_id.encode()), *OF_DATA]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    status = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n".encode()
    return Answer(status + lines + more + b"\r\n", bytes(answer.body))
