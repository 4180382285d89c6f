"""The embedded DynamoDB: moto over HTTP, one request at a time, with a journal if wanted.

Run as a program it prints its port and serves until its standard input closes, which the
kernel does for it when its parent dies, however that happens.
"""

import argparse
import copy
import fcntl
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

TARGET = "DynamoDB_20120810."
SCHEMA_OPERATIONS = frozenset({"CreateTable", "DeleteTable", "UpdateTable", "UpdateTimeToLive"})
WRITE_OPERATIONS = frozenset(
    {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}
)
ITEMS_PER_BATCH = 25
LOCK_SECONDS = 5


class Entry(NamedTuple):
    """One request that changed something."""

    region: str
    operation: str
    body: dict[str, Any]


Call = Callable[[Entry], dict[str, Any]]


class Journal:
    """Every change in the order it was made; what it holds is what was acknowledged."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = _lock(path.with_suffix(".lock"))
        self._file: IO[str] | None = None

    def restore(self, call: Call) -> None:
        """Make the changes again, and begin a new journal of what they come to."""
        entries = list(self._entries())
        for entry in entries:
            call(entry)
        fresh = self._path.with_suffix(".new")
        with fresh.open("w") as file:
            file.writelines(_line(entry) for entry in _condensed(entries, call))
        fresh.replace(self._path)
        self._file = self._path.open("a")

    def append(self, entry: Entry) -> None:
        # Flushed to the kernel: a killed process loses nothing. A power cut may.
        if self._file:
            self._file.write(_line(entry))
            self._file.flush()

    def _entries(self) -> Iterator[Entry]:
        lines = self._path.read_text().splitlines(keepends=True) if self._path.exists() else []
        for line in lines:
            # A line cut short by a kill was never acknowledged.
            if line.endswith("\n"):
                yield Entry(**json.loads(line))


def _line(entry: Entry) -> str:
    return json.dumps(entry._asdict()) + "\n"


def _lock(path: Path) -> IO[str]:
    """Keep the journal to one process; wait a moment for one that is on its way out."""
    file = path.open("w")
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                sys.exit(f"{path.parent}/ is in use by another store; stop that one first.")
            time.sleep(0.05)
        else:
            return file


def _condensed(entries: Iterable[Entry], call: Call) -> Iterator[Entry]:
    """Say the same in fewer words: the tables, then the items that are left."""
    schema = [entry for entry in entries if entry.operation in SCHEMA_OPERATIONS]
    yield from schema
    regions = {entry.region for entry in schema}
    for region in sorted(regions):
        for table in call(Entry(region, "ListTables", {}))["TableNames"]:
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
def _cheap_snapshots(body: bytes) -> Iterator[None]:
    """Let moto's snapshots of a table share its items, where a transaction only replaces them.

    moto copies the whole table for each item of a transaction, so that one under an idempotency
    key would take seconds where there are some thousand tasks. An update changes an item in its
    place, and needs the copy.
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
    """moto behind one lock, for it has none; what it acknowledges is in the journal first."""

    def __init__(self, journal: Journal | None = None) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._client = Client(self._moto)
        self._turn = threading.Lock()
        self._journal = journal
        if journal:
            journal.restore(self._replay)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        body = request.get_data()
        with self._turn, _cheap_snapshots(body):
            response = Response.from_app(self._moto, environ | {"wsgi.input": io.BytesIO(body)})
            response.freeze()
            if self._journal and response.status_code == 200:
                self._keep(self._journal, request, body)
        return response(environ, start_response)

    def _keep(self, journal: Journal, request: Request, body: bytes) -> None:
        operation = request.headers.get("X-Amz-Target", "").removeprefix(TARGET)
        if operation in SCHEMA_OPERATIONS | WRITE_OPERATIONS:
            region = request.headers["Authorization"].split("/")[2]
            journal.append(Entry(region, operation, json.loads(body)))

    def _replay(self, entry: Entry) -> dict[str, Any]:
        scope = f"Credential=local/20270101/{entry.region}/dynamodb/aws4_request"
        response = self._client.post(
            "/",
            data=json.dumps(entry.body),
            headers={
                "X-Amz-Target": TARGET + entry.operation,
                "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=none",
                "Content-Type": "application/x-amz-json-1.0",
            },
        )
        answer: dict[str, Any] = response.get_json(force=True)
        return answer


class KeepAlive(MotoRequestHandler):
    """HTTP/1.1, so that clients keep their connections as they do with DynamoDB."""

    protocol_version = "HTTP/1.1"

    def log(self, *_args: Any) -> None:
        """Say nothing: the API logs its own calls."""


class StoreServer:
    """The store behind a socket of its own, in a thread of this process."""

    def __init__(self, store: Store, port: int = 0) -> None:
        self._server = make_server(
            "127.0.0.1", port, store, threaded=True, request_handler=KeepAlive
        )
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--journal", type=Path, help="where tasks are kept between runs")
    journal = parser.parse_args().journal
    server = StoreServer(Store(Journal(journal) if journal else None))
    print(server.port, flush=True)
    sys.stdin.read()
    # At once, without waiting for open connections: nothing acknowledged is missing from disk.
    os._exit(0)


if __name__ == "__main__":
    main()
