"""TLS around a connection, with a certificate from files or from the environment."""

import asyncio
import os
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from api.http.client_address import client_network, peer_address
from api.serving.load import Load
from api.settings import Settings


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the context to serve HTTPS with, or None where the settings have no certificate.

    Raises:
        ssl.SSLError: the certificate or its key is not valid.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if settings.tls_certfile:
        context.load_cert_chain(settings.tls_certfile, settings.tls_keyfile)
    elif settings.tls_certificate and settings.tls_key:
        with _file(settings.tls_key.get_secret_value(), settings.tls_certificate) as path:
            context.load_cert_chain(path)
    else:
        return None
    return context


@contextmanager
def _file(*texts: str) -> Iterator[str]:
    """Provide texts as a file in memory: OpenSSL reads keys from files, the root is read-only."""
    with os.fdopen(os.memfd_create("tls"), "w") as file:
        file.write("\n".join(texts))
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


class TlsConnection(SSLProtocol):
    """TLS around another protocol, limited in time, number and memory.

    uvicorn's own TLS tells a protocol about its connection only after the handshake, so clients
    that never finish it would be limited by nothing. Its read buffer is 16 times as large.
    """

    max_size = 16 * 1024
    # As Load sees connections.
    awaits_client = True

    def __init__(
        self, load: Load, context: ssl.SSLContext, connection: asyncio.BaseProtocol
    ) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            connection,
            context,
            None,  # type: ignore[arg-type]
            server_side=True,
            ssl_handshake_timeout=load.limits.head_seconds,  # type: ignore[arg-type]
            ssl_shutdown_timeout=load.limits.linger_seconds,
        )
        self._load = load
        self._handshaking = True
        self.network = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.network = client_network(peer_address(transport.get_extra_info("peername")))
        self._raw = transport
        self._load.add(self)
        self._load.idle(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._end_handshake()
        super().connection_lost(exc)

    def _on_handshake_complete(self, handshake_exc: Any) -> None:
        # From here on the inner connection counts.
        self._end_handshake()
        super()._on_handshake_complete(handshake_exc)

    def _end_handshake(self) -> None:
        if self._handshaking:
            self._handshaking = False
            self._load.remove(self)

    # Called by Load

    def check(self, now: float) -> None:
        """Do nothing: the handshake has a time limit of its own."""

    def abort(self, reason: str) -> None:
        self._load.metrics.connections_cut.labels(reason).inc()
        self._raw.abort()

    def abort_for_memory(self) -> None:
        """Do nothing: a handshake holds no body."""
