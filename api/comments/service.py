"""What clients can do with comments: ids, times, authors, and what a repeated request gets."""

from api.clock import Clock
from api.comments.errors import CommentNotFound
from api.comments.models import (
    Comment,
    CommentBody,
    CommentPage,
    comment_of,
    recorded_comment,
)
from api.comments.repository import CommentRepository
from api.comments.updates import CommentUpdate
from api.cursor import Cursors
from api.http.etags import Match
from api.principal import Principal, Scope
from api.tasks.comments import CommentKey
from api.tasks.idempotency import Replay, claim
from api.tasks.service import TaskService
from api.tasks.writes import Stamp, key_of, new_comment, update_by
from api.values import PageQuery, is_ulid


class CommentService:
    """The comments of tasks; the workspace is always that of the caller's API key."""

    def __init__(
        self, repository: CommentRepository, tasks: TaskService, cursors: Cursors, clock: Clock
    ) -> None:
        self._repository = repository
        self._tasks = tasks
        self._cursors = cursors
        self._clock = clock

    async def create(
        self, caller: Principal, task_id: str, body: CommentBody, idempotency_key: str | None
    ) -> Comment | Replay:
        """Write a comment; under an idempotency key, once."""
        key, stamp = key_of(caller.workspace, task_id), self._stamp(caller)
        new = new_comment(key, body.text, stamp)
        comment, update = comment_of(new.item), update_by(new, stamp)
        if idempotency_key is None:
            await self._repository.add(key, update)
            return comment
        operation = f"POST comments {task_id}"
        claimed = claim(caller.workspace, idempotency_key, operation, dict(body), stamp.now)
        replay = await self._repository.add(key, update, claimed, recorded_comment(comment))
        return self._tasks.checked(replay, claimed) if replay else comment

    async def get(self, workspace: str, task_id: str, comment_id: str) -> Comment:
        return await self._repository.get(_key_of(workspace, task_id, comment_id))

    async def list(self, workspace: str, task_id: str, query: PageQuery) -> CommentPage:
        key, context = key_of(workspace, task_id), f"{workspace}\ncomments\n{task_id}"
        position = self._cursors.open(query.cursor, context)
        async with self._tasks.lists.admit(workspace):
            comments, next_position = await self._repository.page(key, query.limit, position)
        return CommentPage(comments, self._cursors.seal(next_position, context))

    async def change(  # noqa: PLR0913, PLR0917 - one request's parts
        self,
        caller: Principal,
        task_id: str,
        comment_id: str,
        match: Match,
        body: CommentBody,
        idempotency_key: str | None,
    ) -> Comment | Replay:
        """Change the text of a comment; under an idempotency key, once."""
        key = _key_of(caller.workspace, task_id, comment_id)
        update = self._update(caller, match, body.text)
        if idempotency_key is None:
            return await self._repository.change(key, update)
        operation, now = f"PATCH comments {task_id} {comment_id}", update.stamp.now
        claimed = claim(caller.workspace, idempotency_key, operation, dict(body), now)
        done = await self._repository.change(key, update, claimed)
        return self._tasks.checked(done, claimed) if isinstance(done, Replay) else done

    async def delete(self, caller: Principal, task_id: str, comment_id: str, match: Match) -> None:
        """Delete a comment; deleting the same state again succeeds for 30 days."""
        key = _key_of(caller.workspace, task_id, comment_id)
        await self._repository.delete(key, self._update(caller, match, None))

    def _update(self, caller: Principal, match: Match, text: str | None) -> CommentUpdate:
        return CommentUpdate(match, self._stamp(caller), Scope.ADMIN in caller.scopes, text)

    def _stamp(self, caller: Principal) -> Stamp:
        return Stamp.new(self._clock(), caller.actor)


def _key_of(workspace: str, task_id: str, comment_id: str) -> CommentKey:
    """Return a comment's key; text that is no id never reaches the store."""
    key = key_of(workspace, task_id)
    if not is_ulid(comment_id):
        raise CommentNotFound
    return CommentKey(key, comment_id)
