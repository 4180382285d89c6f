"""The embedded DynamoDB: moto over HTTP, one request at a time, with an optional journal.

As a program it prints its port and serves until its standard input closes. The kernel closes it
when the parent process ends, for whatever reason.
"""

import argparse
import copy
import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from api.local.journal import Entry, Journal

TARGET = "DynamoDB_20120810."
SCHEMA_OPERATIONS = frozenset({"CreateTable", "DeleteTable", "UpdateTable", "UpdateTimeToLive"})
WRITE_OPERATIONS = frozenset(
    {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}
)
ITEMS_PER_BATCH = 25
# The journal is compacted at a start where it has so many writes for each item that is left.
MAX_WRITES_PER_ITEM = 3
MIN_WRITES_TO_COMPACT = 1000


Call = Callable[[Entry], dict[str, Any]]


def _tables(schema: list[Entry], call: Call) -> list[tuple[str, str]]:
    """Return the region and the name of each table."""
    return [
        (region, table)
        for region in sorted({entry.region for entry in schema})
        for table in call(Entry(region, "ListTables", {}))["TableNames"]
    ]


def _items_of(region: str, table: str, call: Call) -> int:
    description = call(Entry(region, "DescribeTable", {"TableName": table}))
    return int(description["Table"]["ItemCount"])


def _puts(region: str, table: str, call: Call) -> Iterator[Entry]:
    """Yield the writes that make a table's items."""
    items = _all_items(region, table, call)
    for start in range(0, len(items), ITEMS_PER_BATCH):
        puts = [{"PutRequest": {"Item": i}} for i in items[start:][:ITEMS_PER_BATCH]]
        yield Entry(region, "BatchWriteItem", {"RequestItems": {table: puts}})


def _all_items(region: str, table: str, call: Call) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    body: dict[str, Any] = {"TableName": table}
    while True:
        page = call(Entry(region, "Scan", body))
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        body["ExclusiveStartKey"] = page["LastEvaluatedKey"]


@contextmanager
def _shallow_snapshots(body: bytes) -> Iterator[None]:
    """Let moto's snapshots of a table share its items where a transaction only replaces them.

    moto copies the whole table for each item of a transaction, which takes seconds with
    thousands of tasks. An update changes an item in place, and needs the copy.
    """
    if b'"Update"' not in body:
        Table.__deepcopy__ = _snapshot  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if hasattr(Table, "__deepcopy__"):
            del Table.__deepcopy__


def _snapshot(table: Table, _memo: dict[int, Any]) -> Table:
    copied = copy.copy(table)
    copied.items = copy.copy(table.items)
    for key, items in table.items.items():
        # Items under a range key; a table without one has the item itself here.
        copied.items[key] = copy.copy(items) if table.has_range_key else items
    return copied


class Store:
    """moto behind a lock, which it lacks; a write is in the journal before it is acknowledged."""

    def __init__(self, journal: Journal | None = None) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._client = Client(self._moto)
        self._lock = threading.Lock()
        self._journal = journal
        if journal:
            self._restore(journal)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        body = request.get_data()
        with self._lock, _shallow_snapshots(body):
            response = Response.from_app(self._moto, environ | {"wsgi.input": io.BytesIO(body)})
            response.freeze()
            if self._journal and response.status_code == 200:
                self._append(self._journal, request, body)
        return response(environ, start_response)

    def _append(self, journal: Journal, request: Request, body: bytes) -> None:
        operation = request.headers.get("X-Amz-Target", "").removeprefix(TARGET)
        if operation in SCHEMA_OPERATIONS | WRITE_OPERATIONS:
            region = request.headers["Authorization"].split("/")[2]
            try:
                journal.append(Entry(region, operation, json.loads(body)))
            except OSError as error:
                # moto has made the write, and the journal has not: neither may be acknowledged.
                sys.stderr.write(
                    f"The journal cannot be written: {error}. The last write is lost, and was "
                    "not acknowledged. Make room or the folder writable, and start again.\n"
                )
                os._exit(1)

    def _restore(self, journal: Journal) -> None:
        entries = journal.restore(self._replay)
        schema = [entry for entry in entries if entry.operation in SCHEMA_OPERATIONS]
        tables = _tables(schema, self._replay)
        items = sum(_items_of(*table, self._replay) for table in tables)
        writes = sum(entry.writes for entry in entries)
        if writes > max(MAX_WRITES_PER_ITEM * items, MIN_WRITES_TO_COMPACT):
            puts = [put for table in tables for put in _puts(*table, self._replay)]
            journal.replace([*schema, *puts])

    def _replay(self, entry: Entry) -> dict[str, Any]:
        credential = f"Credential=local/20270101/{entry.region}/dynamodb/aws4_request"
        response = self._client.post(
            "/",
            data=json.dumps(entry.body),
            headers={
                "X-Amz-Target": TARGET + entry.operation,
                "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=, Signature=",
                "Content-Type": "application/x-amz-json-1.0",
            },
        )
        content: dict[str, Any] = response.get_json(force=True)
        return content


class KeepAlive(MotoRequestHandler):
    """HTTP/1.1, so that clients reuse their connections, as with DynamoDB."""

    protocol_version = "HTTP/1.1"

    def log(self, *_args: Any) -> None:
        """Log nothing, because the API logs its own calls."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--journal", type=Path, help="the file that stores the tasks between runs")
    journal = parser.parse_args().journal
    try:
        store = Store(Journal(journal) if journal else None)
        server = make_server("127.0.0.1", 0, store, threaded=True, request_handler=KeepAlive)
    except OSError as error:
        sys.exit(f"{error.filename} cannot be used: {error.strerror}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    # Without waiting for open connections: every acknowledged write is in the journal.
    os._exit(0)


if __name__ == "__main__":
    main()
