"""The rules of API keys: made, listed, revoked, and recognised when they are shown."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from ulid import ULID

from api import keys
from api.cursor import Cursors
from api.errors import KeyNotFound, KeyRefused, StoreUnavailable
from api.key_repository import KeyRepository, StoredKey
from api.keys import Key, KeyPage, KeyQuery, MadeKey, NewKey, Presented
from api.metrics import Metrics
from api.models import rfc3339
from api.service import TASK_ID, Clock

# How long a process may go on with what it read of a key: a revocation reaches it by then.
REMEMBERED_SECONDS = 5
MOST_REMEMBERED = 10_000

Timer = Callable[[], float]

logger = logging.getLogger(__name__)


class Memory(NamedTuple):
    """What was read of a key, and until when it may be relied on, in the timer's seconds."""

    stored: StoredKey
    until: float


class KeyRing:
    """All keys; what was read of them is remembered for seconds."""

    def __init__(
        self,
        repository: KeyRepository,
        cursors: Cursors,
        metrics: Metrics,
        clock: Clock,
        timer: Timer,
    ) -> None:
        self._repository = repository
        self._cursors = cursors
        self._metrics = metrics
        self._clock = clock
        self._timer = timer
        self._memories: OrderedDict[str, Memory] = OrderedDict()

    async def create(self, workspace: str, new: NewKey) -> MadeKey:
        now = self._clock()
        key_id = str(ULID.from_datetime(now))
        text = keys.make(key_id)
        key = Key(
            id=key_id,
            workspace=workspace,
            label=new.label,
            scopes=new.scopes,
            created_at=rfc3339(now),
            expires_at=new.expires_at,
            revoked_at=None,
            last_used_on=None,
        )
        await self._repository.add(StoredKey(key, _presented(text).digest))
        return keys.made(key, text)

    async def list(self, workspace: str, query: KeyQuery) -> KeyPage:
        context = f"keys of {workspace}"
        position = None if query.cursor is None else self._cursors.open(query.cursor, context)
        found, following = await self._repository.page(workspace, query.limit, position)
        return KeyPage(found, self._cursors.seal(following, context) if following else None)

    async def revoke(self, key_id: str, workspace: str | None) -> None:
        """End a key of a workspace, or of any if none is named."""
        if not TASK_ID.fullmatch(key_id):
            raise KeyNotFound
        await self._repository.revoke(key_id, workspace, self._clock())
        self._memories.pop(key_id, None)

    def remembered(self, presented: Presented) -> Key | None:
        """Recognise a key by what was read of it seconds ago, if anything was.

        Raises:
            KeyRefused: it is over.
        """
        memory = self._memories.get(presented.id)
        if memory is None or memory.until <= self._timer():
            return None
        if not presented.opens(memory.stored.digest):
            return None
        self._metrics.key_lookups.labels("memory").inc()
        return self._still_good(memory.stored.key)

    async def look_up(self, presented: Presented) -> Key:
        """Recognise a key by what the table has of it.

        Raises:
            KeyRefused: there is none such, or it is over.
        """
        self._metrics.key_lookups.labels("table").inc()
        stored = await self._repository.find(presented.id)
        if stored is None or not presented.opens(stored.digest):
            raise KeyRefused("unknown")
        self._remember(stored)
        key = self._still_good(stored.key)
        await self._note_use(key)
        return key

    def _still_good(self, key: Key) -> Key:
        if key.revoked_at is not None:
            raise KeyRefused("revoked")
        if key.expires_at is not None and key.expires_at <= rfc3339(self._clock()):
            raise KeyRefused("expired")
        return key

    def _remember(self, stored: StoredKey) -> None:
        self._memories[stored.key.id] = Memory(stored, self._timer() + REMEMBERED_SECONDS)
        self._memories.move_to_end(stored.key.id)
        if len(self._memories) > MOST_REMEMBERED:
            self._memories.popitem(last=False)

    async def _note_use(self, key: Key) -> None:
        """Write down the day of a key's use: one write a day, and no request fails for it."""
        today = self._clock().date().isoformat()
        if key.last_used_on == today:
            return
        key.last_used_on = today
        try:
            await self._repository.note_use(key.id, today)
        except StoreUnavailable:
            logger.warning("use of a key not noted", extra={"fields": {"key": key.id}})


def _presented(text: str) -> Presented:
    presented = keys.read(text)
    if presented is None:
        raise AssertionError("a key that was just made can be read")
    return presented
