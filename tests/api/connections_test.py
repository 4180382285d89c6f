"""Connections within limits: slow, silent, huge and broken clients, and more requests than fit.

The limits are made small here; that the shipped ones are listed is overload_test's.
"""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Self

import httpx
import pytest

from api.main import create_app
from api.metrics import Metrics
from api.overload import Limits, Load
from tests.support import builders
from tests.support.faults import FaultProxy
from tests.support.server import serving

LIMITS = Limits(
    head_seconds=0.3,
    body_seconds=0.3,
    write_seconds=0.5,
    linger_seconds=0.2,
    idle_seconds=0.6,
    head_bytes=2048,
    head_fields=20,
    discarded_bytes=200_000,
    unread_bytes=3_000_000,
    pipelined=4,
    connections=8,
    reserved_connections=2,
    in_flight=3,
    watch_seconds=0.02,
)
# Longer than any of them: who waits for it was forgotten.
FORGOTTEN_SECONDS = 5
ASK = b"GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n"
LIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


class Heard(NamedTuple):
    """All that a client was told until its connection ended."""

    data: bytes

    @property
    def statuses(self) -> list[int]:
        return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.data)]

    @property
    def problem(self) -> dict[str, Any]:
        head, _, body = self.data.partition(b"\r\n\r\n")
        assert b"content-type: application/problem+json" in head
        found: dict[str, Any] = json.loads(body)
        assert f"x-request-id: {found['request_id']}".encode() in head
        assert b"x-content-type-options: nosniff" in head
        return found


class Peer:
    """A client that sends what it likes, byte by byte."""

    def __init__(self, url: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        self.socket.settimeout(FORGOTTEN_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def hear(self) -> Heard:
        """Listen until the server ends the connection."""
        heard = b""
        with suppress(ConnectionError):
            while data := self.socket.recv(65536):
                heard += data
        return Heard(heard)

    def hear_answer(self) -> Heard:
        """Listen until one answer with a body is whole."""
        heard = b""
        while not heard.endswith(b"}"):
            data = self.socket.recv(65536)
            assert data, f"it ended after {heard!r}"
            heard += data
        return Heard(heard)

    def pour(self, data: bytes) -> None:
        """Send the same again and again, until nobody takes it any more."""
        with suppress(ConnectionError):
            while True:
                self.send(data)

    def trickle(self, data: bytes, seconds: float) -> None:
        """Send a byte at a time, until nobody takes it any more."""
        with suppress(OSError):
            for byte in data:
                self.send(bytes([byte]))
                time.sleep(seconds)


@contextmanager
def limited(endpoint: str, **changes: Any) -> Iterator[str]:
    """Serve an app within small limits, some of them changed."""
    limits = LIMITS._replace(**changes)
    settings = builders.settings(endpoint, log_format="json")
    with serving(create_app(settings, limits=limits)) as url:
        yield url


@pytest.fixture(scope="module")
def url(moto: str) -> Iterator[str]:
    with limited(moto) as url:
        yield url


def metric(url: str, name: str) -> float:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def cut(url: str, reason: str) -> float:
    return metric(url, f'http_connections_cut_total{{reason="{reason}"}}')


def refused(url: str, status: int) -> float:
    labels = f'method="_OTHER",route="unmatched",status="{status}"'
    return metric(url, f"http_requests_total{{{labels}}}")


def test_a_silent_client_is_left(url: str) -> None:
    """Nothing was asked, so nothing is answered."""
    before = cut(url, "idle")
    with Peer(url) as peer:
        assert peer.hear().data == b""
    assert cut(url, "idle") == before + 1


def test_empty_lines_are_no_request(url: str) -> None:
    """They buy no time, neither at first nor after an answer."""
    with Peer(url) as peer, Peer(url) as later:
        later.send(LIVE).hear_answer()
        for one in (peer, later):
            one.trickle(b"\r\n" * 40, 0.01)
            assert one.hear().data == b""


def test_a_head_has_its_time(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    """However it trickles; the client is told, the log and the metrics too."""
    before = refused(url, 408)
    with Peer(url) as peer:
        peer.trickle(b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 40, 0.005)
        heard = peer.hear()
    assert heard.statuses == [408]
    assert heard.problem["detail"] == "A request's head is awaited for 0.3 s. Nothing was done."
    assert refused(url, 408) == before + 1
    (line,) = [line for line in capfd.readouterr().err.splitlines() if '"status": 408' in line]
    assert json.loads(line)["id"] == heard.problem["request_id"]


def test_a_body_has_its_time(url: str) -> None:
    """The answer comes by then, and the rest is not waited for."""
    before = cut(url, "slow_sender")
    with Peer(url) as peer:
        peer.send(POST + b"Content-Length: 90\r\n\r\n")
        peer.trickle(b'{"title": "' + b"x" * 77, 0.02)
        heard = peer.hear()
    assert heard.statuses == [408]
    assert "body is awaited for 0.3 s" in heard.problem["detail"]
    assert cut(url, "slow_sender") == before + 1


@pytest.mark.parametrize(
    "head",
    [
        b"GET /?" + b"q" * 3000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 3000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 21 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 3000,
    ],
    ids=["a target", "a field", "many fields", "one without an end"],
)
def test_a_head_has_its_size(url: str, head: bytes) -> None:
    """Beyond it nothing is kept, and it is said."""
    before = refused(url, 431)
    with Peer(url) as peer:
        heard = peer.send(head).hear()
    assert heard.statuses == [431]
    assert heard.problem["type"] == "urn:problem:head-too-large"
    assert refused(url, 431) == before + 1


def test_a_head_may_be_as_large_as_that_behind_a_body(url: str) -> None:
    """What came before it on the connection is not counted to it."""
    body = b"x" * 1800
    with Peer(url) as peer:
        request = b"GET /livez HTTP/1.1\r\nContent-Length: 1800\r\n\r\n" + body
        peer.send(request + b"GET /livez HTTP/1.1\r\nX: " + b"x" * 1000).hear_answer()
        assert peer.send(b"x" * 900 + b"\r\n\r\n").hear_answer().statuses == [200]


def test_each_head_has_that_size(url: str) -> None:
    """Those before it on the connection are not counted to it."""
    with Peer(url) as peer:
        for _ in range(4):
            peer.send(b"GET /livez HTTP/1.1\r\nX: " + b"x" * 900)
            time.sleep(0.02)
            assert peer.send(b"\r\n\r\n").hear_answer().statuses == [200]


def test_a_refusal_reaches_who_is_still_sending(url: str) -> None:
    """A connection that closed at once would take it back."""
    with Peer(url) as peer:
        peer.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 3000)
        time.sleep(0.05)
        peer.send(b"x" * 100_000)
        time.sleep(0.05)
        assert peer.hear().statuses == [431]


@pytest.mark.parametrize(
    "data",
    [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET http://[ HTTP/1.1\r\n\r\n"],
    ids=["words", "tls", "a target that is none"],
)
def test_what_is_not_http_is_told_so(url: str, data: bytes) -> None:
    """As a problem, on a connection that then ends."""
    before = refused(url, 400)
    with Peer(url) as peer:
        heard = peer.send(data).hear()
    assert heard.problem["type"] == "urn:problem:malformed-request"
    assert b"connection: close" in heard.data
    assert refused(url, 400) == before + 1


def test_a_client_that_was_idle_for_long_is_left(url: str) -> None:
    """After its answer, without a word."""
    before = cut(url, "idle")
    with Peer(url) as peer:
        assert peer.send(LIVE).hear().statuses == [200]
    assert cut(url, "idle") == before + 1


def test_requests_in_a_row_are_answered_in_a_row(url: str) -> None:
    """As many as may wait."""
    with Peer(url) as peer:
        assert peer.send(LIVE * 5).hear().statuses == [200] * 5


def test_more_requests_in_a_row_are_cut(url: str) -> None:
    """Nobody needs hundreds that wait."""
    before = cut(url, "pipelining")
    with Peer(url) as peer:
        assert peer.send(LIVE * 60).hear().data == b""
    assert cut(url, "pipelining") == before + 1


def test_no_refusal_stands_within_an_answer(url: str) -> None:
    """A broken request behind a good one ends the connection without a word."""
    with Peer(url) as peer:
        assert peer.send(LIVE + b"GARBAGE\r\n\r\n").hear().data == b""


def test_a_body_that_nobody_wants_is_not_taken_for_ever(url: str) -> None:
    """The client hears why before it is cut off."""
    before = cut(url, "unwanted_body")
    with Peer(url) as peer:
        peer.send(POST + b"Content-Length: 9000000\r\n\r\n")
        heard = peer.hear_answer()
        peer.pour(b"x" * 90_000)
    assert heard.statuses == [413]
    assert cut(url, "unwanted_body") == before + 1


def test_after_a_body_that_nobody_wanted_it_goes_on(url: str) -> None:
    """If all of it arrives, the connection is as good as before."""
    with Peer(url) as peer:
        peer.send(POST + b"Content-Length: 150000\r\n\r\n")
        assert peer.hear_answer().statuses == [413]
        peer.send(b"x" * 150_000)
        time.sleep(2 * LIMITS.linger_seconds)
        assert peer.send(LIVE).hear_answer().statuses == [200]


def test_a_body_that_nobody_wants_has_little_time(moto: str) -> None:
    """It is not waited for as one that somebody wants."""
    with limited(moto, body_seconds=60) as url, Peer(url) as peer:
        peer.send(POST + b"Content-Length: 150000\r\n\r\n")
        assert peer.hear().statuses == [413]
        assert cut(url, "slow_sender") == 1


def test_connections_have_a_number(moto: str) -> None:
    """Beyond it, and what is kept for this host, they end at once; the others stay."""
    with limited(moto, head_seconds=3) as url:
        peers = [Peer(url) for _ in range(14)]
        time.sleep(0.2)
        for peer in peers[10:]:
            assert peer.hear().data == b""
        assert peers[0].send(LIVE).hear_answer().statuses == [200]
        for peer in peers:
            peer.socket.close()
        time.sleep(0.2)
        assert cut(url, "too_many") == 4
        assert metric(url, "http_connections ") == 1


def slow_reader(url: str) -> Peer:
    """Ask for more than sockets hold, and read none of it."""
    peer = Peer(url)
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return peer.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 300)


def until(condition: Any) -> None:
    deadline = time.monotonic() + FORGOTTEN_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_slow_reader_has_its_time(moto: str) -> None:
    """An answer that is not read does not stay."""
    with limited(moto, pipelined=300, idle_seconds=60) as url, slow_reader(url):
        until(lambda: cut(url, "slow_reader") == 1)


def test_unread_answers_have_a_size(moto: str) -> None:
    """The first to lag goes first, however much time it has; who reads is let be."""
    limits: dict[str, Any] = {"pipelined": 300, "write_seconds": 60, "unread_bytes": 100_000}
    with limited(moto, idle_seconds=60, **limits) as url, slow_reader(url), slow_reader(url):
        until(lambda: cut(url, "slow_reader") >= 1)
        assert len(httpx.get(f"{url}/openapi.json").content) > 25_000


class Busy(NamedTuple):
    """An app with all the work that it takes, and what lets its store answer."""

    url: str
    peers: list[Peer]
    released: threading.Event


@contextmanager
def busy(moto: str) -> Iterator[Busy]:
    """Serve an app whose store hangs, and give it all the work that it takes."""
    released = threading.Event()

    def hold(operation: str) -> None:
        if operation == "Query":
            released.wait(FORGOTTEN_SECONDS)

    with (
        FaultProxy(moto, hold) as proxy,
        limited(proxy.url, connections=60, idle_seconds=60) as url,
    ):
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        peers = [Peer(url).send(ASK) for _ in range(LIMITS.in_flight)]
        until(lambda: metric(url, "http_requests_in_flight ") == LIMITS.in_flight + 1)
        yield Busy(url, peers, released)
        released.set()
        for peer in peers:
            peer.socket.close()


def test_what_does_not_fit_is_told_to_come_again(
    moto: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At once, on a connection that goes on; when there is room it is answered there."""
    with busy(moto) as (url, peers, released), Peer(url) as peer:
        heard = peer.send(ASK).hear_answer()
        assert heard.statuses == [503]
        assert b"retry-after: 1\r\n" in heard.data
        assert heard.problem["type"] == "urn:problem:overloaded"
        other = peer.send(POST + b"Content-Length: 14\r\n\r\n" + b'{"title": "x"}').hear_answer()
        assert other.problem["request_id"] != heard.problem["request_id"]
        until(lambda: any(record.message == "shed" for record in caplog.records))
        released.set()
        for one in peers:
            assert one.hear_answer().statuses == [200]
        assert peer.send(ASK).hear_answer().statuses == [200]
        labels = 'method="GET",route="shed",status="503"'
        assert metric(url, f"http_requests_total{{{labels}}}") == 1
        assert httpx.get(f"{url}/v1/tasks").json()["items"] == []


def test_what_is_shed_and_says_goodbye_is_let_go(moto: str) -> None:
    """A client that closes after its answer gets it, and nothing behind it is read."""
    with busy(moto) as (url, _, _), Peer(url) as peer:
        asked = b"GET /v1/tasks HTTP/1.1\r\nConnection: close\r\n\r\n"
        assert peer.send(asked + LIVE).hear().statuses == [503]


def test_a_shed_head_gets_no_body(moto: str) -> None:
    """As HTTP has it for HEAD, and for a method that nobody knows there is one label."""
    with busy(moto) as (url, _, _), Peer(url) as peer:
        asked = b" /v1/tasks HTTP/1.1\r\nConnection: close\r\n\r\n"
        heard = peer.send(b"HEAD" + asked).hear()
        assert heard.statuses == [503]
        assert heard.data.endswith(b"\r\n\r\n")
        with Peer(url) as other:
            assert other.send(b"MKCOL" + asked).hear().statuses == [503]
        assert metric(url, 'http_requests_total{method="_OTHER",route="shed",status="503"}') == 1


def test_the_platform_is_answered_whatever_there_is_to_do(moto: str) -> None:
    """Its health, its readiness and its metrics, though not by a path that looks like one."""
    with busy(moto) as (url, _, released):
        assert httpx.get(f"{url}/livez").status_code == 200
        assert httpx.get(f"{url}/metrics?x=1").status_code == 200
        assert httpx.get(f"{url}/livez/x").status_code == 503
        released.set()
        assert httpx.get(f"{url}/readyz").status_code == 200


def test_a_body_on_its_way_is_no_work_yet(moto: str) -> None:
    """Slow senders, as many as would fill the house, leave it open to others."""
    with limited(moto, body_seconds=3, connections=60) as url:
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        head = POST + b"Content-Length: 14\r\n\r\n"
        senders = [Peer(url).send(head) for _ in range(2 * LIMITS.in_flight)]
        until(lambda: metric(url, "http_requests_in_flight ") == len(senders) + 1)
        assert httpx.get(f"{url}/v1/tasks").status_code == 200
        for sender in senders:
            assert sender.send(b'{"title": "x"}').hear_answer().statuses == [201]
            sender.socket.close()


def test_connections_of_this_host_have_some_kept_for_them() -> None:
    """Peers elsewhere cannot take the last ones."""
    load = Load(Metrics("dev"), Limits(connections=0, reserved_connections=1))
    load._connections.add(object())  # type: ignore[arg-type]
    assert load.has_room("127.0.0.1")
    assert load.has_room("::1")
    assert not load.has_room("198.51.100.7")
