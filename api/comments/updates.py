"""Changes and deletions of comments: which are allowed, and the items that they make."""

from datetime import datetime
from typing import Any, NamedTuple

from api.comments.errors import CommentNotFound, NotTheAuthor, StaleComment
from api.comments.models import is_deleted_comment
from api.dynamodb.item_json import Item, to_attribute
from api.http.etags import Match, etag_of
from api.tasks.comments import CommentKey, comment_order
from api.tasks.revisions import shifted_history
from api.tasks.table import actor_attribute, actor_of
from api.tasks.updates import TOMBSTONE_LIFETIME
from api.tasks.writes import Stamp
from api.values import rfc3339


class CommentUpdate(NamedTuple):
    """A new text for a comment; without one, its deletion."""

    match: Match
    stamp: Stamp
    # Whether comments of others may be written, too.
    of_others: bool
    text: str | None = None

    def require_allowed(self, item: Item) -> None:
        """Check the comment as it was read.

        Raises:
            CommentNotFound: it is deleted.
            NotTheAuthor: it is of others.
            StaleComment: it has another ETag.
        """
        if is_deleted_comment(item):
            raise CommentNotFound
        if not self.of_others and actor_of(item, "created_by") != self.stamp.by:
            raise NotTheAuthor
        revision = item["revision"]["S"]
        if not self.match.accepts(revision):
            raise StaleComment(etag_of(revision))

    def stands_in(self, item: Item) -> bool:
        """Return whether a comment was deleted in the state that this deletion names."""
        return is_deleted_comment(item) and item["revision_1"]["S"] in self.match.revisions

    def apply(self, key: CommentKey, item: Item) -> Item:
        """Return the item that the write makes of one that was read."""
        timestamp = rfc3339(self.stamp.now)
        values = {
            "updated_order": comment_order(key.comment_id, timestamp),
            "version": int(item["version"]["N"]) + 1,
            **(self._changed(timestamp) if self.text else self._deleted(self.stamp.now)),
        }
        kept = {name: item[name] for name in item.keys() - {"text"} - values.keys()}
        written = {name: to_attribute(value) for name, value in values.items() if value is not None}
        return kept | dict(shifted_history(item, self.stamp.revision)) | written

    def _changed(self, timestamp: str) -> dict[str, Any]:
        by = actor_attribute(self.stamp.by)
        return {"text": self.text, "updated_at": timestamp, "updated_by": by}

    def _deleted(self, now: datetime) -> dict[str, Any]:
        expires_at = int((now + TOMBSTONE_LIFETIME).timestamp())
        return {"deleted_by": actor_attribute(self.stamp.by), "expires_at": expires_at}
