"""The access patterns of comments, one method each."""

from contextlib import suppress

from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import PutError

from api.comments.errors import CommentNotFound
from api.comments.models import Comment, comment_of, is_deleted_comment, recorded_comment
from api.comments.updates import CommentUpdate
from api.dynamodb import store_errors
from api.dynamodb.item_json import Item
from api.dynamodb.run_on_loop import run_on_loop
from api.dynamodb.transport import Transport
from api.errors import StoreThrottled
from api.problem import Problem
from api.tasks.comment_marks import IS_COMMENT, expires_as
from api.tasks.comments import CommentKey, CommentWrite, comment_prefix
from api.tasks.idempotency import Claim, Recorded, Replay, replay_of
from api.tasks.items import MAX_REREADS, ConcurrentWriteError, Items, require_history
from api.tasks.joint_changes import JointChange, find_replay, write_once
from api.tasks.pages import PageReader
from api.tasks.query_plan import QueryPlan, Stream
from api.tasks.revisions import as_read, revision_history
from api.tasks.table import TaskItem, TaskKey, partition
from api.tasks.updates import TaskUpdate
from api.tasks.writes import update_by

BUSY = "Other requests keep changing this comment, or its task."


class CommentRepository:
    """The comments of all workspaces; each method reads or writes those of one task."""

    def __init__(self, table: TableConnection, transport: Transport) -> None:
        self._table = table
        self._items = Items(table)
        self.transport = transport

    @run_on_loop
    def add(
        self,
        key: TaskKey,
        update: TaskUpdate,
        claim: Claim | None = None,
        response: Recorded | None = None,
    ) -> Replay | None:
        """Add the comment of an update, or return the earlier response."""
        done = JointChange(key, update, claim, response).make(self._items)
        return done if isinstance(done, Replay) else None

    @run_on_loop
    def get(self, key: CommentKey) -> Comment:
        item = self._read(key)
        if is_deleted_comment(item):
            raise CommentNotFound
        return comment_of(item)

    @run_on_loop
    def page(
        self, key: TaskKey, limit: int, position: str | None
    ) -> tuple[list[Comment], str | None]:
        """Read a page after a position, and return it with the position of the next one."""
        self._items.live(key)
        items, next_position = PageReader(self._table, plan_comments(key), limit, position).read()
        return [comment_of(item) for item in items], next_position

    @run_on_loop
    def change(
        self, key: CommentKey, update: CommentUpdate, claim: Claim | None = None
    ) -> Comment | Replay:
        """Change a comment, or return the earlier response."""
        try:
            return self._change(key, update, claim)
        except Problem:
            if claim is None or (replay := find_replay(self._items, claim)) is None:
                raise
            return replay

    @run_on_loop
    def delete(self, key: CommentKey, update: CommentUpdate) -> None:
        for _ in range(MAX_REREADS):
            item = self._read(key)
            if update.stands_in(item):
                return
            update.require_allowed(item)
            deletion = CommentWrite(key, update.apply(key, item), as_read(item), added=-1)
            with suppress(ConcurrentWriteError):
                JointChange(key.task, update_by(deletion, update.stamp)).attempt(self._items)
                return
        raise StoreThrottled(BUSY)

    def _change(
        self, key: CommentKey, update: CommentUpdate, claim: Claim | None
    ) -> Comment | Replay:
        for _ in range(MAX_REREADS):
            item = self._read(key)
            update.require_allowed(item)
            with suppress(ConcurrentWriteError):
                return self._replace(key, item, update.apply(key, item), claim)
        raise StoreThrottled(BUSY)

    def _replace(
        self, key: CommentKey, item: Item, after: Item, claim: Claim | None
    ) -> Comment | Replay:
        """Write a comment over the one that was read.

        Its author never changes; when it expires does, without a new revision.
        """
        comment = comment_of(after)
        unchanged = as_read(item) & expires_as(item)
        if claim:
            put = self._items.put(key.primary_key, after, unchanged)
            record = write_once(self._items, claim, recorded_comment(comment), put)
            return replay_of(record) if record else comment
        try:
            self._table.put_item(*key.primary_key, attributes=after, condition=unchanged)
        except PutError as error:
            if not store_errors.condition_failed(error):
                raise
            found = self._items.read_after(error, key.primary_key)
            if found is None or after["revision"]["S"] not in revision_history(found):
                require_history(error, found, item["revision"]["S"])
                raise ConcurrentWriteError from error
        return comment

    def _read(self, key: CommentKey) -> Item:
        """Read a comment's item, which may be a tombstone, of a task that is there."""
        self._items.live(key.task)
        if (item := self._items.read(key.primary_key)) is None:
            raise CommentNotFound
        return item


def plan_comments(key: TaskKey) -> QueryPlan:
    """Read the comments of a task that are not deleted, oldest first."""
    own, prefix = partition(key.workspace), comment_prefix(key)
    stream = Stream("", own, "sk", prefix, TaskItem.sk.startswith(prefix))
    return QueryPlan([stream], own, ascending=True, filter_condition=IS_COMMENT)
