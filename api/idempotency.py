"""Idempotency keys: a request that is repeated under one key has one effect and one answer.

The record of a request is written in the transaction that has its effect, so there is no state
in between: either both are there or neither is. docs/decisions/0008 says why nothing else is kept.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import BaseModel

from api.etags import revision_of, tag
from api.models import Task, task_json
from api.table import as_json, partition

RECORD = "key#"
KEPT_FOR = timedelta(hours=24)
# Bare, or quoted as the IETF's draft has it.
HEADER_PATTERN = r'^([!#-~]{1,255}|"[!#-~]{1,255}")$'


class Claim(NamedTuple):
    """A key as one request uses it: hashes, for what a caller puts into a key is theirs."""

    workspace: str
    record_id: str
    fingerprint: str
    now: datetime

    @property
    def key(self) -> tuple[str, str]:
        return partition(self.workspace), self.record_id

    def record(self, task: Task) -> dict[str, Any]:
        """Write down the answer to the request as DynamoDB's JSON."""
        values: dict[str, str | int] = {
            "task_id": task.id,
            "fingerprint": self.fingerprint,
            "revision": revision_of(task.etag),
            "answer": task_json(task).decode(),
            "expires_at": int((self.now + KEPT_FOR).timestamp()),
        }
        return {name: as_json(value) for name, value in values.items()}

    def holds(self, record: dict[str, Any]) -> bool:
        """Tell whether a record still stands: DynamoDB sweeps expired ones days later."""
        return int(record["expires_at"]["N"]) > self.now.timestamp()


class Replay(NamedTuple):
    """The answer that an earlier request got."""

    id: str
    etag: str
    body: bytes
    fingerprint: str


def claim(workspace: str, key: str, place: str, content: BaseModel, now: datetime) -> Claim:
    """Claim a key for a request to one place; its content is compared as it was understood."""
    unquoted = key.strip('"')
    record_id = RECORD + _hash(f"{place}\n{unquoted}")
    return Claim(workspace, record_id, _hash(content.model_dump_json(exclude_unset=True)), now)


def replay(record: dict[str, Any]) -> Replay:
    return Replay(
        id=record["task_id"]["S"],
        etag=tag(record["revision"]["S"]),
        body=record["answer"]["S"].encode(),
        fingerprint=record["fingerprint"]["S"],
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
