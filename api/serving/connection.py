"""One client's connection with limits, of which uvicorn's own protocol has only the idle time."""

import asyncio
import math
from enum import Enum, auto
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.errors import HeadersTooLarge, MalformedRequest, RequestTimeout
from api.http.client_address import client_address, client_network, peer_address
from api.http.context import new_request_id
from api.http.cors import origin_headers
from api.http.headers import HSTS, RawHeader
from api.http.waits import RELEASE
from api.logs import RequestLog
from api.metrics import OTHER_METHOD, UNMATCHED
from api.problem import Problem
from api.serving import raw_responses
from api.serving.load import Load

# The platform's probes get a response however many requests are in progress.
NEVER_SHED = frozenset({b"/livez", b"/readyz", b"/metrics"})


class Stage(Enum):
    """What a connection is waiting for."""

    REQUEST = auto()
    HEAD = auto()
    BODY = auto()
    RESPONSE = auto()
    CLOSE = auto()


class _CompleteCycle:
    """Takes the place of uvicorn's last request where the response was written without it."""

    response_complete = True
    message_event = asyncio.Event()
    body = bytearray()


COMPLETE = cast("RequestResponseCycle", _CompleteCycle())


class Connection(HttpToolsProtocol):
    """Limits what one client may use, and refuses requests before the app works on them."""

    def __init__(
        self, load: Load, log: RequestLog, origins: frozenset[str], **options: Any
    ) -> None:
        super().__init__(**options)
        self._load = load
        self._log = log
        self._origins = origins
        self._limits = load.limits
        self._stage = Stage.REQUEST
        self._deadline = math.inf
        self._write_deadline = math.inf
        # The requests that the app works on, with their clients.
        self._begun: dict[RequestResponseCycle, str] = {}
        self._waiting: set[RequestResponseCycle] = set()
        self._requests = 0
        self._head_bytes = 0
        self._received_bytes = 0
        self._body_bytes = 0
        self._unread_bytes = 0
        self._upgrading = False
        self._aborted = False
        self.network = ""
        self.cycle = COMPLETE

    # Called by the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.network = client_network(peer_address(self.client))
        self._wait_for(Stage.REQUEST, self._limits.head_seconds)
        self._load.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.remove(self)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        if self._stage is Stage.CLOSE:
            return
        try:
            self._parse(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._continue_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Problem) else MalformedRequest())
        except HeadersTooLarge as problem:
            self._refuse(problem)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline = self.loop.time() + self._limits.write_seconds
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._update_held()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._write_deadline = math.inf
        self._unread_bytes = 0
        self._update_held()

    # Called by the parser

    def on_message_begin(self) -> None:
        if self._stage is Stage.CLOSE:
            # Stops parsing what was pipelined after the last request.
            raise MalformedRequest
        super().on_message_begin()
        self._load.busy(self)
        self._requests += 1
        self._head_bytes = 0
        self._stage = Stage.HEAD
        self._hasten(self._limits.head_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        # The parser also reports trailers here; none of them may act as a header.
        if self._stage is Stage.HEAD:
            super().on_header(name, value)
            # Not only once they are complete: small headers take 20 times their size as objects.
            if len(self.headers) > self._limits.head_fields:
                raise self._headers_too_large()

    def on_headers_complete(self) -> None:
        self._check_head()
        self._wait_for(Stage.BODY, self._limits.body_seconds + self._limits.linger_seconds)
        self._upgrading = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if self._upgrading:
            return
        if not self._is_responding and self._must_shed:
            self._shed()
            return
        super().on_headers_complete()
        if len(self.pipeline) > self._limits.pipelined:
            self.abort("pipelining")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        super().on_message_complete()
        if self._stage is Stage.CLOSE:
            return
        if self.cycle.response_complete:
            self._wait_for(Stage.REQUEST, self._limits.idle_seconds)
            return
        self._wait_for(Stage.RESPONSE, math.inf)
        if not self.pipeline:
            self._begin(self.cycle)

    # Called by uvicorn

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        scope: Any = cycle.scope
        scope[RELEASE] = partial(self._release, cycle)
        if not cycle.more_body:
            self._begin(cycle)
        super()._start_asgi_task(cycle, partial(self._run_app, cycle, app))

    def _begin(self, cycle: RequestResponseCycle) -> None:
        """Count a request once it has arrived, so that slow uploads do not count."""
        if cycle not in self._waiting:
            self._begun[cycle] = client = self._client(cycle.scope)
            self._load.begin(client)

    def _release(self, cycle: RequestResponseCycle) -> None:
        """Count a request no longer: it waits, and has another slot."""
        self._waiting.add(cycle)
        self._end(cycle)

    def _end(self, cycle: RequestResponseCycle) -> None:
        if (client := self._begun.pop(cycle, None)) is not None:
            self._load.end(client)

    async def _run_app(self, cycle: RequestResponseCycle, app: Any, *asgi: Any) -> None:
        try:
            await app(*asgi)
        finally:
            self._end(cycle)
            self._waiting.discard(cycle)
            # It refers to the cycle, which refers to it.
            cast("Any", cycle.scope).pop(RELEASE, None)

    def _client(self, scope: Any) -> str:
        """Return the network of a request's client: the peer's, or what trusted proxies report."""
        hops = self._load.trusted_hops
        return client_network(client_address(scope, hops)) if hops else self.network

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            # It closes once the client has read everything, which may be never.
            self._wait_for(Stage.CLOSE, self._limits.write_seconds)
        elif self._is_responding:
            # Pipelined requests that have arrived are processed before more is read.
            self.flow.pause_reading()
        elif self._stage is Stage.BODY:
            self._hasten(self._limits.linger_seconds)
            self._update_held()
        elif self._stage is Stage.RESPONSE:
            self._wait_for(Stage.REQUEST, self._limits.idle_seconds)

    def shutdown(self) -> None:
        """End the requests that wait before the server waits for them."""
        super().shutdown()
        self._load.stop()

    def timeout_keep_alive_handler(self) -> None:
        """Do nothing, because uvicorn's close would wait for the client to read; `check` aborts."""

    # Called by Load

    @property
    def awaits_client(self) -> bool:
        return self._stage is not Stage.RESPONSE or self._unread_bytes > 0

    def check(self, now: float) -> None:
        """Close what has exceeded its time, with a response where the client can parse one."""
        if now > self._write_deadline:
            self.abort("slow_reader")
        elif now > self._deadline:
            self._time_out()

    def abort(self, reason: str) -> None:
        """Close the connection at once, whatever is in progress on it."""
        if not self._aborted:
            self._aborted = True
            self._discard_unfinished()
            self._stage = Stage.CLOSE
            self._load.metrics.connections_cut.labels(reason).inc()
            self.transport.abort()

    def abort_for_memory(self) -> None:
        self.abort("slow_sender" if self._write_deadline == math.inf else "slow_reader")

    def _time_out(self) -> None:
        if self._stage is Stage.HEAD:
            self._refuse(RequestTimeout("headers", self._limits.head_seconds))
        elif self._stage is Stage.CLOSE:
            self.transport.abort()
        else:
            self.abort("idle" if self._stage is Stage.REQUEST else "slow_sender")

    def _wait_for(self, stage: Stage, seconds: float) -> None:
        self._stage = stage
        self._deadline = self.loop.time() + seconds
        if stage is Stage.REQUEST:
            self._load.idle(self)
            if self._received_bytes:
                self._received_bytes = self._body_bytes = 0
                self._update_held()

    def _hasten(self, seconds: float) -> None:
        self._deadline = min(self._deadline, self.loop.time() + seconds)

    # What arrives

    def _continue_without_upgrade(self, rest: bytes) -> None:
        """Parse a request with an Upgrade header as one without, because none is served.

        httptools stops at such a request's headers and leaves its body unread.
        """
        keep = [(n, v) for n, v in self.headers if n not in {b"connection", b"upgrade"}]
        lines = b"".join(b"%b: %b\r\n" % header for header in keep)
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (self.parser.get_method(), self.url, lines)
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)

    def _parse(self, data: bytes) -> None:
        stage, requests = self._stage, self._requests
        self.parser.feed_data(data)
        if self._stage is Stage.BODY or self._is_responding:
            self._count_received(len(data))
        # The head is not complete: all of the data belongs to it, unless it began inside the data.
        at_start = stage is Stage.REQUEST and self._requests == requests + 1
        if self._stage is Stage.HEAD and (at_start or self._requests == requests):
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes:
                raise self._headers_too_large()

    def _count_received(self, size: int) -> None:
        """Count what arrives until all requests and responses on this connection are complete.

        It includes chunk extensions, trailers and pipelined requests.
        """
        self._received_bytes += size
        if self._received_bytes > self._limits.raw_body_bytes:
            self.abort("pipelining" if self.pipeline else "unwanted_body")
        else:
            self._update_held()

    def _update_held(self) -> None:
        # The body of a request that has its response is discarded.
        discarded = 0 if self._is_responding else self._body_bytes
        if held := self._received_bytes - discarded + self._unread_bytes:
            self._load.hold(self, held)
        else:
            self._load.release(self)

    def _check_head(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._limits.head_bytes:
            raise self._headers_too_large()

    def _headers_too_large(self) -> HeadersTooLarge:
        return HeadersTooLarge(self._limits.head_bytes, self._limits.head_fields)

    # Responses without the app

    @property
    def _is_responding(self) -> bool:
        return not self.cycle.response_complete

    @property
    def _must_shed(self) -> bool:
        client = self._client({"headers": self.headers, "client": self.client})
        return self._load.must_shed(client) and self.url.partition(b"?")[0] not in NEVER_SHED

    def _shed(self) -> None:
        """Refuse a request at a small part of the cost of processing it."""
        method = self.parser.get_method().decode("ascii")
        self.cycle = COMPLETE
        self._load.count_shed(method)
        response = raw_responses.overloaded(new_request_id(), tuple(self._more_headers()))
        self.transport.write(response.head if method == "HEAD" else b"".join(response))
        if not self.parser.should_keep_alive():
            self._close()

    def _refuse(self, problem: Problem) -> None:
        if self._stage is Stage.CLOSE:
            return
        if self._is_responding or self.pipeline:
            # A response now would stand in the middle of another one.
            self.abort("pipelining")
            return
        request_id = new_request_id()
        status = str(problem.status)
        self._load.metrics.requests.labels(OTHER_METHOD, UNMATCHED, status).inc()
        self._log.write(
            {
                "id": request_id,
                "method": OTHER_METHOD,
                "route": UNMATCHED,
                "status": problem.status,
                "client": peer_address(self.client),
            }
        )
        more = self._more_headers()
        self.transport.write(raw_responses.closing_response(problem, request_id, more))
        self._discard_unfinished()
        self._close()

    def _discard_unfinished(self) -> None:
        """Free an unfinished body or header at once, before more is read from others."""
        self.parser = httptools.HttpRequestParser(self)
        if self._stage is Stage.BODY:
            self.cycle.body.clear()

    def _more_headers(self) -> list[RawHeader]:
        tls = [HSTS] if self.scheme == "https" else []
        return tls + origin_headers(self._origins, self.headers or ())

    def _close(self) -> None:
        """Close after the client has, or soon: closing at once could discard unread data."""
        self._wait_for(Stage.CLOSE, self._limits.linger_seconds)
        # TLS cannot end one direction alone.
        if self.transport.can_write_eof():
            self.transport.write_eof()
