"""Idempotency keys: repeating a request under one key has one effect and gets one response.

The record of a request is written in the transaction of its effect: both are stored, or neither
is. docs/decisions/0008 says why failures are not recorded.
"""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from api.dynamodb.item_json import to_attribute
from api.http.etags import etag_of, revision_of
from api.tasks.models import Task, task_json
from api.tasks.table import partition
from api.values import Matching

RECORD_PREFIX = "key#"
RECORD_LIFETIME = timedelta(hours=24)
# Bare, or quoted as in the IETF draft; without commas, because a header sent twice has one.
HEADER = Matching(
    r'^([!#-+\--~]{1,255}|"[!#-+\--~]{1,255}")$',
    "must be 1 to 255 visible ASCII characters without commas and double quotes",
)


class Claim(NamedTuple):
    """One request's use of an idempotency key, which is stored only as a hash."""

    workspace: str
    record_id: str
    fingerprint: str
    now: datetime

    @property
    def primary_key(self) -> tuple[str, str]:
        return partition(self.workspace), self.record_id

    def as_variant(self, name: str) -> "Claim":
        """Return the claim of the same content with another meaning."""
        return self._replace(fingerprint=f"{name} {self.fingerprint}")

    def record(self, response: "Recorded") -> dict[str, Any]:
        """Return the record of the response, as DynamoDB's JSON."""
        values: dict[str, str | int] = {
            "task_id": response.id,
            "fingerprint": self.fingerprint,
            "revision": revision_of(response.etag),
            "answer": response.body.decode(),
            "expires_at": int((self.now + RECORD_LIFETIME).timestamp()),
        }
        return {name: to_attribute(value) for name, value in values.items()}

    def accepts(self, record: dict[str, Any]) -> bool:
        """Return whether a record is still valid: DynamoDB deletes expired ones days later."""
        return int(record["expires_at"]["N"]) > self.now.timestamp()


class Recorded(NamedTuple):
    """A response as a record stores it: what was written, and its state and body."""

    id: str
    etag: str
    body: bytes


class Replay(NamedTuple):
    """The response to an earlier request under the same idempotency key."""

    id: str
    etag: str
    body: bytes
    fingerprint: str


def claim(
    workspace: str, key: str, operation: str, content: dict[str, Any], now: datetime
) -> Claim:
    """Claim an idempotency key for an operation on parsed content, which has its defaults."""
    bare_key = key.strip('"')
    record_id = RECORD_PREFIX + _hash(f"{operation}\n{bare_key}")
    return Claim(workspace, record_id, _hash(json.dumps(content, sort_keys=True)), now)


def recorded_task(task: Task) -> Recorded:
    return Recorded(task.id, task.etag, task_json(task))


def replay_of(record: dict[str, Any]) -> Replay:
    return Replay(
        id=record["task_id"]["S"],
        etag=etag_of(record["revision"]["S"]),
        body=record["answer"]["S"].encode(),
        fingerprint=record["fingerprint"]["S"],
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
