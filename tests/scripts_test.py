"""The scripts of `make key` and `make smoke` send an API key to the given host only."""

import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from api.local.processes import ROOT
from tests.support.secured_app import BOOTSTRAP

SCRIPTS = ("key.py", "smoke.py")
MAX_WAIT_SECONDS = 60


def run(script: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script by its path, with a key in the environment."""
    given = {"PATH": os.environ["PATH"], "BOOTSTRAP_KEY": BOOTSTRAP, **environment}
    return subprocess.run(
        [sys.executable, ROOT / "terraform/scripts" / script],
        cwd=directory,
        env=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=MAX_WAIT_SECONDS,
    )


@contextmanager
def http_server(location: str = "", context: ssl.SSLContext | None = None) -> Iterator[Any]:
    """Serve redirects to a location, or 404; the server's `received` has all headers sent to it."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(str(self.headers))
            self.send_response(302 if location else 404)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.received = received  # type: ignore[attr-defined]
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_redirect_is_an_error_and_its_target_receives_no_key(script: str, tmp_path: Path) -> None:
    """The error names the target's host; nothing is sent there."""
    with http_server() as target:
        location = f"http://localhost:{target.server_port}/elsewhere"
        with http_server(location) as server:
            done = run(script, tmp_path, URL=f"http://127.0.0.1:{server.server_port}")
    assert done.returncode == 1
    assert f"redirects to localhost:{target.server_port}" in done.stderr
    assert "Traceback" not in done.stderr
    assert target.received == []


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("host", ["tracker.invalid", "127.0.0.1.invalid"])
def test_plain_http_to_another_host_is_refused(script: str, host: str, tmp_path: Path) -> None:
    """The error says why, and how to allow it."""
    done = run(script, tmp_path, URL=f"http://{host}:8000")
    assert done.returncode == 1
    assert f"http://{host}:8000: the API key would cross the network in the clear" in done.stderr
    assert "ALLOW_PLAIN_HTTP=1" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_plain_http_to_another_host_can_be_allowed(script: str, tmp_path: Path) -> None:
    """With ALLOW_PLAIN_HTTP=1 the scripts try to connect."""
    done = run(script, tmp_path, URL="http://tracker.invalid", ALLOW_PLAIN_HTTP="1")
    assert done.returncode == 1
    assert "in the clear" not in done.stderr
    assert "http://tracker.invalid" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_ca_file_names_the_certificate_authority_to_trust(script: str, tmp_path: Path) -> None:
    """Without it a private authority is not trusted, and the server receives no request."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with http_server(context=context) as server:
        url = f"https://127.0.0.1:{server.server_port}"
        untrusted = run(script, tmp_path, URL=url)
        received = list(server.received)
        trusted = run(script, tmp_path, URL=url, CA_FILE="ca.pem")
    assert "CERTIFICATE_VERIFY_FAILED" in untrusted.stderr
    assert received == []
    assert "404" in trusted.stderr
    assert len(server.received) == 1
    missing = run(script, tmp_path, URL=url, CA_FILE="missing.pem")
    assert missing.returncode == 1
    assert "CA_FILE=missing.pem" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_make_key_ignores_a_proxy(tmp_path: Path) -> None:
    """A proxy in the environment would receive a key that is for this host."""
    with http_server() as proxy, http_server() as server:
        environment = {"http_proxy": f"http://127.0.0.1:{proxy.server_port}"}
        run("key.py", tmp_path, URL=f"http://127.0.0.1:{server.server_port}", **environment)
    assert proxy.received == []
    assert len(server.received) == 1
