"""Page cursors: a position in one caller's list, signed so that nobody else can make one."""

import base64
import hashlib
import hmac

from api.errors import BadCursor

MAC_BYTES = 16
# What the signature covers changes when this does, so that old cursors end as forged ones do.
VERSION = b"1"


class Cursors:
    """Seals positions into cursors and opens them again.

    The context names the caller, the filters and the sort: it is signed with the position but
    not carried, so a cursor opens only for the list it was made for.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def seal(self, position: str, context: str) -> str:
        mac = self._sign(position.encode(), context)
        return base64.urlsafe_b64encode(mac + position.encode()).decode().rstrip("=")

    def open(self, cursor: str, context: str) -> str:
        sealed = _decode(cursor)
        mac, position = sealed[:MAC_BYTES], sealed[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._sign(position, context)):
            raise BadCursor
        return position.decode()

    def _sign(self, position: bytes, context: str) -> bytes:
        parts = (VERSION, context.encode(), position)
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._secret, message, hashlib.sha256)[:MAC_BYTES]


def _decode(cursor: str) -> bytes:
    try:
        sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
    except ValueError:
        raise BadCursor from None
    # Base64 has several spellings of the same bytes; only the one that seal() writes is a cursor.
    if base64.urlsafe_b64encode(sealed).decode().rstrip("=") != cursor:
        raise BadCursor
    return sealed
