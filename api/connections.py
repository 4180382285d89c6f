"""One client's connection, within limits; uvicorn's own has none but the idle time."""

import asyncio
import math
from enum import Enum, auto
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api import addresses, errors, raw_answers
from api.headers import new_request_id
from api.logs import RequestLog
from api.metrics import OTHER_METHOD, UNMATCHED
from api.overload import Load

# The platform's questions are answered however much there is to do.
NEVER_SHED = frozenset({b"/livez", b"/readyz", b"/metrics"})


class Stage(Enum):
    """What a connection waits for."""

    REQUEST = auto()
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    LEAVE = auto()


class _Answered:
    """Stands where uvicorn keeps the last request: this one was answered without it."""

    response_complete = True
    message_event = asyncio.Event()


ANSWERED = cast("RequestResponseCycle", _Answered())


class Connection(HttpToolsProtocol):
    """Bounds what one client may take, and refuses before there is work for the app."""

    def __init__(self, load: Load, log: RequestLog, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._load = load
        self._log = log
        self._limits = load.limits
        self._stage = Stage.REQUEST
        self._deadline = math.inf
        self._write_deadline = math.inf
        self._requests = 0
        self._head_bytes = 0
        self._discarded_bytes = 0
        self._is_cut = False
        self.cycle = ANSWERED

    # What the transport tells

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._load.enter(self)
        self._wait_for(Stage.REQUEST, self._limits.head_seconds)
        if not self._load.has_room(self._peer):
            self.end("too_many")

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.leave(self)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        if self._stage is Stage.LEAVE:
            return
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade:
            # Nothing else is spoken here: the answer comes over HTTP.
            pass
        except httptools.HttpParserError as error:
            reason = error.__context__
            self._refuse(
                reason if isinstance(reason, errors.Problem) else errors.MalformedRequest()
            )
        except errors.HeadTooLarge as problem:
            self._refuse(problem)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline = self.loop.time() + self._limits.write_seconds
        self._load.lags(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._write_deadline = math.inf
        self._load.caught_up(self)

    # What the parser finds

    def on_message_begin(self) -> None:
        if self._stage is Stage.LEAVE:
            # Ends the parsing of what came along behind the last request.
            raise errors.MalformedRequest
        super().on_message_begin()
        self._requests += 1
        self._head_bytes = 0
        self._stage = Stage.HEAD
        self._hurry(self._limits.head_seconds)

    def on_headers_complete(self) -> None:
        self._check_head()
        self._wait_for(Stage.BODY, self._limits.body_seconds + self._limits.linger_seconds)
        self._discarded_bytes = 0
        if self._load.is_full and not self._is_answering and self._may_be_shed:
            self._shed()
            return
        super().on_headers_complete()
        if len(self.pipeline) > self._limits.pipelined:
            self.end("pipelining")

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.cycle.response_complete:
            self._discarded_bytes += len(body)
            if self._discarded_bytes > self._limits.discarded_bytes:
                self.end("unwanted_body")

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._stage is Stage.LEAVE:
            return
        if self.cycle.response_complete:
            self._wait_for(Stage.REQUEST, self._limits.idle_seconds)
            return
        self._wait_for(Stage.ANSWER, math.inf)
        if not self.pipeline:
            self._load.working.add(self.cycle)

    # What uvicorn does with a request

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not cycle.more_body:
            self._load.working.add(cycle)
        super()._start_asgi_task(cycle, partial(self._work, cycle, app))

    async def _work(self, cycle: RequestResponseCycle, app: Any, *asgi: Any) -> None:
        try:
            await app(*asgi)
        finally:
            self._load.working.discard(cycle)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            # It closes when all is read; that may be never.
            self._wait_for(Stage.LEAVE, self._limits.write_seconds)
        elif self._stage is Stage.BODY:
            self._hurry(self._limits.linger_seconds)
        elif self._stage is Stage.ANSWER and self.cycle.response_complete:
            self._wait_for(Stage.REQUEST, self._limits.idle_seconds)

    def timeout_keep_alive_handler(self) -> None:
        """Leave it to check: a close would wait for an answer to be read."""

    # What is watched over

    @property
    def unread_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def check(self, now: float) -> None:
        """End what has had its time, with a word where one can be understood."""
        if now > self._write_deadline:
            self.end("slow_reader")
        elif now > self._deadline:
            self._time_is_up()

    def end(self, reason: str) -> None:
        """Cut the connection, whatever is under way on it."""
        if not self._is_cut:
            self._is_cut = True
            self._stage = Stage.LEAVE
            self._load.metrics.connections_cut.labels(reason).inc()
            self.transport.abort()

    def _time_is_up(self) -> None:
        if self._stage is Stage.HEAD:
            self._refuse(errors.RequestTimeout("head", self._limits.head_seconds))
        elif self._stage is Stage.LEAVE:
            self.transport.abort()
        else:
            self.end("idle" if self._stage is Stage.REQUEST else "slow_sender")

    def _wait_for(self, stage: Stage, seconds: float) -> None:
        self._stage = stage
        self._deadline = self.loop.time() + seconds

    def _hurry(self, seconds: float) -> None:
        self._deadline = min(self._deadline, self.loop.time() + seconds)

    # Heads

    def _feed(self, data: bytes) -> None:
        stage, requests = self._stage, self._requests
        self.parser.feed_data(data)
        # A head that is not whole yet: all of this is of it, unless it began somewhere within.
        at_start = stage is Stage.REQUEST and self._requests == requests + 1
        if self._stage is Stage.HEAD and (at_start or self._requests == requests):
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes:
                raise self._head_too_large()

    def _check_head(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._limits.head_bytes or len(self.headers) > self._limits.head_fields:
            raise self._head_too_large()

    def _head_too_large(self) -> errors.HeadTooLarge:
        return errors.HeadTooLarge(self._limits.head_bytes, self._limits.head_fields)

    # Answers without the app

    @property
    def _is_answering(self) -> bool:
        return not self.cycle.response_complete

    @property
    def _may_be_shed(self) -> bool:
        return self.url.partition(b"?")[0] not in NEVER_SHED

    @property
    def _peer(self) -> str:
        return addresses.client({"client": self.client}, trusted_hops=0)

    def _shed(self) -> None:
        """Refuse a request for a small part of what it would cost to answer it."""
        method = self.parser.get_method().decode("ascii")
        self.cycle = ANSWERED
        self._load.shed(method)
        answer = raw_answers.overloaded(new_request_id())
        self.transport.write(answer.head if method == "HEAD" else answer.head + answer.body)
        if not self.parser.should_keep_alive():
            self._leave()

    def _refuse(self, problem: errors.Problem) -> None:
        if self._stage is Stage.LEAVE:
            return
        if self._is_answering or self.pipeline:
            # A word now would stand in the middle of another answer.
            self.end("pipelining")
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
                "client": self._peer,
            }
        )
        self.transport.write(b"".join(raw_answers.last(problem, request_id)))
        self._leave()

    def _leave(self) -> None:
        """Close when the client has, or soon; at once would take back what it has not read."""
        self._wait_for(Stage.LEAVE, self._limits.linger_seconds)
        self.transport.write_eof()
