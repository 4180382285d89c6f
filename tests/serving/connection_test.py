"""A connection's limits: slow, silent and broken clients, and more requests than are processed.

The limits are small here; load_test.py compares the real ones with the documentation.
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

from api.limits import Limits
from api.main import create_app
from tests.support import builders
from tests.support.faults import FaultProxy
from tests.support.server import serving
from tests.support.wait import wait_until

LIMITS = Limits(
    head_seconds=0.3,
    body_seconds=0.3,
    write_seconds=0.5,
    linger_seconds=0.2,
    idle_seconds=0.6,
    head_bytes=2048,
    head_fields=20,
    raw_body_bytes=200_000,
    held_bytes=3_000_000,
    pipelined=4,
    connections=8,
    reserved_connections=2,
    in_flight=3,
    in_flight_each=3,
    check_interval_seconds=0.02,
)
# Longer than any of the limits: a client that waits this long was not handled.
MAX_WAIT_SECONDS = 5
LIST = b"GET /v1/tasks HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class Received(NamedTuple):
    """The bytes that a client received."""

    data: bytes

    @property
    def statuses(self) -> list[int]:
        return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.data)]

    @property
    def problem(self) -> dict[str, Any]:
        head, _, body = self.data.partition(b"\r\n\r\n")
        assert b"content-type: application/problem+json" in head
        problem: dict[str, Any] = json.loads(body)
        assert f"x-request-id: {problem['request_id']}".encode() in head
        assert b"x-content-type-options: nosniff" in head
        return problem


class RawClient:
    """A client that sends any bytes, whether they are HTTP or not."""

    def __init__(self, url: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        self.socket.settimeout(MAX_WAIT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def receive_all(self) -> Received:
        """Receive until the server closes the connection."""
        received = b""
        with suppress(ConnectionError):
            while data := self.socket.recv(65536):
                received += data
        return Received(received)

    def receive_response(self) -> Received:
        """Receive one whole response with a JSON body."""
        received = b""
        while not received.endswith(b"}"):
            data = self.socket.recv(65536)
            assert data, f"the connection ended after {received!r}"
            received += data
        return Received(received)

    def send_slowly(self, data: bytes, seconds: float) -> None:
        """Send a byte at a time, until the server closes the connection."""
        with suppress(OSError):
            for byte in data:
                self.send(bytes([byte]))
                time.sleep(seconds)


@contextmanager
def limited(endpoint: str, **changes: Any) -> Iterator[str]:
    """Serve an app with small limits; yield its URL."""
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


def cut(reason: str) -> str:
    return f'http_connections_cut_total{{reason="{reason}"}}'


def refused(status: int) -> str:
    return f'http_requests_total{{method="_OTHER",route="unmatched",status="{status}"}}'


@contextmanager
def client_of(url: str, counted_by: str) -> Iterator[RawClient]:
    """Yield a client; check that the metric then has counted exactly one connection or request."""
    before = metric(url, counted_by)
    with RawClient(url) as client:
        yield client
    assert metric(url, counted_by) == before + 1


@pytest.mark.parametrize(("sent", "statuses"), [(b"", []), (LIVEZ, [200])], ids=["new", "used"])
def test_an_idle_connection_is_closed(url: str, sent: bytes, statuses: list[int]) -> None:
    with client_of(url, cut("idle")) as client:
        assert client.send(sent).receive_all().statuses == statuses


def test_empty_lines_do_not_keep_a_connection_open(url: str) -> None:
    """RFC 9112 lets a client send them before a request."""
    with RawClient(url) as new, RawClient(url) as used:
        used.send(LIVEZ).receive_response()
        for client in (new, used):
            client.send_slowly(b"\r\n" * 40, 0.01)
            assert client.receive_all().data == b""


def test_slow_headers_get_408_and_a_log_line(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    with client_of(url, refused(408)) as client:
        client.send_slowly(b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 40, 0.005)
        received = client.receive_all()
    assert received.statuses == [408]
    problem = received.problem
    assert problem["detail"] == "The headers did not arrive within 0.3 s. Nothing was done."
    (line,) = [line for line in capfd.readouterr().err.splitlines() if '"status":408' in line]
    assert json.loads(line)["id"] == problem["request_id"]


def test_a_slow_body_gets_408_and_the_connection_is_closed(url: str) -> None:
    with client_of(url, cut("slow_sender")) as client:
        client.send(POST + b"Content-Length: 90\r\n\r\n")
        client.send_slowly(b'{"title": "' + b"x" * 77, 0.02)
        received = client.receive_all()
    assert received.statuses == [408]
    assert "body did not arrive within 0.3 s" in received.problem["detail"]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /?" + b"q" * 3000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 3000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 21 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 3000,
    ],
    ids=["long target", "long field", "many fields", "unfinished field"],
)
def test_too_large_headers_get_431(url: str, head: bytes) -> None:
    with client_of(url, refused(431)) as client:
        received = client.send(head).receive_all()
    assert received.statuses == [431]
    assert received.problem["type"] == "/problems/headers-too-large"


def test_earlier_requests_do_not_count_towards_the_size_of_headers(url: str) -> None:
    """Neither their headers nor their body, even if it arrives together with the next headers."""
    with RawClient(url) as client:
        for _ in range(3):
            client.send(b"GET /livez HTTP/1.1\r\nX: " + b"x" * 900)
            time.sleep(0.02)
            assert client.send(b"\r\n\r\n").receive_response().statuses == [200]
        request = b"GET /livez HTTP/1.1\r\nContent-Length: 1800\r\n\r\n" + b"x" * 1800
        client.send(request + b"GET /livez HTTP/1.1\r\nX: " + b"x" * 1000).receive_response()
        assert client.send(b"x" * 900 + b"\r\n\r\n").receive_response().statuses == [200]


def test_a_client_that_is_still_sending_can_read_why_it_was_refused(url: str) -> None:
    """Closing the connection at once would discard the response."""
    with RawClient(url) as client:
        client.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 3000)
        time.sleep(0.05)
        client.send(b"x" * 100_000)
        time.sleep(0.05)
        assert client.receive_all().statuses == [431]


@pytest.mark.parametrize(
    "data",
    [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET http://[ HTTP/1.1\r\n\r\n"],
    ids=["words", "tls", "invalid target"],
)
def test_data_that_is_not_http_gets_400_and_the_connection_is_closed(url: str, data: bytes) -> None:
    with client_of(url, refused(400)) as client:
        received = client.send(data).receive_all()
    assert received.problem["type"] == "/problems/malformed-request"
    assert b"connection: close" in received.data


def test_pipelined_requests_are_answered_up_to_the_limit(url: str) -> None:
    with RawClient(url) as client:
        assert client.send(LIVEZ * 5).receive_all().statuses == [200] * 5
    with client_of(url, cut("pipelining")) as client:
        assert client.send(LIVEZ * 60).receive_all().data == b""


def test_a_malformed_request_after_a_pending_one_ends_the_connection(url: str) -> None:
    """A refusal could end up in the middle of the pending request's response."""
    with RawClient(url) as client:
        assert client.send(LIVEZ + b"GARBAGE\r\n\r\n").receive_all().data == b""


def test_a_refused_body_is_read_up_to_a_limit(url: str) -> None:
    with client_of(url, cut("unwanted_body")) as client:
        client.send(POST + b"Content-Length: 9000000\r\n\r\n")
        assert client.receive_response().statuses == [413]
        with suppress(ConnectionError):
            client.send(b"x" * 9_000_000)


def test_the_connection_is_kept_if_a_refused_body_arrives_in_time(url: str) -> None:
    with RawClient(url) as client:
        client.send(POST + b"Content-Length: 150000\r\n\r\n")
        assert client.receive_response().statuses == [413]
        client.send(b"x" * 150_000)
        time.sleep(2 * LIMITS.linger_seconds)
        assert client.send(LIVEZ).receive_response().statuses == [200]


def test_a_refused_body_has_less_time_than_an_accepted_one(moto: str) -> None:
    with limited(moto, body_seconds=60) as url, client_of(url, cut("slow_sender")) as client:
        client.send(POST + b"Content-Length: 150000\r\n\r\n")
        assert client.receive_all().statuses == [413]


def test_connections_above_the_limit_are_closed_at_once(moto: str) -> None:
    """The limit includes the connections reserved for this host; existing ones stay open."""
    with limited(moto, head_seconds=3) as url:
        clients = [RawClient(url) for _ in range(14)]
        for client in clients[10:]:
            assert client.receive_all().data == b""
        assert clients[0].send(LIVEZ).receive_response().statuses == [200]
        for client in clients:
            client.socket.close()
        wait_until(lambda: metric(url, "http_connections ") == 1, MAX_WAIT_SECONDS)
        assert metric(url, cut("too_many")) == 4


def slow_reader(url: str) -> RawClient:
    """Request more than the sockets' buffers hold, and read nothing."""
    client = RawClient(url)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return client.send(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300)


@pytest.mark.parametrize(
    "limit",
    [{"write_seconds": 0.5}, {"write_seconds": 60, "held_bytes": 100_000}],
    ids=["time", "bytes"],
)
def test_slow_readers_are_cut_off_and_others_are_served(moto: str, limit: dict[str, Any]) -> None:
    """When their time is over, or when the unread bytes of all connections exceed the limit."""
    with (
        limited(moto, pipelined=300, idle_seconds=60, **limit) as url,
        slow_reader(url),
        slow_reader(url),
    ):
        wait_until(lambda: metric(url, cut("slow_reader")) >= 1, MAX_WAIT_SECONDS)
        assert len(httpx.get(f"{url}/openapi.json").content) > 25_000


class Busy(NamedTuple):
    """An app at its limit of requests in progress; `release` lets the store respond."""

    url: str
    clients: list[RawClient]
    release: threading.Event


@contextmanager
def busy(moto: str) -> Iterator[Busy]:
    """Serve an app whose store does not respond to queries, and fill it with requests."""
    release = threading.Event()

    def hold(operation: str) -> None:
        if operation == "Query":
            release.wait(MAX_WAIT_SECONDS)

    with (
        FaultProxy(moto, hold) as proxy,
        limited(proxy.url, connections=60, idle_seconds=60) as url,
    ):
        wait_until_ready(url)
        clients = [RawClient(url).send(LIST) for _ in range(LIMITS.in_flight)]
        wait_until_in_flight(url, LIMITS.in_flight)
        yield Busy(url, clients, release)
        release.set()
        for client in clients:
            client.socket.close()


def wait_until_ready(url: str) -> None:
    wait_until(lambda: httpx.get(f"{url}/readyz").status_code == 200, MAX_WAIT_SECONDS)


def wait_until_in_flight(url: str, requests: int) -> None:
    # The request for the metrics is in progress, too.
    expected = requests + 1
    wait_until(lambda: metric(url, "http_requests_in_flight ") == expected, MAX_WAIT_SECONDS)


def shed(method: str) -> str:
    return f'http_requests_total{{method="{method}",route="shed",status="503"}}'


def test_a_shed_request_gets_503_with_retry_after(
    moto: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not executed, it is counted and logged, and its connection can be used again."""
    with busy(moto) as (url, clients, release), RawClient(url) as client:
        received = client.send(LIST).receive_response()
        assert received.statuses == [503]
        assert b"retry-after: 1\r\n" in received.data
        assert received.problem["type"] == "/problems/overloaded"
        post = POST + b"Content-Length: 14\r\n\r\n" + b'{"title": "x"}'
        problem = client.send(post).receive_response().problem
        assert problem["request_id"] != received.problem["request_id"]
        wait_until(lambda: "shed" in caplog.messages, MAX_WAIT_SECONDS)
        release.set()
        for accepted in clients:
            assert accepted.receive_response().statuses == [200]
        assert client.send(LIST).receive_response().statuses == [200]
        assert metric(url, shed("GET")) == 1
        assert httpx.get(f"{url}/v1/tasks").json()["items"] == []


def test_shedding_respects_connection_close_and_head(moto: str) -> None:
    """HEAD gets no body, `Connection: close` is obeyed, and unknown methods share one label."""
    closing = b" /v1/tasks HTTP/1.1\r\nConnection: close\r\n\r\n"
    with busy(moto) as (url, _, _):
        for method in (b"GET", b"HEAD", b"MKCOL"):
            with RawClient(url) as client:
                received = client.send(method + closing + LIVEZ).receive_all()
            assert received.statuses == [503]
            assert received.data.endswith(b"\r\n\r\n") == (method == b"HEAD")
        assert metric(url, shed("_OTHER")) == 1


def test_probes_and_metrics_are_never_shed(moto: str) -> None:
    with busy(moto) as (url, _, release):
        assert httpx.get(f"{url}/livez").status_code == 200
        assert httpx.get(f"{url}/metrics?x=1").status_code == 200
        assert httpx.get(f"{url}/livez/x").status_code == 503
        release.set()
        assert httpx.get(f"{url}/readyz").status_code == 200


def test_slow_uploads_do_not_count_as_requests_in_progress(moto: str) -> None:
    """Otherwise a few slow clients could shut out all others."""
    with limited(moto, body_seconds=3, connections=60) as url:
        wait_until_ready(url)
        head = POST + b"Content-Length: 14\r\n\r\n"
        senders = [RawClient(url).send(head) for _ in range(2 * LIMITS.in_flight)]
        wait_until_in_flight(url, len(senders))
        assert httpx.get(f"{url}/v1/tasks").status_code == 200
        for sender in senders:
            assert sender.send(b'{"title": "x"}').receive_response().statuses == [201]
            sender.socket.close()
