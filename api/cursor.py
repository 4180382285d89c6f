"""Page cursors: a position in one list, signed so that clients cannot forge one."""

import base64
import hashlib
import hmac

from api.errors import InvalidCursor

MAC_BYTES = 16
# Part of what is signed: after a change, old cursors are invalid.
VERSION = b"2"


class Cursors:
    """Converts positions to cursors and back.

    The context identifies the workspace, filters and sort. It is signed with the position but
    not contained in the cursor, so that a cursor is valid for one list only. The first page has no
    position, and the last one no cursor.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def seal(self, position: str | None, context: str) -> str | None:
        return None if position is None else self.seal_bytes(position.encode(), context)

    def open(self, cursor: str | None, context: str) -> str | None:
        return None if cursor is None else self.open_bytes(cursor, context).decode()

    def seal_bytes(self, position: bytes, context: str) -> str:
        mac = self._sign(position, context)
        return base64.urlsafe_b64encode(mac + position).decode().rstrip("=")

    def open_bytes(self, cursor: str, context: str) -> bytes:
        sealed = _decode(cursor)
        mac, position = sealed[:MAC_BYTES], sealed[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._sign(position, context)):
            raise InvalidCursor
        return position

    def _sign(self, position: bytes, context: str) -> bytes:
        parts = (VERSION, context.encode(), position)
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._secret, message, hashlib.sha256)[:MAC_BYTES]


def _decode(cursor: str) -> bytes:
    try:
        sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
    except ValueError:
        raise InvalidCursor from None
    # Base64 can encode the same bytes in several ways; only the one that seal() writes is valid.
    if base64.urlsafe_b64encode(sealed).decode().rstrip("=") != cursor:
        raise InvalidCursor
    return sealed
