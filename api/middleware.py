"""What surrounds every request: its id, its limit, one log line and its metrics."""

import logging
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors, logs
from api.metrics import CLIENT_GONE, METHODS, OTHER_METHOD, UNMATCHED, Metrics

# The largest task whose every character is written as a JSON escape is just below it.
MAX_BODY_BYTES = 128 * 1024
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
# FastAPI serves these by routes that leave no template in the scope.
OWN_PAGES = frozenset({"/docs", "/openapi.json"})

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Exchange:
    """One request and what became of it; times are in seconds."""

    scope: Scope
    began: float = field(default_factory=time.perf_counter)
    status: int | None = None
    first_byte: float | None = None
    received_bytes: int = 0
    client_gone: bool = False

    @property
    def method(self) -> str:
        method: str = self.scope["method"]
        return method if method in METHODS else OTHER_METHOD

    @property
    def route(self) -> str:
        if template := getattr(self.scope.get("route"), "path", None):
            return str(template)
        return self.scope["path"] if self.scope["path"] in OWN_PAGES else UNMATCHED

    @property
    def outcome(self) -> str:
        return CLIENT_GONE if self.status is None else str(self.status)


class Surroundings:
    """The outermost layer of the app: nothing leaves it unseen, unlabelled or as a traceback."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = _request_id(scope)
        exchange = Exchange(scope)
        with self._metrics.in_flight.track_inprogress():
            try:
                await self._answer(exchange, receive, send)
            finally:
                self._record(exchange)

    async def _answer(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        sending = _sender(exchange, send)
        try:
            _refuse_declared_length(exchange.scope)
            await self._app(exchange.scope, _receiver(exchange, receive), sending)
        except errors.BodyTooLarge as problem:
            await _send_problem(problem, exchange.scope, receive, sending)
        except Exception:
            logger.exception("unhandled", extra={"fields": {"id": exchange.scope["request_id"]}})
            if exchange.status is None:
                await _send_problem(errors.InternalError(), exchange.scope, receive, sending)

    def _record(self, exchange: Exchange) -> None:
        method, route, status = exchange.method, exchange.route, exchange.outcome
        seconds = time.perf_counter() - exchange.began
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.request_seconds.labels(method, route, status).observe(seconds)
        if exchange.first_byte is not None:
            self._metrics.first_byte_seconds.labels(method, route).observe(exchange.first_byte)
        logs.requests.info("request", extra={"fields": _log_fields(exchange, seconds)})


def _log_fields(exchange: Exchange, seconds: float) -> dict[str, Any]:
    return {
        "id": exchange.scope["request_id"],
        "method": exchange.method,
        "route": exchange.route,
        "status": int(exchange.outcome),
        "duration_ms": round(seconds * 1000, 3),
        "workspace": exchange.scope.get("workspace"),
    }


def _request_id(scope: Scope) -> str:
    """Take the caller's id if it is harmless in a log line, or make one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _refuse_declared_length(scope: Scope) -> None:
    length = Headers(scope=scope).get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise _too_large()


def _too_large() -> errors.BodyTooLarge:
    return errors.BodyTooLarge(f"A body has {MAX_BODY_BYTES} bytes at most.")


def _receiver(exchange: Exchange, receive: Receive) -> Receive:
    """Count the body as it arrives: a chunked one declares no length."""

    async def counted() -> Message:
        message = await receive()
        exchange.received_bytes += len(message.get("body", b""))
        if exchange.received_bytes > MAX_BODY_BYTES:
            raise _too_large()
        exchange.client_gone |= message["type"] == "http.disconnect"
        return message

    return counted


def _sender(exchange: Exchange, send: Send) -> Send:
    """Note when and how the answer starts, and put the request id on it."""

    async def noted(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["X-Request-Id"] = exchange.scope["request_id"]
            exchange.first_byte = time.perf_counter() - exchange.began
            # An answer to nobody is not the service's success or failure.
            exchange.status = None if exchange.client_gone else message["status"]
        await send(message)

    return noted


async def _send_problem(
    problem: errors.Problem, scope: Scope, receive: Receive, send: Send
) -> None:
    await errors.render(problem, scope["request_id"])(scope, receive, send)
