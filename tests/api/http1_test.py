"""The HTTP client for DynamoDB, against servers that behave and servers that do not."""

import asyncio
import socket
import socketserver
import ssl
import threading
from pathlib import Path

import pytest
import trustme

from api import http1
from tests.support.peer import Peer, scripted

pytestmark = pytest.mark.anyio

REQUEST = b"POST / HTTP/1.1\r\nhost:x\r\ncontent-length:2\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Amzn-RequestId: 7\r\n\r\n{}"
SOON = 0.2


def client(peer: Peer, connections: int = 4, tls: ssl.SSLContext | None = None) -> http1.Client:
    return http1.Client(
        peer.url,
        connections=connections,
        connect_seconds=1,
        tls=tls or ssl.create_default_context(),
    )


async def well(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request."""
    while True:
        await peer.read(reader)
        writer.write(OK)


async def never(peer: Peer, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Take requests and say nothing."""
    while True:
        await peer.read(reader)


async def test_an_answer_comes_whole() -> None:
    """Status, headers in lower case, body."""
    async with scripted(well) as peer:
        http = client(peer)
        answer = await http.exchange(REQUEST, 1)
        http.close()
    assert answer.status == 200
    assert answer.headers[b"x-amzn-requestid"] == b"7"
    assert answer.body == b"{}"
    assert peer.requests == [REQUEST]


async def test_a_connection_is_kept() -> None:
    """One after the other, requests share it."""
    async with scripted(well) as peer:
        http = client(peer)
        for _ in range(5):
            await http.exchange(REQUEST, 1)
        http.close()
    assert (len(peer.requests), peer.connections) == (5, 1)


async def test_an_answer_may_come_in_pieces() -> None:
    """Wherever TCP cuts it, byte by byte."""

    async def slowly(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await peer.read(reader)
        for byte in OK:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with scripted(slowly) as peer:
        assert (await client(peer).exchange(REQUEST, 1)).body == b"{}"


async def test_an_answer_may_be_chunked() -> None:
    """Without a length, in chunks, and the connection goes on."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"

    async def chunks(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await peer.read(reader)
            writer.write(chunked)

    async with scripted(chunks) as peer:
        http = client(peer)
        assert [(await http.exchange(REQUEST, 1)).body for _ in range(2)] == [b"{}"] * 2
        http.close()
    assert peer.connections == 1


async def test_a_server_that_closes_is_connected_to_again() -> None:
    """Connection: close is heard, and the next request finds a new connection."""

    async def once(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await writer.drain()

    async with scripted(once) as peer:
        http = client(peer)
        for _ in range(3):
            await http.exchange(REQUEST, 1)
    assert peer.connections == 3


async def test_a_kept_connection_that_was_closed_meanwhile_is_not_used() -> None:
    """A server may give up an idle connection; it does not say so beforehand."""

    async def once(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()

    async with scripted(once) as peer:
        http = client(peer)
        for _ in range(3):
            await http.exchange(REQUEST, 1)
            await asyncio.sleep(0.05)
    assert peer.connections == 3


@pytest.mark.parametrize(
    "half", [b"", b"HTTP/1.1 200", OK[:-1], b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"nonsense"]
)
async def test_half_an_answer_is_none(half: bytes) -> None:
    """The connection ends before the answer does: what was done is unknown."""

    async def cut(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        writer.write(half)
        await writer.drain()

    async with scripted(cut) as peer:
        with pytest.raises(http1.BrokenError):
            await client(peer).exchange(REQUEST, 1)


async def test_a_half_closed_connection_is_broken() -> None:
    """A server that will say no more will not answer."""

    async def half_close(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await peer.read(reader)
        writer.write_eof()
        await reader.read()

    async with scripted(half_close) as peer:
        with pytest.raises(http1.BrokenError):
            await client(peer).exchange(REQUEST, 1)


async def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    """Pipelining is refused: the second answer could be taken for somebody else's."""

    async def twice(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.read(reader)
            writer.write(OK + OK.replace(b"{}", b"[]"))

    async with scripted(twice) as peer:
        http = client(peer)
        bodies = [(await http.exchange(REQUEST, 1)).body for _ in range(3)]
    assert bodies == [b"{}"] * 3
    assert peer.connections == 3


async def test_a_late_answer_does_not_answer_the_next_request() -> None:
    """Data on an idle connection ends it."""

    async def late(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        writer.write(OK)
        await asyncio.sleep(0.05)
        writer.write(OK.replace(b"{}", b"[]"))
        await peer.read(reader)

    async with scripted(late) as peer:
        http = client(peer)
        await http.exchange(REQUEST, 1)
        await asyncio.sleep(0.1)
        assert (await http.exchange(REQUEST, 1)).body == b"{}"
        http.close()
    assert peer.connections == 2


async def test_silence_ends_in_time() -> None:
    """The time is over, and the connection with it: its answer may still come."""
    async with scripted(never) as peer:
        http = client(peer, connections=1)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await http.exchange(REQUEST, SOON)
    assert peer.connections == 2


async def test_a_cancelled_request_ends_its_connection() -> None:
    """Whoever asks next gets a connection of its own, and its own answer."""
    async with scripted(never) as peer:
        http = client(peer, connections=1)
        asking = asyncio.create_task(http.exchange(REQUEST, 10))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(peer.ended.wait(), 5)
        with pytest.raises(TimeoutError):
            await http.exchange(REQUEST, SOON)
    assert peer.connections == 2


async def test_no_more_connections_are_open_than_allowed() -> None:
    """The others wait their turn, and all are answered."""
    open_now, most = 0, 0

    async def counted(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal open_now, most
        while True:
            await peer.read(reader)
            open_now += 1
            most = max(most, open_now)
            await asyncio.sleep(0.005)
            open_now -= 1
            writer.write(OK)

    async with scripted(counted) as peer:
        http = client(peer, connections=3)
        await asyncio.gather(*(http.exchange(REQUEST, 5) for _ in range(30)))
        http.close()
    assert most == 3
    assert peer.connections == 3


async def test_waiting_for_a_connection_ends_in_time_too() -> None:
    """Nothing was sent, and the error says so."""
    async with scripted(never) as peer:
        http = client(peer, connections=1)
        first = asyncio.create_task(http.exchange(REQUEST, 10))
        await asyncio.sleep(0.05)
        with pytest.raises(http1.ConnectError):
            await http.exchange(REQUEST, SOON)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert len(peer.requests) == 1


async def test_a_place_is_not_lost_with_whoever_waited_for_it() -> None:
    """Waiters that give up, at any moment, leave their turn to the next."""
    async with scripted(well) as peer:
        http = client(peer, connections=1)
        for pause in (0, 0.001, 0.002):
            asking = [asyncio.create_task(http.exchange(REQUEST, 5)) for _ in range(6)]
            await asyncio.sleep(pause)
            for task in asking[::2]:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        assert (await http.exchange(REQUEST, 1)).status == 200
        http.close()


async def test_a_turn_that_comes_to_nobody_is_passed_on() -> None:
    """Cancelled in the very moment in which a place became free."""
    async with scripted(well) as peer:
        http = client(peer, connections=1)
        await http._take_place(1)
        waiting = asyncio.create_task(http._take_place(1))
        await asyncio.sleep(0)
        http._give_place()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (await http.exchange(REQUEST, 1)).status == 200
        http.close()


async def test_nobody_there_is_said_at_once() -> None:
    """A refused connection is not a broken one: nothing was sent."""
    peer = Peer()
    peer.url = "http://127.0.0.1:9"
    with pytest.raises(http1.ConnectError):
        await client(peer).exchange(REQUEST, 1)


async def test_tls_is_spoken_and_checked(tmp_path: Path) -> None:
    """A certificate that is trusted is spoken to; any other is refused before a byte is sent."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with scripted(well, server) as peer:
        http = client(peer, tls=trusting)
        assert (await http.exchange(REQUEST, 1)).status == 200
        http.close()
        with pytest.raises(http1.ConnectError):
            await client(peer).exchange(REQUEST, 1)
    assert len(peer.requests) == 1


async def test_an_old_connection_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stood idle for long is closed, not used."""
    async with scripted(well) as peer:
        http = client(peer)
        await http.exchange(REQUEST, 1)
        monkeypatch.setattr(http1, "IDLE_SECONDS", 0)
        await http.exchange(REQUEST, 1)
        http.close()
    assert peer.connections == 2


def test_a_loop_that_stood_still_hears_first_of_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two events Lambda's loop does not run: what was closed meanwhile is not used."""
    monkeypatch.setattr(http1, "QUIET_SECONDS", 0)
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
        http = http1.Client(url, connections=1, connect_seconds=1, tls=None)
        assert runner.run(http.exchange(REQUEST, 1)).status == 200
        still.set()
        assert closed.wait(5)
        assert runner.run(http.exchange(REQUEST, 1)).status == 200
        http.close()
        server.shutdown()
