"""The HTTP client for DynamoDB, with servers that follow HTTP and servers that do not."""

import asyncio
import socket
import socketserver
import ssl
import threading
from asyncio import StreamReader, StreamWriter

import pytest
import trustme

from api.dynamodb import http_client
from tests.support.scripted_server import Peer, Script, scripted

pytestmark = pytest.mark.anyio

REQUEST = b"POST / HTTP/1.1\r\nhost:x\r\ncontent-length:2\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Amzn-RequestId: 7\r\n\r\n{}"
OTHER = OK.replace(b"{}", b"[]")
CLOSING = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
CHUNKED = OK.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked").replace(
    b"{}", b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
SHORT_SECONDS = 0.2


def client(
    server: Peer, connections: int = 4, tls: ssl.SSLContext | None = None
) -> http_client.Client:
    return http_client.Client(
        server.url,
        connections=connections,
        connect_seconds=1,
        tls=tls or ssl.create_default_context(),
    )


def respond(*parts: bytes | float, requests: int = 100) -> Script:
    """Respond to each request with the same parts, and close the connection after the last.

    A number is a pause in seconds.
    """

    async def script(server: Peer, reader: StreamReader, writer: StreamWriter) -> None:
        for _ in range(requests):
            await server.read(reader)
            for part in parts:
                if isinstance(part, bytes):
                    writer.write(part)
                    await writer.drain()
                await asyncio.sleep(0 if isinstance(part, bytes) else part)

    return script


@pytest.mark.parametrize(
    "parts",
    [[OK], [CHUNKED], [INTERIM, OK], [bytes([byte]) for byte in INTERIM + OK]],
    ids=["length", "chunked", "interim", "bytes"],
)
async def test_whole_responses_arrive_over_one_connection(parts: list[bytes]) -> None:
    """With a length, in chunks or byte by byte; interim responses (1xx) are skipped."""
    async with scripted(respond(*parts)) as server:
        http = client(server)
        responses = [await http.send(REQUEST, 1) for _ in range(3)]
        http.close()
    for response in responses:
        assert (response.status, response.body) == (200, b"{}")
        assert response.headers[b"x-amzn-requestid"] == b"7"
        assert b"link" not in response.headers
    assert server.requests == [REQUEST] * 3
    assert server.connections == 1


@pytest.mark.parametrize(
    ("data", "pause"), [(CLOSING, 0), (OK, 0.05)], ids=["announced", "unannounced"]
)
async def test_a_connection_that_the_server_closes_is_not_used_again(
    data: bytes, pause: float
) -> None:
    async with scripted(respond(data, requests=1)) as server:
        http = client(server)
        for _ in range(3):
            await http.send(REQUEST, 1)
            await asyncio.sleep(pause)
    assert server.connections == 3


@pytest.mark.parametrize(
    "data",
    [b"", b"HTTP/1.1 200", OK[:-1], INTERIM, b"HTTP/1.1 200 OK\r\n\r\nuntil closed", b"nonsense"],
)
async def test_a_connection_that_ends_before_the_response_raises_broken_error(data: bytes) -> None:
    """Without a length, a cut response could not be distinguished from a whole one."""
    async with scripted(respond(data, requests=1)) as server:
        with pytest.raises(http_client.BrokenError):
            await client(server).send(REQUEST, 1)


async def test_a_second_response_to_one_request_ends_the_connection() -> None:
    """It would be taken for the response to the next request."""
    async with scripted(respond(OK + OTHER)) as server:
        http = client(server)
        bodies = [(await http.send(REQUEST, 1)).body for _ in range(3)]
    assert bodies == [b"{}"] * 3
    assert server.connections == 3


async def test_data_on_an_idle_connection_ends_it() -> None:
    """A late second response must not become the response to the next request."""
    async with scripted(respond(OK, 0.05, OTHER)) as server:
        http = client(server)
        await http.send(REQUEST, 1)
        await asyncio.sleep(0.1)
        assert (await http.send(REQUEST, 1)).body == b"{}"
        http.close()
    assert server.connections == 2


async def test_a_timeout_closes_the_connection() -> None:
    """Its response may still arrive."""
    async with scripted(respond(b"")) as server:
        http = client(server, connections=1)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await http.send(REQUEST, SHORT_SECONDS)
    assert server.connections == 2


async def test_cancelling_a_request_closes_the_connection() -> None:
    async with scripted(respond(b"")) as server:
        http = client(server, connections=1)
        sending = asyncio.create_task(http.send(REQUEST, 10))
        await asyncio.wait_for(server.asked.wait(), 5)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(server.ended.wait(), 5)
        with pytest.raises(TimeoutError):
            await http.send(REQUEST, SHORT_SECONDS)
    assert server.connections == 2


async def test_requests_wait_when_all_connections_are_in_use() -> None:
    in_use, most = 0, 0

    async def count(server: Peer, reader: StreamReader, writer: StreamWriter) -> None:
        nonlocal in_use, most
        while True:
            await server.read(reader)
            in_use += 1
            most = max(most, in_use)
            await asyncio.sleep(0.005)
            in_use -= 1
            writer.write(OK)

    async with scripted(count) as server:
        http = client(server, connections=3)
        await asyncio.gather(*(http.send(REQUEST, 5) for _ in range(30)))
        http.close()
    assert (most, server.connections) == (3, 3)


async def test_a_timeout_while_waiting_for_a_connection_raises_connect_error() -> None:
    """The error shows that nothing was sent."""
    async with scripted(respond(b"")) as server:
        http = client(server, connections=1)
        first = asyncio.create_task(http.send(REQUEST, 10))
        await asyncio.wait_for(server.asked.wait(), 5)
        with pytest.raises(http_client.ConnectError):
            await http.send(REQUEST, SHORT_SECONDS)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert len(server.requests) == 1


async def test_a_cancelled_waiter_passes_its_connection_on() -> None:
    """Whether it was still waiting, or was given the connection in the same moment."""
    async with scripted(respond(OK)) as server:
        http = client(server, connections=1)
        await http._acquire_slot(1)
        waiting, given, last = (asyncio.create_task(http._acquire_slot(1)) for _ in range(3))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        http._release_slot()
        given.cancel()
        await asyncio.gather(given, return_exceptions=True)
        await asyncio.wait_for(last, 1)


async def test_a_refused_connection_raises_connect_error() -> None:
    """The error shows that nothing was sent."""
    server = Peer()
    server.url = "http://127.0.0.1:9"
    with pytest.raises(http_client.ConnectError):
        await client(server).send(REQUEST, 1)


async def test_nothing_is_sent_to_a_server_without_a_trusted_certificate() -> None:
    authority = trustme.CA()
    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(certificate)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with scripted(respond(OK), certificate) as server:
        http = client(server, tls=trusting)
        assert (await http.send(REQUEST, 1)).status == 200
        http.close()
        with pytest.raises(http_client.ConnectError):
            await client(server).send(REQUEST, 1)
    assert len(server.requests) == 1


async def test_a_connection_that_was_idle_for_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scripted(respond(OK)) as server:
        http = client(server)
        await http.send(REQUEST, 1)
        monkeypatch.setattr(http_client, "IDLE_SECONDS", 0)
        await http.send(REQUEST, 1)
        http.close()
    assert server.connections == 2


def test_a_connection_closed_while_the_loop_stood_still_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lambda freezes the process between two events."""
    monkeypatch.setattr(http_client, "QUIET_SECONDS", 0)
    still, closed = threading.Event(), threading.Event()

    class Once(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(len(REQUEST))
            self.request.sendall(OK)
            still.wait(5)
            self.request.shutdown(socket.SHUT_RDWR)
            closed.set()

    with (
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Once) as server,
        asyncio.Runner() as runner,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        http = http_client.Client(url, connections=1, connect_seconds=1, tls=None)
        assert runner.run(http.send(REQUEST, 1)).status == 200
        still.set()
        assert closed.wait(5)
        assert runner.run(http.send(REQUEST, 1)).status == 200
        http.close()
        server.shutdown()
