"""The board's files, read once and kept in memory: a request for one touches no disk."""

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

from api.http.etags import etag_of

STATIC = Path(__file__).parent / "static"
PAGE = "index.html"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# In the page, where the version of the other files belongs.
VERSION_PLACEHOLDER = b"{version}"


class Asset(NamedTuple):
    """One file as it is sent."""

    body: bytes
    media_type: str
    etag: str


class Assets(NamedTuple):
    """The page, and the files that it loads under their common version."""

    page: Asset
    files: dict[str, Asset]
    version: str


@functools.cache
def load_assets() -> Assets:
    """Read the files; the version is a hash of all that the page loads."""
    bodies = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir())}
    page = bodies.pop(PAGE)
    version = _digest(b"".join(bodies.values()))
    files = {name: _asset(name, body) for name, body in bodies.items()}
    return Assets(_asset(PAGE, page.replace(VERSION_PLACEHOLDER, version.encode())), files, version)


def _asset(name: str, body: bytes) -> Asset:
    return Asset(body, MEDIA_TYPES[Path(name).suffix], etag_of(_digest(body)))


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]
