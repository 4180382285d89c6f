"""How requests become writes."""

import hashlib
import os
from datetime import datetime
from typing import Any, NamedTuple, Self

from api.dynamodb.item_json import NOT_EXISTS
from api.http.etags import Match, etag_of, new_revision
from api.principal import NO_KEY, Actor
from api.tasks.change_models import FieldsChange, TaskChange
from api.tasks.comments import CommentKey, CommentWrite, new_comment_item
from api.tasks.errors import TaskNotFound
from api.tasks.models import MOVES, STATES, NewTask, Status, Task
from api.tasks.table import TaskKey
from api.tasks.updates import TaskDeletion, TaskUpdate
from api.values import is_ulid, new_ulid, rfc3339, ulid_of

SEED_BYTES = 16
REVISION_BYTES = 8
ULID_BYTES = 10


class Stamp(NamedTuple):
    """What is new in a write: its time, revision and author, and the id if it creates a task."""

    now: datetime
    revision: str
    by: Actor
    # Without one, the task gets the next id.
    task_id: str | None = None

    @classmethod
    def new(cls, now: datetime, by: Actor = NO_KEY) -> Self:
        return cls(now, new_revision(), by)


class Origin(NamedTuple):
    """What the stamps of a bulk's writes derive from."""

    began: datetime
    seed: str

    @classmethod
    def new(cls, now: datetime) -> Self:
        # To the millisecond, as a record stores it: a repetition derives the same ids from it.
        return cls(datetime.fromisoformat(rfc3339(now)), os.urandom(SEED_BYTES).hex())

    def stamp(self, index: int, now: datetime, by: Actor) -> Stamp:
        """Return the stamp of an item: each time with the same id and revision.

        The ids of new tasks sort by the indexes of their items. The time is that of the run which
        makes the write, because a change is found by it.
        """
        digest = hashlib.sha256(f"{self.seed}\n{index}".encode()).digest()
        revision, rest = digest[:REVISION_BYTES], digest[REVISION_BYTES:]
        task_id = ulid_of(self.began, bytes([index]) + rest[: ULID_BYTES - 1])
        return Stamp(now, revision.hex(), by, task_id)


def new_task(new: NewTask, stamp: Stamp) -> Task:
    timestamp = rfc3339(stamp.now)
    return Task(
        **dict(new),
        id=stamp.task_id or new_ulid(stamp.now),
        created_at=timestamp,
        updated_at=timestamp,
        completed_at=timestamp if new.status is Status.DONE else None,
        created_by=stamp.by,
        updated_by=stamp.by,
        comment_count=0,
        version=1,
        etag=etag_of(stamp.revision),
    )


def update_of(key: TaskKey, match: Match, change: FieldsChange, stamp: Stamp) -> TaskUpdate:
    values = change.values() | _author_and_time(stamp)
    update = TaskUpdate(match, values, stamp.revision, labels=change.label_change())
    if isinstance(change, TaskChange) and change.comment:
        update = update._replace(comment=new_comment(key, change.comment, stamp))
    wanted = values.get("status")
    if wanted is None:
        return update
    values["completed_at"] = values["updated_at"] if wanted is Status.DONE else None
    return update._replace(from_statuses=_statuses_before(wanted), state=STATES[wanted])


def new_comment(task: TaskKey, text: str, stamp: Stamp) -> CommentWrite:
    key = CommentKey(task, new_ulid(stamp.now))
    # Its revision is not the task's: each is one state of one thing.
    item = new_comment_item(key, text, rfc3339(stamp.now), stamp.by, new_revision())
    return CommentWrite(key, item, NOT_EXISTS, added=1)


def update_by(comment: CommentWrite, stamp: Stamp) -> TaskUpdate:
    """Return the change of the task that a write of one of its comments makes."""
    any_state = Match(frozenset(), any_revision=True)
    # Not the comment's revision: the feed knows by it what it has delivered.
    return TaskUpdate(any_state, _author_and_time(stamp), new_revision(), comment=comment)


def deletion_of(match: Match, stamp: Stamp) -> TaskDeletion:
    return TaskDeletion(match, stamp.revision, stamp.now, stamp.by)


def key_of(workspace: str, task_id: str) -> TaskKey:
    """Return a task's key; text that is no id never reaches the store."""
    if not is_ulid(task_id):
        raise TaskNotFound
    return TaskKey(workspace, task_id)


def _author_and_time(stamp: Stamp) -> dict[str, Any]:
    return {"updated_at": rfc3339(stamp.now), "updated_by": stamp.by}


def _statuses_before(wanted: Status) -> frozenset[Status]:
    return frozenset(status for status in Status if wanted in MOVES[status]) | {wanted}
