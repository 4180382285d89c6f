"""A stand-in for DynamoDB that takes the same short time for every call of a kind.

It reads no body and checks no signature: what is measured is the client.
"""

import asyncio
import json
import sys
import zlib
from typing import Any

import httptools

ITEM: dict[str, Any] = {
    "pk": {"S": "ws#default"},
    "sk": {"S": "task#01M8451SKAJNW9G3KA457783YN"},
    "all_scope": {"S": "default"},
    "status_scope": {"S": "default#todo"},
    "project_scope": {"S": "default#memory"},
    "assignee_scope": {"S": "default#ada"},
    "updated_order": {"S": "2026-11-23T12:10:49.322Z#01M8451SKAJNW9G3KA457783YN"},
    "due_order": {"S": "2027-01-31T09:30:00.000Z#01M8451SKAJNW9G3KA457783YN"},
    "priority_order": {"S": "3#01M8451SKAJNW9G3KA457783YN"},
    "title": {"S": "Write it down"},
    "description": {"S": "Before it is forgotten, and before the next thing comes along. " * 2},
    "status": {"S": "todo"},
    "previous_status": {"S": "todo"},
    "priority": {"S": "high"},
    "labels": {"L": [{"S": "paper"}, {"S": "pen"}]},
    "project": {"S": "memory"},
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
PAGE = 25


def answer(content: dict[str, Any]) -> bytes:
    body = json.dumps(content, separators=(",", ":")).encode()
    head = (
        "HTTP/1.1 200 OK\r\nServer: Server\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"Content-Length: {len(body)}\r\nConnection: keep-alive\r\n"
        "x-amzn-RequestId: 8B2M0DKR5V5O4GQ3S9A1QJ7C5JVV4KQNSO5AEMVJF66Q9ASUAAJG\r\n"
        f"x-amz-crc32: {zlib.crc32(body)}\r\n\r\n"
    )
    return head.encode() + body


CONSUMED = {"TableName": "tasks", "CapacityUnits": 1.0}
ANSWERS = {
    "GetItem": answer({"Item": ITEM, "ConsumedCapacity": CONSUMED}),
    "Query": answer(
        {
            "Items": [ITEM] * PAGE,
            "Count": PAGE,
            "ScannedCount": PAGE,
            "ConsumedCapacity": CONSUMED,
        }
    ),
    "PutItem": answer({"ConsumedCapacity": CONSUMED}),
    "UpdateItem": answer({"Attributes": ITEM, "ConsumedCapacity": CONSUMED}),
    "UpdateTimeToLive": answer({}),
    "DescribeTable": answer({"Table": {"TableName": "tasks", "TableStatus": "ACTIVE"}}),
}


class Stub(asyncio.Protocol):
    """Answers each request by its target, as soon as the whole of it is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpRequestParser(self)
        self._operation = ""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-amz-target":
            self._operation = value.decode().partition(".")[2]

    def on_message_complete(self) -> None:
        self._transport.write(ANSWERS[self._operation])


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
