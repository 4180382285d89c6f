"""The failures of requests about changes."""

from api.problem import Problem
from api.values import EXAMPLE_CURSOR


class FeedExpired(Problem):
    """The token is older than 30 days, or was not issued for this feed. Continue with `token`."""

    status = 410
    title = "Feed expired"
    # One text for every cause, so that a forger learns nothing from it.
    detail = "Read all lists again, then continue with the token in this response."
    example_args = (EXAMPLE_CURSOR,)

    def __init__(self, token: str) -> None:
        super().__init__(token=token)
