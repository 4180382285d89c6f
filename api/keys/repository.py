"""API keys in the tasks' table: read by their id, listed by their workspace."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pynamodb.connection.table import TableConnection
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from api.dynamodb import store_errors
from api.dynamodb.item_json import NOT_EXISTS, Item, to_attribute
from api.dynamodb.run_on_loop import run_on_loop
from api.dynamodb.transport import Transport
from api.keys.errors import ApiKeyNotFound
from api.keys.models import Key
from api.principal import Scope
from api.values import rfc3339

KEY_PREFIX = "apikey#"
INDEX = "all_created"
# Expired and revoked keys stay listed this long, so that their earlier use can be explained.
RETENTION_SECONDS = 30 * 24 * 3600


class StoredKey(NamedTuple):
    """An API key and the digest of its secret."""

    key: Key
    digest: str


class KeyRepository:
    """The API keys of all workspaces."""

    def __init__(self, table: TableConnection, transport: Transport) -> None:
        self._table = table
        self.transport = transport

    @run_on_loop
    def add(self, stored: StoredKey) -> None:
        primary_key = _primary_key(stored.key.id)
        # The id is new: an item under it is from an attempt whose response was lost.
        store_errors.condition_held(
            lambda: self._table.put_item(
                *primary_key, attributes=_item_of(stored), condition=NOT_EXISTS
            )
        )

    @run_on_loop
    def find(self, key_id: str) -> StoredKey | None:
        item = self._table.get_item(*_primary_key(key_id), consistent_read=True).get("Item")
        return _stored_key_of(item) if item else None

    @run_on_loop
    def page(
        self, workspace: str, limit: int, position: str | None
    ) -> tuple[list[Key], str | None]:
        """Read a page, newest first, after a key's id; return it with the next page's position."""
        response = self._table.query(
            _list_partition(workspace),
            index_name=INDEX,
            scan_index_forward=False,
            limit=limit,
            exclusive_start_key=_start_key(workspace, position) if position else None,
        )
        keys = [_stored_key_of(item).key for item in response["Items"]]
        return keys, keys[-1].id if response.get("LastEvaluatedKey") else None

    @run_on_loop
    def count(self, workspace: str, limit: int) -> int:
        """Count the keys of a workspace, up to a limit."""
        response = self._table.query(
            _list_partition(workspace), index_name=INDEX, limit=limit, select="COUNT"
        )
        return int(response["Count"])

    @run_on_loop
    def revoke(self, key_id: str, workspace: str | None, now: datetime) -> None:
        """Revoke a key of a workspace, or of any if None; the first revocation's time stays."""
        item_expires = int(now.timestamp()) + RETENTION_SECONDS
        condition = Path("pk").exists()
        if workspace is not None:
            condition &= Path("workspace") == workspace
        actions = [
            Path("revoked_at").set(Path("revoked_at") | rfc3339(now)),
            Path("expires_at").set(Path("expires_at") | item_expires),
        ]
        if not self._update(key_id, actions, condition):
            raise ApiKeyNotFound

    @run_on_loop
    def note_use(self, key_id: str, day: str) -> None:
        """Store the day of a use, unless the same or a later day is stored."""
        used = Path("last_used_on")
        condition = Path("pk").exists() & (used.does_not_exist() | (used < day))
        self._update(key_id, [used.set(day)], condition)

    def _update(self, key_id: str, actions: Sequence[Action], condition: Condition) -> bool:
        """Update a key's item; return whether the condition held."""
        return store_errors.condition_held(
            lambda: self._table.update_item(
                *_primary_key(key_id), actions=actions, condition=condition
            )
        )


def _primary_key(key_id: str) -> tuple[str, str]:
    return KEY_PREFIX + key_id, KEY_PREFIX + key_id


def _list_partition(workspace: str) -> str:
    # Those of tasks begin with a state.
    return KEY_PREFIX + workspace


def _start_key(workspace: str, key_id: str) -> Item:
    pk, sk = _primary_key(key_id)
    partition = to_attribute(_list_partition(workspace))
    return {"pk": to_attribute(pk), "sk": to_attribute(sk), "all_scope": partition}


def _item_of(stored: StoredKey) -> Item:
    key = stored.key
    pk, sk = _primary_key(key.id)
    values: dict[str, Any] = {
        "pk": pk,
        "sk": sk,
        "all_scope": _list_partition(key.workspace),
        "workspace": key.workspace,
        "label": key.label,
        "scopes": [str(scope) for scope in key.scopes],
        "created_at": key.created_at,
        "digest": stored.digest,
    }
    if key.expires_at is not None:
        values["valid_until"] = key.expires_at
        ends = int(datetime.fromisoformat(key.expires_at).timestamp())
        values["expires_at"] = ends + RETENTION_SECONDS
    if key.created_by is not None:
        values["created_by"] = key.created_by
    return {name: to_attribute(value) for name, value in values.items()}


def _stored_key_of(item: Item) -> StoredKey:
    texts = {name: value["S"] for name, value in item.items() if "S" in value}
    key = Key(
        id=texts["sk"].removeprefix(KEY_PREFIX),
        workspace=texts["workspace"],
        label=texts["label"],
        scopes=[Scope(scope["S"]) for scope in item["scopes"]["L"]],
        created_at=texts["created_at"],
        expires_at=texts.get("valid_until"),
        revoked_at=texts.get("revoked_at"),
        last_used_on=texts.get("last_used_on"),
        created_by=texts.get("created_by"),
    )
    return StoredKey(key, texts["digest"])
