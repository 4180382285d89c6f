"""A stand-in for DynamoDB that takes the same short time for every call of a kind.

`python -m tests.bench.stub <port> [<API key>,... [<certificate>]]` prints its port; 0 stands for a
free one. It has the items of the given API keys, the first in the workspace `default`, each other
in one of its own. With a certificate, the stub serves TLS. It checks no signature and no write,
because what is measured is the client.
"""

import asyncio
import json
import re
import ssl
import sys
import zlib
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httptools

from api import key_format
from api.dynamodb.item_json import to_attribute
from api.keys.models import Key
from api.keys.repository import KEY_PREFIX, StoredKey, _item_of
from api.principal import Scope
from api.values import rfc3339

ITEM: dict[str, Any] = {
    "pk": {"S": "ws#default"},
    "sk": {"S": "task#01M8451SKAJNW9G3KA457783YN"},
    "all_scope": {"S": "open#default"},
    "status_scope": {"S": "default#todo"},
    "project_scope": {"S": "default#memory"},
    "assignee_scope": {"S": "default#ada"},
    "updated_order": {"S": "2026-11-23T12:10:49.322Z#01M8451SKAJNW9G3KA457783YN"},
    "due_order": {"S": "2027-01-31T09:30:00.000Z#01M8451SKAJNW9G3KA457783YN"},
    "priority_order": {"S": "3#01M8451SKAJNW9G3KA457783YN"},
    "state_created": {"S": "open#01M8451SKAJNW9G3KA457783YN"},
    "open_due": {"S": "2027-01-31T09:30:00.000Z#01M8451SKAJNW9G3KA457783YN"},
    "open_priority": {"S": "3#01M8451SKAJNW9G3KA457783YN"},
    "title_folded": {"S": "write the release notes"},
    "title": {"S": "Write the release notes"},
    "description": {"S": "List what changed for clients, with the endpoints concerned. " * 2},
    "status": {"S": "todo"},
    "previous_status": {"S": "todo"},
    "priority": {"S": "high"},
    "labels": {"L": [{"S": "paper"}, {"S": "pen"}]},
    "project": {"S": "tracker"},
    "assignee": {"S": "ada"},
    "due_at": {"S": "2027-01-31T09:30:00.000Z"},
    "created_at": {"S": "2026-11-23T12:10:49.322Z"},
    "updated_at": {"S": "2026-11-23T12:10:49.322Z"},
    "version": {"N": "1"},
    "revision": {"S": "20a3d7b635ec416a"},
    "revision_1": {"S": "-"},
    "revision_2": {"S": "-"},
    "revision_3": {"S": "-"},
}
ETAG = f'"{ITEM["revision"]["S"]}"'
ID = ITEM["sk"]["S"].removeprefix("task#")
API_KEY = re.compile(KEY_PREFIX.encode() + rb"([0-9A-Z]{26})")
PAGE = 25


def response(content: dict[str, Any]) -> bytes:
    body = json.dumps(content, separators=(",", ":")).encode()
    head = (
        "HTTP/1.1 200 OK\r\nServer: Server\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"Content-Length: {len(body)}\r\nConnection: keep-alive\r\n"
        "x-amzn-RequestId: 8B2M0DKR5V5O4GQ3S9A1QJ7C5JVV4KQNSO5AEMVJF66Q9ASUAAJG\r\n"
        f"x-amz-crc32: {zlib.crc32(body)}\r\n\r\n"
    )
    return head.encode() + body


CONSUMED = {"TableName": "tasks", "CapacityUnits": 1.0}


def distinct(item: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Return copies of an item with ids of their own, because a page holds a task once."""
    prefix = item["sk"]["S"][:-2]
    return [item | {"sk": {"S": f"{prefix}{place:02}"}} for place in range(number)]


PAGE_OF_ITEMS = {"Items": distinct(ITEM, PAGE), "Count": PAGE, "ScannedCount": PAGE}
RESPONSES = {
    "GetItem": response({"Item": ITEM, "ConsumedCapacity": CONSUMED}),
    "Query": response({**PAGE_OF_ITEMS, "ConsumedCapacity": CONSUMED}),
    "PutItem": response({"ConsumedCapacity": CONSUMED}),
    "UpdateItem": response({"Attributes": ITEM, "ConsumedCapacity": CONSUMED}),
    "UpdateTimeToLive": response({}),
    "DescribeTable": response({"Table": {"TableName": "tasks", "TableStatus": "ACTIVE"}}),
}


def key_item(text: str, workspace: str) -> dict[str, Any]:
    """Return an API key's item, already used today: the first use of a day is stored."""
    presented, now = key_format.parse(text), datetime.now(UTC)
    assert presented
    key = Key(
        id=presented.id,
        workspace=workspace,
        label="bench",
        scopes=[Scope.READ, Scope.WRITE],
        created_at=rfc3339(now),
        expires_at=None,
        revoked_at=None,
        last_used_on=None,
        created_by=None,
    )
    used = {"last_used_on": to_attribute(now.date().isoformat())}
    return _item_of(StoredKey(key, presented.digest)) | used


class Stub(asyncio.Protocol):
    """Responds to each request by its target, as soon as the whole of it has arrived."""

    def __init__(self, key_responses: dict[str, bytes]) -> None:
        self._key_responses = key_responses

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpRequestParser(self)
        self._operation = ""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-amz-target":
            self._operation = value.decode().partition(".")[2]

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        key = API_KEY.search(self._body) if self._operation == "GetItem" else None
        response = self._key_responses[key[1].decode()] if key else RESPONSES[self._operation]
        self._transport.write(response)


def key_responses(keys: list[str]) -> dict[str, bytes]:
    """Return the response to reading each API key's item, by the key's id."""
    workspaces = ["default", *(f"workspace-{number}" for number in range(1, len(keys)))]
    return {
        key.split("_")[1]: response(
            {"Item": key_item(key, workspace), "ConsumedCapacity": CONSUMED}
        )
        for key, workspace in zip(keys, workspaces, strict=False)
    }


async def main(port: str, keys: str = "", certificate: str = "") -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
    if tls:
        tls.load_cert_chain(certificate)
    protocol = partial(Stub, key_responses(keys.split(",") if keys else []))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", int(port), ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(*sys.argv[1:]))
