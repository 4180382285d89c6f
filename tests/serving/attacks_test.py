"""Attacks on the public port without a valid API key, each in a small form."""

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import key_format
from api.errors import Overloaded
from api.http.in_flight import InFlight
from api.limits import Limits
from api.main import create_app
from tests.support import builders
from tests.support.ports import free_port, wait_until_taken
from tests.support.require_tool import require_tool
from tests.support.secured_app import BOOTSTRAP, bearer
from tests.support.server import serving

SECONDS = 5
LIMITS = Limits(check_interval_seconds=0.02)
CHUNKED = b"POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIST = b"GET /v1/tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n" % (
    key_format.generate("01ARZ3NDEKTSV4RRFFQ69G5FAW").encode()
)
POST = b"POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 120000\r\n\r\n"
# Loopback addresses that stand for clients elsewhere.
STRANGER, OTHER_STRANGER = "127.0.0.2", "127.0.0.3"


@contextmanager
def app(endpoint: str, *, limits: dict[str, Any] | None = None, **changes: Any) -> Iterator[str]:
    """Serve an app with AUTH=on and some limits changed."""
    config = builders.settings(
        endpoint, **{"auth": "on", "bootstrap_key": BOOTSTRAP, "log_format": "json", **changes}
    )
    with serving(create_app(config, limits=LIMITS._replace(**limits or {}))) as url:
        yield url


def connect(url: str, source: str = STRANGER) -> socket.socket:
    port = int(url.rpartition(":")[2])
    connection = socket.create_connection(("127.0.0.1", port), SECONDS, (source, 0))
    connection.settimeout(SECONDS)
    return connection


def receive(connection: socket.socket) -> bytes:
    """Receive until the server closes the connection."""
    received = b""
    with suppress(ConnectionError):
        while data := connection.recv(65536):
            received += data
    return received


def receive_response(connection: socket.socket) -> bytes:
    """Receive one response, whose length is in its headers."""
    received = b""
    pattern = re.compile(rb".*?\r\ncontent-length: (\d+)\r\n.*?\r\n\r\n", re.DOTALL | re.IGNORECASE)
    while not (match := pattern.match(received)) or len(received) < match.end() + int(match[1]):
        data = connection.recv(65536)
        assert data, "closed before the response was complete"
        received += data
    return received


def send_until_closed(connection: socket.socket, data: bytes, most: int) -> int:
    """Send the same data again and again; return the number of bytes until the server closed."""
    sent = 0
    with suppress(ConnectionError):
        while sent < most:
            connection.sendall(data)
            sent += len(data)
    return sent


def cut(url: str, reason: str) -> float:
    page = httpx.get(f"{url}/metrics").text
    found = re.search(
        rf'^http_connections_cut_total{{reason="{reason}"}} (.+)$', page, re.MULTILINE
    )
    assert found
    return float(found[1])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


TRAILERS = {
    "5 bytes each": b"aa:\r\n" * 2000,
    "9 bytes each": b"aa: bbb\r\n" * 1000,
    "8 KB each": b"aa: " + b"x" * 8000 + b"\r\n",
    "one without end": b"x" * 10_000,
    "extensions of chunks": b"1;" + b"x" * 8000 + b"\r\nx\r\n",
}


@pytest.mark.parametrize("trailer", TRAILERS)
def test_what_follows_a_body_is_bounded(moto: str, trailer: str) -> None:
    """Trailers and chunk extensions end the connection at the limit of a request's raw bytes."""
    with app(moto, limits={"linger_seconds": SECONDS}) as url, connect(url) as connection:
        connection.sendall(CHUNKED + b"\r\n")
        if trailer != "extensions of chunks":
            connection.sendall(b"0\r\n")
        if trailer == "one without end":
            connection.sendall(b"aa: ")
        # The kernel's buffers hold some megabytes beside what the server has received.
        most = 64 * LIMITS.raw_body_bytes
        assert send_until_closed(connection, TRAILERS[trailer], most) < most
        until(lambda: cut(url, "unwanted_body") == 1)


def test_a_trailer_is_no_header(moto: str, capfd: pytest.CaptureFixture[str]) -> None:
    """An API key, a forwarded address or a request id in a trailer has no effect."""
    trailers = (
        f"Authorization: Bearer {BOOTSTRAP}\r\nX-Forwarded-For: 203.0.113.9\r\n"
        "X-Request-Id: from-a-trailer\r\n\r\n"
    ).encode()
    with app(moto, trusted_hops=1) as url, connect(url) as connection:
        connection.sendall(CHUNKED + b"X-Forwarded-For: 198.51.100.1\r\n\r\n0\r\n" + trailers)
        response = receive_response(connection)
    assert response.startswith(b"HTTP/1.1 401 ")
    assert b"from-a-trailer" not in response
    logged = capfd.readouterr().err
    assert "203.0.113.9" not in logged
    assert "198.51.100.1" in logged


def test_a_trailer_is_no_header_behind_a_proxy(moto: str, tmp_path: Path) -> None:
    """HAProxy forwards trailers: failures still count against the address that it reports."""
    require_tool("haproxy", package="haproxy")
    with app(moto, trusted_hops=1) as url, _haproxy(url, tmp_path) as proxy:
        statuses = []
        for number in range(15):
            with connect(proxy) as connection:
                trailer = b"X-Forwarded-For: 10.1.0.%d\r\n\r\n" % number
                bad_key = b"Authorization: Bearer wrong\r\n\r\n"
                connection.sendall(CHUNKED + bad_key + b"0\r\n" + trailer)
                statuses.append(int(receive_response(connection)[9:12]))
    assert statuses == [401] * 10 + [429] * 5


@contextmanager
def _haproxy(url: str, folder: Path) -> Iterator[str]:
    port = free_port()
    configuration = folder / "haproxy.cfg"
    configuration.write_text(
        "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n"
        " option forwardfor\n"
        f"frontend in\n bind 127.0.0.1:{port}\n default_backend out\n"
        f"backend out\n server api {url.removeprefix('http://')}\n"
    )
    process = subprocess.Popen(["haproxy", "-f", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        assert wait_until_taken(port, process, SECONDS)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_a_client_behind_a_proxy_cannot_scrape(moto: str, tmp_path: Path) -> None:
    """To the API, the proxy on this host is a loopback peer."""
    require_tool("haproxy", package="haproxy")
    with app(moto, trusted_hops=1) as url, _haproxy(url, tmp_path) as proxy:
        assert httpx.get(f"{url}/metrics").status_code == 200
        assert httpx.get(f"{proxy}/metrics").status_code == 404


UPGRADES = ("h2c", "websocket")


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("pause", [0, 0.1], ids=["one segment", "two segments"])
def test_an_upgrade_with_a_body_is_one_request(moto: str, upgrade: str, pause: float) -> None:
    """The body is read as such, though it looks like a request; the task is created."""
    body = b'{"title": "GET /openapi.json HTTP/1.1"}'
    head = (
        b"POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %b\r\nHTTP2-Settings: AAMAAABk\r\n"
        b"Content-Length: %d\r\n\r\n" % (upgrade.encode(), len(body))
    )
    config = builders.settings(moto)
    with serving(create_app(config)) as url, connect(url) as connection:
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        connection.sendall(head if pause else head + body)
        time.sleep(pause)
        if pause:
            connection.sendall(body)
        first = receive_response(connection)
        assert first.startswith(b"HTTP/1.1 201 ")
        assert first.endswith(b"}")
        # The connection goes on with the next request.
        connection.sendall(LIVEZ)
        assert receive_response(connection).startswith(b"HTTP/1.1 200 ")


def test_curl_can_create_a_task_with_http2_allowed(moto: str) -> None:
    """`curl --http2` offers an upgrade to h2c with its first request."""
    require_tool("curl")
    with serving(create_app(builders.settings(moto))) as url:
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        command = ["curl", "-s", "--http2", "-o", "/dev/null", "-w", "%{http_code}", "-d"]
        sent = [*command, '{"title": "x"}', "-H", "Content-Type: application/json"]
        done = subprocess.run([*sent, f"{url}/v1/tasks"], capture_output=True, check=False)
    assert done.stdout == b"201"


def test_one_client_has_a_limited_number_of_connections(moto: str) -> None:
    """Its further connections are closed; those of another client, and of this host, are not."""
    limits = {"connections_per_client": 4}
    with app(moto, limits=limits) as url, ExitStack() as stack:
        own = [stack.enter_context(connect(url)) for _ in range(6)]
        assert [receive(connection) for connection in own[4:]] == [b"", b""]
        other = stack.enter_context(connect(url, OTHER_STRANGER))
        for connection in (*own[:4], other):
            connection.sendall(LIVEZ)
            assert receive_response(connection).startswith(b"HTTP/1.1 200 ")
        assert httpx.get(f"{url}/livez").status_code == 200
        assert cut(url, "too_many") == 2


def test_behind_a_proxy_the_connections_of_one_peer_are_not_limited(moto: str) -> None:
    """They are all of the proxy's."""
    limits = {"connections_per_client": 1}
    with app(moto, trusted_hops=1, limits=limits) as url, ExitStack() as stack:
        for connection in [stack.enter_context(connect(url)) for _ in range(4)]:
            connection.sendall(LIVEZ)
            assert receive_response(connection).startswith(b"HTTP/1.1 200 ")


def test_when_all_places_are_taken_the_longest_idle_connection_goes(moto: str) -> None:
    """A newcomer is served."""
    limits = {"connections": 3, "idle_seconds": 60, "head_seconds": 60}
    with app(moto, limits=limits) as url, ExitStack() as stack:
        idle = [stack.enter_context(connect(url)) for _ in range(3)]
        for connection in (idle[1], idle[0], idle[2]):
            connection.sendall(LIVEZ)
            assert receive_response(connection).startswith(b"HTTP/1.1 200 ")
        newcomer = stack.enter_context(connect(url, OTHER_STRANGER))
        newcomer.sendall(LIVEZ)
        assert receive_response(newcomer).startswith(b"HTTP/1.1 200 ")
        assert receive(idle[1]) == b""
        idle[0].sendall(LIVEZ)
        assert receive_response(idle[0]).startswith(b"HTTP/1.1 200 ")


def test_unfinished_bodies_share_a_budget(moto: str) -> None:
    """The one that began first is dropped when all together hold too much."""
    head = (
        b"POST /v1/keys HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %b\r\nContent-Length: 60000\r\n\r\n" % BOOTSTRAP.encode()
    )
    with app(moto, limits={"held_bytes": 100_000}) as url, ExitStack() as stack:
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        senders = [stack.enter_context(connect(url)) for _ in range(3)]
        for sender in senders:
            sender.sendall(head)
            time.sleep(0.05)
            sender.sendall(b"x" * 50_000)
            time.sleep(0.05)
        assert receive(senders[0]) == b""
        until(lambda: cut(url, "slow_sender") >= 1)


def test_headers_are_counted_before_they_are_complete(moto: str) -> None:
    """Small ones take many times their size in memory."""
    with app(moto) as url, connect(url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * (LIMITS.head_fields + 9))
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")


UNFINISHED = {
    "a trailer": CHUNKED + b"\r\n0\r\na: " + b"x" * 60_000,
    "a pipelined request": LIST + POST + b"x" * 60_000,
}


@pytest.mark.parametrize("unfinished", UNFINISHED)
def test_what_is_kept_without_a_key_shares_a_budget(unfinished: str) -> None:
    """The first connection is closed when two hold too much."""
    limits = {"held_bytes": 100_000, "linger_seconds": SECONDS}
    # A store that never responds, so that the request before a pipelined one stays in progress.
    with socket.create_server(("127.0.0.1", 0)) as store, ExitStack() as stack:
        endpoint = f"http://127.0.0.1:{store.getsockname()[1]}"
        url = stack.enter_context(app(endpoint, limits=limits))
        for _ in range(2):
            stack.enter_context(connect(url)).sendall(UNFINISHED[unfinished])
        until(lambda: cut(url, "slow_sender") == 1)


def test_a_body_that_is_discarded_takes_no_memory(moto: str) -> None:
    """It arrives after its response."""
    with app(moto, limits={"held_bytes": 50_000}) as url, connect(url) as connection:
        connection.sendall(POST)
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
        connection.sendall(b"x" * 120_000)
        time.sleep(0.1)
        connection.sendall(LIVEZ)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_requests_that_are_refused_take_no_place_in_flight(moto: str) -> None:
    """401, 429 and probes are counted nowhere; only authorized requests are."""
    application = create_app(builders.settings(moto, auth="on", bootstrap_key=BOOTSTRAP))
    in_flight = application.state.in_flight
    entered: list[tuple[str, ...]] = []
    enter = in_flight.enter

    def note(holders: tuple[str, ...]) -> None:
        entered.append(holders)
        enter(holders)

    in_flight.enter = note
    with serving(application) as url, httpx.Client(base_url=url) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        for path in ("/v1/tasks", "/livez", "/openapi.json"):
            client.get(path)
        client.get("/v1/tasks", headers=bearer("wrong"))
        assert entered == []
        assert client.get("/v1/keys", headers=bearer(BOOTSTRAP)).status_code == 200
    assert entered == [(BOOTSTRAP.split("_")[1], "127.0.0.1")]
    assert in_flight._total == 0


def test_no_holder_has_more_than_its_part_of_the_slots() -> None:
    """A key or client with its part is refused; others go on until all places are taken."""
    places = InFlight(8, 2)
    for _ in range(2):
        places.enter(("greedy", "10.0.0.1"))
    with pytest.raises(Overloaded):
        places.enter(("greedy", "10.0.0.2"))
    with pytest.raises(Overloaded):
        places.enter(("another", "10.0.0.1"))
    for number in range(6):
        places.enter((f"key {number}", f"10.0.1.{number}"))
    assert places.is_full
    with pytest.raises(Overloaded):
        places.enter(("newcomer", "10.0.2.1"))
    places.leave(("greedy", "10.0.0.1"))
    places.enter(("newcomer", "10.0.2.1"))
