"""TLS in the API itself, with the certificate in files or in the environment."""

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from api.limits import Limits
from api.local.processes import ROOT
from api.main import create_app
from api.serving.server import uvicorn_config
from api.serving.tls import server_context
from tests.support import builders
from tests.support.builders import SECRET
from tests.support.ports import free_port, wait_until_taken
from tests.support.server import running

MAX_WAIT_SECONDS = 20
# A loopback address that stands for a client elsewhere.
STRANGER = "127.0.0.2"
AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("tracker.example")
OTHER = AUTHORITY.issue_cert("tracker.example")


def pem(certificate: trustme.LeafCert) -> tuple[str, str]:
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return chain.decode(), certificate.private_key_pem.bytes().decode()


def from_text(_: Path) -> dict[str, str]:
    chain, key = pem(CERTIFICATE)
    return {"TLS_CERTIFICATE": chain, "TLS_KEY": key}


def from_files(directory: Path) -> dict[str, str]:
    environment = {"TLS_CERTFILE": directory / "chain.pem", "TLS_KEYFILE": directory / "key.pem"}
    for path, text in zip(environment.values(), pem(CERTIFICATE), strict=True):
        path.write_text(text)
    return {name: str(path) for name, path in environment.items()}


def run(module: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=MAX_WAIT_SECONDS,
    )


@contextmanager
def serving(store: str, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Run `python -m api`, and yield its environment."""
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": str(free_port()),
        "CURSOR_SECRET": SECRET,
        "DYNAMODB_ENDPOINT": store,
        **environment,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "api"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert wait_until_taken(int(environment["PORT"]), process, MAX_WAIT_SECONDS)
            yield environment
        finally:
            process.kill()


@pytest.mark.parametrize("source", [from_text, from_files])
def test_the_api_serves_its_certificate(
    source: Callable[[Path], dict[str, str]], tmp_path: Path, moto: str
) -> None:
    """A client that trusts the authority is served, and told to use HTTPS from then on.

    The health check passes, although it connects to an address that the certificate lacks.
    """
    trust = ssl.create_default_context()
    AUTHORITY.configure_trust(trust)
    with serving(moto, source(tmp_path)) as environment:
        url = f"https://127.0.0.1:{environment['PORT']}/livez"
        with httpx.Client(verify=trust) as client:
            response = client.get(url, extensions={"sni_hostname": "tracker.example"})
        healthcheck = run("api.healthcheck", environment)
    assert response.status_code == 200
    assert response.headers["strict-transport-security"] == "max-age=31536000"
    assert healthcheck.returncode == 0


def test_plain_http_gets_no_response(tmp_path: Path, moto: str) -> None:
    """Its port speaks TLS only."""
    with serving(moto, from_text(tmp_path)) as environment:
        port = int(environment["PORT"])
        with socket.create_connection(("127.0.0.1", port), MAX_WAIT_SECONDS) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b"".join(iter(lambda: connection.recv(4096), b""))
        plain = {name: text for name, text in environment.items() if "TLS" not in name}
        assert run("api.healthcheck", plain).returncode == 1
    assert b"HTTP" not in received


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TLS_CERTIFICATE": pem(CERTIFICATE)[0]}, "TLS_CERTIFICATE and TLS_KEY belong together"),
        (
            {"TLS_CERTIFICATE": pem(CERTIFICATE)[0], "TLS_KEY": pem(OTHER)[1]},
            "key values mismatch",
        ),
        ({"TLS_CERTIFICATE": "x", "TLS_KEY": pem(OTHER)[1]}, "TLS_CERTIFICATE"),
    ],
    ids=["no key", "another key", "no certificate"],
)
def test_an_unusable_certificate_ends_the_start_with_a_message(
    environment: dict[str, str], message: str
) -> None:
    """It does not contain the key."""
    ended = run("api", {"CURSOR_SECRET": SECRET, "PORT": "0", **environment})
    assert ended.returncode == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "PRIVATE" not in ended.stderr


# Limits on connections


@contextmanager
def limited(store: str, **limits: Any) -> Iterator[int]:
    """Serve TLS in this process with some limits changed, and yield the port."""
    settings = builders.settings(
        store, **{name.lower(): text for name, text in from_text(Path()).items()}
    )
    app = create_app(settings, limits=Limits(check_interval_seconds=0.02)._replace(**limits))
    with running(uvicorn_config(app, server_context(settings), port=0)) as url:
        yield int(url.rpartition(":")[2])


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), MAX_WAIT_SECONDS, (STRANGER, 0))


def secure(connection: socket.socket) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context.wrap_socket(connection, server_hostname="tracker.example")


def receive(connection: socket.socket) -> bytes:
    """Receive until the server closes the connection."""
    received = b""
    with suppress(ConnectionError, ssl.SSLEOFError):
        while data := connection.recv(65536):
            received += data
    return received


def test_a_client_that_never_finishes_its_handshake_is_disconnected(moto: str) -> None:
    """The time for headers applies to the handshake before them, too."""
    with limited(moto, head_seconds=0.2) as port, connect(port) as silent:
        assert receive(silent) == b""


def test_unfinished_handshakes_count_as_connections(moto: str) -> None:
    """One client cannot hold more of them than connections."""
    with limited(moto, connections_per_client=2) as port, ExitStack() as stack:
        first, second, third = (stack.enter_context(connect(port)) for _ in range(3))
        assert receive(third) == b""
        for connection in (first, second):
            connection.settimeout(0)
            with pytest.raises(BlockingIOError):
                connection.recv(1)


def test_an_established_connection_counts_once(moto: str) -> None:
    """Its handshake gave its place back."""
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with limited(moto, connections_per_client=2) as port, ExitStack() as stack:
        for _ in range(2):
            secured = stack.enter_context(secure(connect(port)))
            secured.sendall(request)
            assert secured.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_slow_clients_are_refused_with_a_response(moto: str) -> None:
    """As without TLS, which cannot end one direction of a connection: each of several clients."""
    with limited(moto, head_seconds=0.3, linger_seconds=0.2) as port, ExitStack() as stack:
        clients = [stack.enter_context(secure(connect(port))) for _ in range(2)]
        for client in clients:
            client.sendall(b"GET /livez HTTP/1.1\r\n")
        for client in clients:
            assert receive(client).startswith(b"HTTP/1.1 408 Request Timeout")
