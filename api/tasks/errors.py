"""The failures of requests about tasks."""

from collections.abc import Iterable

from api.problem import Problem


class TaskNotFound(Problem):
    """The workspace of the API key has no task with this id. It may have been deleted."""

    status = 404
    title = "Task not found"
    detail = "There is no task with this id."


class IllegalMove(Problem):
    """The task's status cannot change to the requested one. `legal_moves` lists those it can."""

    status = 409
    title = "Illegal status change"
    example_args = ("done", "in_progress", ("todo",))

    def __init__(self, current: str, wanted: str, moves: Iterable[str]) -> None:
        legal = sorted(moves)
        super().__init__(
            f"A task that is {current} cannot become {wanted}; it can become {' or '.join(legal)}.",
            current_status=current,
            legal_moves=legal,
        )


class TooManyComments(Problem):
    """The task has the maximum number of comments. Delete one first."""

    status = 409
    title = "Too many comments"
    example_args = (200,)

    def __init__(self, max_comments: int) -> None:
        super().__init__(f"A task may have at most {max_comments} comments.")


class StaleEtag(Problem):
    """The task has changed since the ETag in If-Match was read. Read it again and reapply."""

    status = 412
    title = "Task has changed"
    detail = "Read the task again, reapply the change, and send the new ETag."
    example_args = ('"a5a7d12d3d028369"',)

    def __init__(self, current_etag: str) -> None:
        super().__init__(headers={"ETag": current_etag}, current_etag=current_etag)


class TransactionTooLarge(Problem):
    """The tasks of an atomic bulk request are together too large for one transaction."""

    status = 413
    title = "Transaction too large"
    example_args = (4_000_000,)

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The tasks of one transaction may have at most {max_bytes} bytes.")


class IdempotencyKeyReused(Problem):
    """The Idempotency-Key was used for a different request within the last 24 hours."""

    status = 422
    title = "Idempotency key reused"
    detail = "Nothing was done. Use a new key for each different request."
