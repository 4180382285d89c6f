"""The failures of requests about changes."""

from api.problem import Problem
from api.values import EXAMPLE_CURSOR


class FeedExpired(Problem):
    """The token is older than 30 days, or not one of this feed. `token` is where it goes on."""

    status = 410
    title = "Feed expired"
    # One text for every cause, so that a forger learns nothing from it.
    detail = "List everything, then go on from here: the feed begins anew with this token."
    example_args = (EXAMPLE_CURSOR,)

    def __init__(self, token: str) -> None:
        super().__init__(token=token)
