"""The stub as a function meets DynamoDB: behind TLS, and with the caller's key among its items.

`python -m tests.bench.keyed_stub <certificate> <key>`; it prints its port.
"""

import asyncio
import ssl
import sys
from datetime import UTC, datetime
from typing import Any

from api import keys
from api.key_repository import KEY, StoredKey, _item_of
from api.keys import Key, Scope
from api.models import rfc3339
from tests.bench.stub import ANSWERS, CONSUMED, Stub, answer


def item_of(text: str) -> dict[str, Any]:
    """Write down a key that was used today: its first use of a day would be a write more."""
    presented, now = keys.read(text), datetime.now(UTC)
    assert presented
    key = Key(
        id=presented.id,
        workspace="default",
        label="bench",
        scopes=[Scope.READ],
        created_at=rfc3339(now),
        expires_at=None,
        revoked_at=None,
        last_used_on=None,
    )
    used = {"last_used_on": {"S": now.date().isoformat()}}
    return _item_of(StoredKey(key, presented.digest)) | used


class KeyedStub(Stub):
    """Answers with the key, too, where one is asked for."""

    key = b""

    def on_message_begin(self) -> None:
        self._asked = b""

    def on_body(self, body: bytes) -> None:
        self._asked += body

    def on_message_complete(self) -> None:
        of_a_key = KEY.encode() in self._asked
        self._transport.write(self.key if of_a_key else ANSWERS[self._operation])


async def main(certificate: str, text: str) -> None:
    KeyedStub.key = answer({"Item": item_of(text), "ConsumedCapacity": CONSUMED})
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(KeyedStub, "127.0.0.1", 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(*sys.argv[1:]))
