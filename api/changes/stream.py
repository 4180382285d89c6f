"""The feed as server-sent events: each page of changes, and the token after it."""

from collections.abc import AsyncGenerator, Iterator

from pydantic import TypeAdapter
from pydantic_core import to_json
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.changes.models import Changes, CommentDeletion, Deletion
from api.comments.models import comment_json
from api.http.waits import Waits
from api.tasks.models import task_json

_deletion_json = TypeAdapter(Deletion).dump_json
_comment_deletion_json = TypeAdapter(CommentDeletion).dump_json

# nginx and its relatives would hold events back until a buffer is full.
UNBUFFERED = {"X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    """A response that goes on; it holds a waiting slot."""

    media_type = "text/event-stream"

    def __init__(self, changes: AsyncGenerator[Changes, None], waits: Waits) -> None:
        self._events = _events(changes)
        super().__init__(self._events, headers=UNBUFFERED)
        self._waits = waits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events.

        Raises:
            Overloaded: no slot is free; nothing was sent.
        """
        try:
            with self._waits.slot(scope):
                await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


async def _events(pages: AsyncGenerator[Changes, None]) -> AsyncGenerator[bytes, None]:
    try:
        async for changes in pages:
            yield b"".join(_page(changes))
    finally:
        await pages.aclose()


def _page(changes: Changes) -> Iterator[bytes]:
    """Yield the events of a page; only the last one has an id, so that none is passed over."""
    for task in changes.tasks:
        yield b"event: task\ndata: %b\n\n" % task_json(task)
    for deletion in changes.deletions:
        yield b"event: deletion\ndata: %b\n\n" % _deletion_json(deletion)
    for comment in changes.comments:
        yield b"event: comment\ndata: %b\n\n" % comment_json(comment)
    for gone in changes.comment_deletions:
        yield b"event: comment_deletion\ndata: %b\n\n" % _comment_deletion_json(gone)
    token = changes.token.encode()
    yield b"event: token\nid: %b\ndata: %b\n\n" % (token, to_json({"token": changes.token}))
