"""The failures of requests about comments."""

from api.problem import Problem
from api.tasks.errors import StaleEtag


class NotTheAuthor(Problem):
    """Only the author's API key, or one with the scope admin, may change or delete a comment."""

    status = 403
    title = "Not the author"
    detail = "Only the API key that wrote the comment, or one with the scope admin, may do that."


class CommentNotFound(Problem):
    """The task has no comment with this id. It may have been deleted."""

    status = 404
    title = "Comment not found"
    detail = "The task has no comment with this id."


class StaleComment(StaleEtag):
    """The comment has changed since the ETag in If-Match was read. Read it again and reapply."""

    title = "Comment has changed"
    detail = "Read the comment again, reapply the change, and send the new ETag."
