"""What surrounds every request: its id, its limit, one log line and its metrics."""

import asyncio
import logging
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import addresses, errors, problem_json
from api.headers import OF_DATA, OF_THE_PAGE, RawHeaders, Trace, new_request_id, trace
from api.logs import RequestLog
from api.metrics import CLIENT_GONE, METHODS, OTHER_METHOD, UNMATCHED, Metrics
from api.overload import LIMITS

# The largest task whose every character is written as a JSON escape is just below it.
MAX_BODY_BYTES = 128 * 1024
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# FastAPI serves these by routes that leave no template in the scope.
PAGE = "/docs"
OWN_PAGES = frozenset({PAGE, "/openapi.json"})

logger = logging.getLogger(__name__)


class Surroundings:
    """The outermost layer of the app: nothing leaves it unseen, unlabelled or as a traceback."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        log: RequestLog,
        hops: int = 0,
        body_seconds: float = LIMITS.body_seconds,
    ) -> None:
        self._app = app
        self._body_seconds = body_seconds
        self._metrics = metrics
        self._log = log
        self._hops = hops

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send, self._body_seconds)
        self._metrics.in_flight.inc()
        try:
            await self._answer(exchange)
        finally:
            self._metrics.in_flight.dec()
            self._record(exchange)

    async def _answer(self, exchange: "Exchange") -> None:
        try:
            exchange.check_declared_length()
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except errors.Problem as problem:
            await exchange.answer_with(problem)
        except Exception:
            logger.exception("unhandled", extra={"fields": {"id": exchange.scope["request_id"]}})
            if exchange.status is None:
                await exchange.answer_with(errors.InternalError())

    def _record(self, exchange: "Exchange") -> None:
        seconds = time.perf_counter() - exchange.began
        method, route, status = exchange.method, exchange.route, exchange.outcome
        self._metrics.observe_request(method, route, status, seconds, exchange.first_byte)
        self._log.write(
            {
                "id": exchange.scope["request_id"],
                "method": method,
                "route": route,
                "status": int(status),
                "duration_ms": round(seconds * 1000, 3),
                "client": addresses.client(exchange.scope, self._hops),
                "workspace": exchange.scope.get("workspace"),
                "key": exchange.scope.get("key"),
                **exchange.trace._asdict(),
            }
        )


class Exchange:
    """One request and what becomes of it; times are in seconds."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, body_seconds: float) -> None:
        self._body_seconds = body_seconds
        self.scope = scope
        self._receive = receive
        self._send = send
        self.began = time.perf_counter()
        self.first_byte: float | None = None
        self.status: int | None = None
        self._declared_bytes = 0
        self._received_bytes = 0
        self._awaits_body = True
        self._client_gone = False
        self.trace = Trace()
        self._read_head()

    def _read_head(self) -> None:
        """Take the caller's id if it is harmless in a log line, or make one; note the rest."""
        self.scope["request_id"] = new_request_id()
        for name, value in self.scope["headers"]:
            if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
                self.scope["request_id"] = value.decode()
            elif name == b"content-length" and value.isdigit():
                self._declared_bytes = int(value)
            elif name == b"traceparent":
                self.trace = trace(value)

    def check_declared_length(self) -> None:
        if self._declared_bytes > MAX_BODY_BYTES:
            raise _too_large()

    @property
    def method(self) -> str:
        method: str = self.scope["method"]
        return method if method in METHODS else OTHER_METHOD

    @property
    def route(self) -> str:
        if (route := self.scope.get("route")) is not None:
            return str(route.path)
        return self.scope["path"] if self.scope["path"] in OWN_PAGES else UNMATCHED

    @property
    def outcome(self) -> str:
        return CLIENT_GONE if self.status is None else str(self.status)

    async def receive(self) -> Message:
        """Count the body as it arrives: a chunked one declares no length."""
        message = await (self._receive_in_time() if self._awaits_body else self._receive())
        self._awaits_body = message.get("more_body", False)
        if message["type"] == "http.disconnect":
            self._client_gone = True
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > MAX_BODY_BYTES:
            raise _too_large()
        return message

    async def _receive_in_time(self) -> Message:
        left = self.began + self._body_seconds - time.perf_counter()
        try:
            async with asyncio.timeout(left):
                return await self._receive()
        except TimeoutError:
            raise errors.RequestTimeout("body", self._body_seconds) from None

    async def send(self, message: Message) -> None:
        """Note when and how the answer starts, and put on it what every answer has."""
        if message["type"] == "http.response.start":
            self.first_byte = time.perf_counter() - self.began
            # An answer to nobody is neither the service's success nor its failure.
            self.status = None if self._client_gone else message["status"]
            message["headers"] = [*message["headers"], *self._own_headers()]
        await self._send(message)

    def _own_headers(self) -> RawHeaders:
        page = self.scope["path"] == PAGE
        return [
            (b"x-request-id", self.scope["request_id"].encode()),
            *(OF_THE_PAGE if page else OF_DATA),
            *self.scope.get("extra_headers", ()),
        ]

    async def answer_with(self, problem: errors.Problem) -> None:
        answer = problem_json.render(problem, self.scope["request_id"])
        await answer(self.scope, self.receive, self.send)


def _too_large() -> errors.BodyTooLarge:
    return errors.BodyTooLarge(f"A body has {MAX_BODY_BYTES} bytes at most.")
