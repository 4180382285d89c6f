"""Whose certificates are believed: Amazon's at once, and those that botocore knows besides."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from botocore.exceptions import EndpointConnectionError

from api import trust
from api.loop_wire import LoopWire
from tests.support.builders import settings
from tests.support.peer import Peer, scripted

pytestmark = pytest.mark.anyio

AMAZONS_LINE = "# Issuer: CN=X\n# Subject: CN=Amazon Root CA 7 O=Amazon\n# Serial: 1\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


OTHERS_LINE = "# Issuer: CN=X\n# Subject: CN=Root O=Other\n# Serial: 1\n"

Bundle = Callable[..., None]


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """What writes the authorities that botocore is to bring: lines and certificates."""
    path = tmp_path / "cacert.pem"
    monkeypatch.setattr(trust, "where", lambda: str(path))

    def write(*parts: str | trustme.CA) -> None:
        texts = [part if isinstance(part, str) else pem(part) for part in parts]
        path.write_text("".join(texts))

    return write


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode() + "\n"


async def handshakes(authority: trustme.CA) -> list[int]:
    """Call a store with an authority's certificate twice; tell how often each call was retried."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)

    async def answer(peer: Peer, reader: object, writer: object) -> None:
        while True:
            await peer.read(reader)  # type: ignore[arg-type]
            writer.write(ANSWER)  # type: ignore[attr-defined]

    async with scripted(answer, server) as peer:
        wire = LoopWire(settings(peer.url))
        answers = [await wire.run(lambda: wire.call("ListTables", {})) for _ in range(2)]
        wire.close()
    return [answer["ResponseMetadata"]["RetryAttempts"] for answer in answers]


async def test_amazons_authorities_are_enough_for_amazon(bundle: Bundle) -> None:
    """A store of theirs is believed at once, and the others are not read."""
    amazon, other = trustme.CA(), trustme.CA()
    bundle(OTHERS_LINE, other, AMAZONS_LINE, amazon)
    assert trust.in_amazon().cert_store_stats()["x509_ca"] == 1
    assert await handshakes(amazon) == [0, 0]


async def test_another_authority_is_believed_after_one_retry(bundle: Bundle) -> None:
    """Whoever botocore trusts is trusted, and from then on at once."""
    amazon, other = trustme.CA(), trustme.CA()
    bundle(OTHERS_LINE, other, AMAZONS_LINE, amazon)
    assert await handshakes(other) == [1, 0]


async def test_a_bundle_that_says_nothing_is_read_as_a_whole(bundle: Bundle) -> None:
    """An operator's own has no such lines."""
    authority = trustme.CA()
    bundle(authority)
    assert await handshakes(authority) == [0, 0]


async def test_a_stranger_is_not_believed(bundle: Bundle) -> None:
    """However often the call is tried."""
    bundle(AMAZONS_LINE, trustme.CA())
    with pytest.raises(EndpointConnectionError, match="Could not connect"):
        await handshakes(trustme.CA())


def test_botocores_own_bundle_names_amazons() -> None:
    """Should it cease to, all of it would be read with every start."""
    assert trust.in_amazon().cert_store_stats()["x509_ca"] == 4
