"""How often a call is tried, and what is known of it when it has failed.

The policy is all here: botocore and PynamoDB make a single attempt each time they are asked.
"""

import random
import time
from typing import Any, cast

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
)
from botocore.retries.quota import RetryQuota

# What all the calls of one request may take together, and one attempt of them.
REQUEST_SECONDS = 8
CONNECT_SECONDS = 1
READ_SECONDS = 2
ATTEMPTS = 3
# A retry waits a random time below this, doubled by each further one: full jitter.
BACKOFF_SECONDS = 0.05
# What a retry takes from a budget of 500 that each success fills up by one. Where most calls
# fail, retries would only add to the load.
RETRY_COST = 10

THROTTLING_CODES = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ThrottlingException",
    }
)
# Another request is writing the same items at this moment.
CONFLICT_CODES = frozenset(
    {"TransactionConflict", "TransactionConflictException", "TransactionInProgressException"}
)
RETRYABLE_CODES = THROTTLING_CODES | CONFLICT_CODES | {"InternalServerError"}
# The request may have arrived, and its answer did not.
UNANSWERED = (ChecksumError, HTTPClientError)
TRANSIENT_ERRORS = (*UNANSWERED, ConnectTimeoutError, EndpointConnectionError)
# What goes wrong with a call, by the names that `name` gives: the metrics count each from 0.
EXPECTED = RETRYABLE_CODES | {
    "ConnectionClosedError",
    "EndpointConnectionError",
    "ReadTimeoutError",
}

CallError = ClientError | BotoCoreError


class DeadlineError(BotoCoreError):
    """The time of the whole request is over."""

    fmt = "No time was left for a call to {endpoint_url}"


class Attempts:
    """The attempts at one call; the deadline is a moment of time.monotonic()."""

    def __init__(self, budget: RetryQuota, deadline: float) -> None:
        self._budget = budget
        self._deadline = deadline
        self._in_doubt = False
        # What each retry came after, by name.
        self._failures: list[str] = []

    def seconds(self, endpoint_url: str) -> float:
        """Tell how long the next attempt may take.

        Raises:
            DeadlineError: there is no time for it.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DeadlineError(endpoint_url=endpoint_url)
        return min(READ_SECONDS, left)

    def pause_after(self, error: CallError) -> float:
        """Tell how many seconds to wait before the next attempt; raise the error if none is left.

        What is raised knows how often the call was retried, and whether any attempt at it may
        have had its effect unseen.
        """
        self._in_doubt = self._in_doubt or _is_unanswered(error)
        pause = random.uniform(0, BACKOFF_SECONDS * 2 ** len(self._failures))  # noqa: S311 - no secret
        if not self._may_retry(error, pause):
            notes(error).update(self._retries(), InDoubt=self._in_doubt)
            raise error
        self._failures.append(name(error))
        return pause

    def succeeded(self, answer: dict[str, Any]) -> dict[str, Any]:
        self._budget.release(1)
        answer["ResponseMetadata"].update(self._retries())
        return answer

    def _retries(self) -> dict[str, Any]:
        # The first is botocore's own word.
        return {"RetryAttempts": len(self._failures), "RetriedAfter": self._failures}

    def _may_retry(self, error: CallError, pause: float) -> bool:
        return (
            len(self._failures) + 1 < ATTEMPTS
            and time.monotonic() + pause < self._deadline
            and _is_transient(error)
            and self._budget.acquire(RETRY_COST)
        )


def notes(error: CallError) -> dict[str, Any]:
    """Find what an error carries beside its message."""
    found: Any = (
        error.response["ResponseMetadata"] if isinstance(error, ClientError) else error.kwargs
    )
    return cast("dict[str, Any]", found)


def codes(error: ClientError) -> set[str]:
    """Name what went wrong: for a cancelled transaction, what did so with each of its items."""
    response: Any = error.response
    reasons = {reason["Code"] for reason in response.get("CancellationReasons", [])}
    return reasons - {"None"} or {response["Error"]["Code"]}


def name(error: CallError) -> str:
    """Name an error in one word; of a cancelled transaction's reasons, the first by name."""
    return min(codes(error)) if isinstance(error, ClientError) else type(error).__name__


def _is_unanswered(error: CallError) -> bool:
    if isinstance(error, ClientError):
        # DynamoDB's front can fail a call that went through behind it.
        return _failed_inside(error)
    return isinstance(error, UNANSWERED)


def _is_transient(error: CallError) -> bool:
    if isinstance(error, ClientError):
        return _failed_inside(error) or codes(error) <= RETRYABLE_CODES
    return isinstance(error, TRANSIENT_ERRORS)


def _failed_inside(error: ClientError) -> bool:
    """Tell whether DynamoDB failed, or something else has answered for it or cut it short."""
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status >= 500 or error.response["Error"]["Code"] == str(status)
