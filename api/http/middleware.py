"""What surrounds every request: its id, the body's limits, one log line, its metrics."""

import asyncio
import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import BodyTooLarge, InternalError, RequestTimeout
from api.http import problem_handlers
from api.http.context import RequestContext
from api.http.cors import origin_headers
from api.http.headers import HSTS, RawHeader, join_repeated
from api.http.in_flight import InFlight
from api.limits import Limits
from api.logs import RequestLog
from api.metrics import CLIENT_GONE, METHODS, OTHER_METHOD, UNMATCHED, Metrics
from api.problem import Problem

# FastAPI serves this by a route that leaves no template in the ASGI scope.
OPENAPI_PATH = "/openapi.json"

logger = logging.getLogger(__name__)


class RequestMiddleware:
    """The outermost layer of the app: it logs and counts every request, and hides tracebacks."""

    def __init__(  # noqa: PLR0913 - all but the app by name
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        log: RequestLog,
        in_flight: InFlight,
        origins: frozenset[str],
        trusted_hops: int,
        base_path: str,
        limits: Limits,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log
        self._in_flight = in_flight
        self._origins = origins
        self._trusted_hops = trusted_hops
        self._base_path = base_path
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        # The routes respond to HEAD as to GET; the server, or Mangum's wrapper, drops the body.
        own_method = "GET" if method == "HEAD" else method
        path = _below(self._base_path, scope["path"])
        headers = join_repeated(scope["headers"])
        scope = {**scope, "method": own_method, "path": path, "headers": headers}
        context = RequestContext.attach(scope, self._trusted_hops)
        context.is_head = method == "HEAD"
        request = RequestState(method, scope, receive, send, context, self._limits)
        self._metrics.in_flight.inc()
        try:
            await self._respond(request)
        finally:
            self._metrics.in_flight.dec()
            if context.holders is not None:
                self._in_flight.leave(context.holders)
            self._record(request)

    async def _respond(self, request: "RequestState") -> None:
        try:
            request.check_declared_length()
            await self._app(request.scope, request.receive, request.send)
        except Problem as problem:
            await self._send_problem(request, problem)
        except Exception:
            fields = {"id": request.context.request_id}
            logger.exception("unhandled", extra={"fields": fields})
            if request.status is None:
                await self._send_problem(request, InternalError())

    async def _send_problem(self, request: "RequestState", problem: Problem) -> None:
        """Send a problem that the CORS middleware, which is further inside, has not seen."""
        request.context.response_headers += origin_headers(self._origins, request.scope["headers"])
        response = problem_handlers.render(problem, request.context.request_id)
        await response(request.scope, request.receive, request.send)

    def _record(self, request: "RequestState") -> None:
        seconds = time.perf_counter() - request.began
        method, route, status = request.method, request.route, request.outcome
        self._metrics.observe_request(method, route, status, seconds, request.first_byte)
        context = request.context
        principal = context.principal
        self._log.write(
            {
                "id": context.request_id,
                "method": method,
                "route": route,
                "status": int(status),
                "duration_ms": round(seconds * 1000, 3),
                "client": context.client,
                "workspace": principal and principal.workspace,
                "key": context.key_id,
                "refusal": context.refusal,
                **context.trace._asdict(),
            }
        )


def _below(base_path: str, path: str) -> str:
    """Return a path without the base path, if it has it."""
    below = path.removeprefix(base_path) or "/"
    return below if below.startswith("/") else path


class RequestState:
    """One request and the state of its response; times are in seconds."""

    def __init__(  # noqa: PLR0913, PLR0917 - one request's parts
        self,
        method: str,
        scope: Scope,
        receive: Receive,
        send: Send,
        context: RequestContext,
        limits: Limits,
    ) -> None:
        self.method = method if method in METHODS else OTHER_METHOD
        self.scope = scope
        self.context = context
        self._receive = receive
        self._send = send
        self._limits = limits
        self.began = time.perf_counter()
        self.first_byte: float | None = None
        self.status: int | None = None
        self._received_bytes = 0
        self._awaits_body = True
        self._client_gone = False

    def check_declared_length(self) -> None:
        for name, value in self.scope["headers"]:
            if name == b"content-length" and value.isdigit():
                self._check_length(int(value))

    @property
    def route(self) -> str:
        if (route := self.scope.get("route")) is not None:
            return str(route.path)
        return OPENAPI_PATH if self.scope["path"] == OPENAPI_PATH else UNMATCHED

    @property
    def outcome(self) -> str:
        return CLIENT_GONE if self.status is None else str(self.status)

    async def receive(self) -> Message:
        """Count the body as it arrives, because a chunked one declares no length."""
        message = await (self._receive_in_time() if self._awaits_body else self._receive())
        self._awaits_body = message.get("more_body", False)
        if message["type"] == "http.disconnect":
            self._client_gone = True
        self._received_bytes += len(message.get("body", b""))
        self._check_length(self._received_bytes)
        return message

    async def _receive_in_time(self) -> Message:
        seconds = self._limits.body_seconds
        try:
            async with asyncio.timeout(self.began + seconds - time.perf_counter()):
                return await self._receive()
        except TimeoutError:
            raise RequestTimeout("body", seconds) from None

    def _check_length(self, length: int) -> None:
        if length > self._limits.body_bytes:
            raise BodyTooLarge(self._limits.body_bytes)

    async def send(self, message: Message) -> None:
        """Note when and how the response starts, and add the headers of every response."""
        if message["type"] == "http.response.start":
            self.first_byte = time.perf_counter() - self.began
            # A response without a recipient is neither a success nor a failure.
            self.status = None if self._client_gone else message["status"]
            message["headers"] = [*message["headers"], *self._common_headers()]
        await self._send(message)

    def _common_headers(self) -> list[RawHeader]:
        return [
            (b"x-request-id", self.context.request_id.encode()),
            *self.context.security_headers,
            *((HSTS,) if self.scope["scheme"] == "https" else ()),
            *self.context.response_headers,
        ]
