"""The rules of API keys: created, listed, revoked, verified."""

import logging
from collections import OrderedDict
from dataclasses import asdict
from typing import NamedTuple

from api import key_format
from api.clock import Clock
from api.cursor import Cursors
from api.errors import InvalidRequest, StoreUnavailable
from api.key_format import PresentedKey
from api.keys.errors import ApiKeyNotFound, InsufficientScope, InvalidApiKey, TooManyKeys
from api.keys.models import CreatedKey, Key, KeyPage, KeyQuery, NewKey
from api.keys.repository import KeyRepository, StoredKey
from api.keys.workspaces import Workspaces
from api.metrics import Metrics
from api.principal import Principal
from api.values import MAX_PAGE_LIMIT, is_ulid, new_ulid, rfc3339

# How long a process uses what it read of a key: a revocation takes effect within this.
CACHE_SECONDS = 5
# How long it remembers that a key was valid.
KNOWN_SECONDS = 3600
MAX_CACHED_KEYS = 10_000
MAX_KEYS_PER_WORKSPACE = 250

logger = logging.getLogger(__name__)


class CachedKey(NamedTuple):
    """A key as it was read, and when, in seconds since 1970.

    Not in a monotonic clock's seconds: that one stands still while a function is frozen.
    """

    stored: StoredKey
    read_at: float


class KeyService:
    """All API keys; those that were read are cached for seconds."""

    def __init__(
        self,
        repository: KeyRepository,
        workspaces: Workspaces,
        cursors: Cursors,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._repository = repository
        self._workspaces = workspaces
        self._cursors = cursors
        self._cache_hits = metrics.key_lookups.labels("memory")
        self._cache_misses = metrics.key_lookups.labels("table")
        self._clock = clock
        self._cache: OrderedDict[str, CachedKey] = OrderedDict()

    async def create(self, caller: Principal, workspace: str, new: NewKey) -> CreatedKey:
        """Create a key that may do no more than its creator, and ends no later.

        Raises:
            InsufficientScope: the creator lacks a scope.
            InvalidRequest: the key would end in the past, or after its creator.
            TooManyKeys: the workspace has as many as it may have.
        """
        now = self._clock()
        expires_at = _checked_expiry(caller, new, rfc3339(now))
        if not caller.operator and (missing := sorted(set(new.scopes) - caller.scopes)):
            raise InsufficientScope(missing[0])
        limit = MAX_KEYS_PER_WORKSPACE
        if await self._repository.count(workspace, limit) >= limit:
            raise TooManyKeys(limit)
        key = Key(
            id=new_ulid(now),
            workspace=workspace,
            label=new.label,
            scopes=new.scopes,
            created_at=rfc3339(now),
            expires_at=expires_at,
            revoked_at=None,
            last_used_on=None,
            created_by=caller.key_id,
        )
        # Before the key, so that no failure after it hides its text.
        await self._workspaces.note(workspace)
        text = key_format.generate(key.id)
        await self._repository.add(StoredKey(key, key_format.digest_of(text)))
        _log("key created", key.id, workspace=workspace, created_by=caller.key_id)
        return CreatedKey(**asdict(key), key=text)

    async def list(self, workspace: str, query: KeyQuery) -> KeyPage:
        context = f"keys of {workspace}"
        position = self._cursors.open(query.cursor, context)
        keys, next_position = await self._repository.page(workspace, query.limit, position)
        return KeyPage(keys, self._cursors.seal(next_position, context))

    async def revoke(self, key_id: str, workspace: str | None) -> None:
        """Revoke a key of a workspace, or of any workspace if None."""
        if not is_ulid(key_id):
            raise ApiKeyNotFound
        await self._repository.revoke(key_id, workspace, self._clock())
        self._cache.pop(key_id, None)
        _log("key revoked", key_id)

    async def revoke_with_created(self, key_id: str, workspace: str | None) -> None:
        """Revoke a key and the keys that it created, those that these created, and so on."""
        await self.revoke(key_id, workspace)
        stored = await self._repository.find(key_id)
        if stored is None:
            return
        revoked = {key_id}
        # Oldest first: a key is younger than its creator.
        keys = await _all_keys(self._repository, stored.key.workspace)
        for key in sorted(keys, key=lambda key: key.id):
            if key.created_by in revoked:
                await self.revoke(key.id, workspace)
                revoked.add(key.id)

    def verify_cached(self, presented: PresentedKey) -> Key | None:
        """Verify a key against the cache; return None if it is not in there.

        Raises:
            InvalidApiKey: the key is expired or revoked.
        """
        cached = self._cached(presented, CACHE_SECONDS)
        if cached is None:
            return None
        self._cache_hits.inc()
        return self._checked(cached.stored.key)

    def was_valid(self, presented: PresentedKey) -> bool:
        """Return whether this process verified the key within the last hour."""
        return self._cached(presented, KNOWN_SECONDS) is not None

    def _cached(self, presented: PresentedKey, seconds: float) -> CachedKey | None:
        cached = self._cache.get(presented.id)
        if cached is None or self._clock().timestamp() - cached.read_at >= seconds:
            return None
        return cached if presented.matches(cached.stored.digest) else None

    async def verify(self, presented: PresentedKey) -> Key:
        """Verify a key against the table.

        Raises:
            InvalidApiKey: the key is unknown, expired or revoked.
        """
        self._cache_misses.inc()
        stored = await self._repository.find(presented.id)
        if stored is None or not presented.matches(stored.digest):
            raise InvalidApiKey("unknown")
        # If it is not valid any more, that must not stay unnoticed by the limit of failures.
        self._cache.pop(presented.id, None)
        key = self._checked(stored.key)
        self._cache_key(stored)
        await self._note_use(key)
        await self._workspaces.note_use(key.workspace)
        return key

    def _checked(self, key: Key) -> Key:
        if key.revoked_at is not None:
            raise InvalidApiKey("revoked")
        if key.expires_at is not None and key.expires_at <= rfc3339(self._clock()):
            raise InvalidApiKey("expired")
        return key

    def _cache_key(self, stored: StoredKey) -> None:
        self._cache[stored.key.id] = CachedKey(stored, self._clock().timestamp())
        self._cache.move_to_end(stored.key.id)
        if len(self._cache) > MAX_CACHED_KEYS:
            self._cache.popitem(last=False)

    async def _note_use(self, key: Key) -> None:
        """Store the day of a key's use: one write a day, and no request fails because of it."""
        today = self._clock().date().isoformat()
        if key.last_used_on == today:
            return
        key.last_used_on = today
        try:
            await self._repository.note_use(key.id, today)
        except StoreUnavailable:
            logger.warning("use of a key not stored", extra={"fields": {"key": key.id}})


async def _all_keys(repository: KeyRepository, workspace: str) -> list[Key]:
    keys, position = await repository.page(workspace, MAX_PAGE_LIMIT, None)
    while position:
        more, position = await repository.page(workspace, MAX_PAGE_LIMIT, position)
        keys += more
    return keys


def _checked_expiry(caller: Principal, new: NewKey, now: str) -> str | None:
    latest = caller.expires_at
    if new.expires_at is None:
        return latest
    if new.expires_at <= now:
        raise _invalid_expiry("must be in the future")
    if latest is not None and new.expires_at > latest:
        raise _invalid_expiry(f"must not be later than that of the creating key, {latest}")
    return new.expires_at


def _invalid_expiry(detail: str) -> InvalidRequest:
    return InvalidRequest.of("body", "expires_at", detail)


def _log(event: str, key_id: str, **fields: str | None) -> None:
    logger.info(event, extra={"fields": {"key": key_id, **fields}})
