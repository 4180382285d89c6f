"""Where API keys lie: in the tasks' own table, found by their id, listed by their workspace."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import PynamoDBException, UpdateError
from pynamodb.expressions.operand import Path

from api import failures
from api.errors import KeyNotFound
from api.items import NEW
from api.keys import Key, Scope
from api.models import rfc3339
from api.repository import over_the_wire
from api.table import as_json
from api.wire import Wire

KEY = "apikey#"
INDEX = "all_created"
# A key that is over is kept for a while: its use before can still be explained.
KEPT_FOR = timedelta(days=30)

Item = dict[str, Any]


class StoredKey(NamedTuple):
    """A key and the digest of its secret."""

    key: Key
    digest: str


class KeyRepository:
    """The keys of all workspaces."""

    def __init__(self, table: TableConnection, wire: Wire) -> None:
        self._table = table
        self.wire = wire

    @over_the_wire
    def add(self, stored: StoredKey) -> None:
        key = stored.key
        try:
            self._table.put_item(*_place(key.id), attributes=_item_of(stored), condition=NEW)
        except PynamoDBException as error:
            # The id is fresh: what is there was put by an attempt whose answer was lost.
            if not failures.was_refused(error):
                raise

    @over_the_wire
    def find(self, key_id: str) -> StoredKey | None:
        item = self._table.get_item(*_place(key_id), consistent_read=True).get("Item")
        return _stored_of(item) if item else None

    @over_the_wire
    def page(
        self, workspace: str, limit: int, position: str | None
    ) -> tuple[list[Key], str | None]:
        """Read a page, newest first, behind a key's id; the second value is the next position."""
        answer = self._table.query(
            _listed_under(workspace),
            index_name=INDEX,
            scan_index_forward=False,
            limit=limit,
            exclusive_start_key=_start(workspace, position) if position else None,
        )
        keys = [_stored_of(item).key for item in answer["Items"]]
        return keys, keys[-1].id if answer.get("LastEvaluatedKey") else None

    @over_the_wire
    def revoke(self, key_id: str, workspace: str | None, now: datetime) -> None:
        """End a key of a workspace, or of any; the moment of the first time stays."""
        ends = int((now + KEPT_FOR).timestamp())
        condition = Path("pk").exists()
        if workspace is not None:
            condition &= Path("workspace") == workspace
        actions = [
            Path("revoked_at").set(Path("revoked_at") | rfc3339(now)),
            Path("expires_at").set(Path("expires_at") | ends),
        ]
        try:
            self._table.update_item(*_place(key_id), actions=actions, condition=condition)
        except UpdateError as error:
            if failures.was_refused(error):
                raise KeyNotFound from None
            raise

    @over_the_wire
    def note_use(self, key_id: str, day: str) -> None:
        """Write the day down, where none as late is there."""
        used = Path("last_used_on")
        condition = Path("pk").exists() & (used.does_not_exist() | (used < day))
        try:
            self._table.update_item(*_place(key_id), actions=[used.set(day)], condition=condition)
        except UpdateError as error:
            if not failures.was_refused(error):
                raise


def _place(key_id: str) -> tuple[str, str]:
    return KEY + key_id, KEY + key_id


def _listed_under(workspace: str) -> str:
    # No workspace's name has a # in it: this is the list of no tasks.
    return KEY + workspace


def _start(workspace: str, key_id: str) -> dict[str, Any]:
    pk, sk = _place(key_id)
    return {"pk": as_json(pk), "sk": as_json(sk), "all_scope": as_json(_listed_under(workspace))}


def _item_of(stored: StoredKey) -> Item:
    key = stored.key
    pk, sk = _place(key.id)
    values: dict[str, Any] = {
        "pk": pk,
        "sk": sk,
        "all_scope": _listed_under(key.workspace),
        "workspace": key.workspace,
        "label": key.label,
        "scopes": [str(scope) for scope in key.scopes],
        "created_at": key.created_at,
        "digest": stored.digest,
    }
    if key.expires_at is not None:
        values["valid_until"] = key.expires_at
        ends = datetime.fromisoformat(key.expires_at) + KEPT_FOR
        values["expires_at"] = int(ends.timestamp())
    return {name: as_json(value) for name, value in values.items()}


def _stored_of(item: Item) -> StoredKey:
    texts = {name: value["S"] for name, value in item.items() if "S" in value}
    key = Key(
        id=texts["sk"].removeprefix(KEY),
        workspace=texts["workspace"],
        label=texts["label"],
        scopes=[Scope(scope["S"]) for scope in item["scopes"]["L"]],
        created_at=texts["created_at"],
        expires_at=texts.get("valid_until"),
        revoked_at=texts.get("revoked_at"),
        last_used_on=texts.get("last_used_on"),
    )
    return StoredKey(key, texts["digest"])
