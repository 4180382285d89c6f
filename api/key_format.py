"""The format of an API key: `tt_<id>_<secret>_<check>`.

The id is a ULID, the secret 256 random bits in hexadecimal, and the check a CRC-32 of everything
before it. Secret scanners and this service use the check to tell a key from similar text.

`python -m api.key_format` prints a fresh key.
"""

import hashlib
import hmac
import re
import secrets
import sys
import zlib
from datetime import UTC, datetime
from typing import NamedTuple

from api.values import new_ulid

KEY = re.compile(r"tt_([0-7][0-9A-HJKMNP-TV-Z]{25})_([0-9a-f]{64})_([0-9a-f]{8})", re.ASCII)
SECRET_BYTES = 32


class PresentedKey(NamedTuple):
    """An API key as a client sent it: its id and the SHA-256 of its secret, in hexadecimal."""

    id: str
    digest: str

    def matches(self, digest: str) -> bool:
        """Compare the secret with a stored digest, in constant time."""
        return hmac.compare_digest(self.digest, digest)

    def equals(self, other: "PresentedKey") -> bool:
        return self.matches(other.digest) and self.id == other.id


def generate(key_id: str) -> str:
    """Generate a key with a fresh random secret."""
    body = f"tt_{key_id}_{secrets.token_hex(SECRET_BYTES)}"
    return f"{body}_{_check(body)}"


def parse(text: str) -> PresentedKey | None:
    """Parse a key; return None if the format or the check is wrong."""
    found = KEY.fullmatch(text)
    if found is None or _check(text[: found.end(2)]) != found[3]:
        return None
    return PresentedKey(found[1], digest_of(text))


def digest_of(text: str) -> str:
    """Return the SHA-256 of a well-formed key's secret, in hexadecimal."""
    return hashlib.sha256(text.split("_")[2].encode()).hexdigest()


def _check(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"


if __name__ == "__main__":
    sys.stdout.write(generate(new_ulid(datetime.now(UTC))) + "\n")
