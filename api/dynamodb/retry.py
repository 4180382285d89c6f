"""The one retry policy: time-outs, attempts, backoff, and what is known of a call that failed.

botocore and PynamoDB make a single attempt each time they are called.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
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

# For all the calls of one request together, and for one attempt at one call.
REQUEST_SECONDS = 8
CONNECT_SECONDS = 1
READ_SECONDS = 2
MAX_ATTEMPTS = 3
# A retry waits a random time below this, doubled for each further retry: full jitter.
BACKOFF_SECONDS = 0.05
# A retry takes this from a quota of 500, and each success returns one. Where most calls fail,
# retries would only add to the load.
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
# The request may have arrived; its response did not.
NO_RESPONSE = (ChecksumError, HTTPClientError)
TRANSIENT_ERRORS = (*NO_RESPONSE, ConnectTimeoutError, EndpointConnectionError)
# The error names that `error_name` returns most: their metrics start at 0.
EXPECTED_ERRORS = RETRYABLE_CODES | {
    "ConnectionClosedError",
    "EndpointConnectionError",
    "ReadTimeoutError",
}

CallError = ClientError | BotoCoreError

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def shared_deadline() -> Iterator[None]:
    """Let all that runs inside, also at the same time, end by one deadline."""
    token = _deadline.set(time.monotonic() + REQUEST_SECONDS)
    try:
        yield
    finally:
        _deadline.reset(token)


def deadline() -> float:
    """Return when calls that begin now must end, as a time of time.monotonic()."""
    return _deadline.get() or time.monotonic() + REQUEST_SECONDS


class DeadlineError(BotoCoreError):
    """The time for the whole request has run out."""

    fmt = "No time was left for a call to {endpoint_url}"


class Retries:
    """The attempts at one call; the deadline is a time of time.monotonic()."""

    def __init__(self, quota: RetryQuota, deadline: float) -> None:
        self._quota = quota
        self._deadline = deadline
        self._outcome_unknown = False
        # The name of the error before each retry.
        self._failures: list[str] = []

    def attempt_seconds(self, endpoint_url: str) -> float:
        """Return how many seconds the next attempt may take.

        Raises:
            DeadlineError: no time is left.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DeadlineError(endpoint_url=endpoint_url)
        return min(READ_SECONDS, left)

    def backoff_after(self, error: CallError) -> float:
        """Return how many seconds to wait before the next attempt, or raise the error.

        The raised error carries the number of retries, and whether any attempt may have taken
        effect without a response.
        """
        self._outcome_unknown = self._outcome_unknown or _may_have_taken_effect(error)
        wait = random.uniform(0, BACKOFF_SECONDS * 2 ** len(self._failures))  # noqa: S311 - no secret
        if not self._may_retry(error, wait):
            error_metadata(error).update(self._metadata(), OutcomeUnknown=self._outcome_unknown)
            raise error
        self._failures.append(error_name(error))
        return wait

    def succeeded(self, response: dict[str, Any]) -> dict[str, Any]:
        """Return the response, with the number of retries in its metadata."""
        self._quota.release(1)
        response["ResponseMetadata"].update(self._metadata())
        return response

    def _metadata(self) -> dict[str, Any]:
        # RetryAttempts is what botocore calls it, too.
        return {"RetryAttempts": len(self._failures), "RetriedAfter": self._failures}

    def _may_retry(self, error: CallError, wait: float) -> bool:
        return (
            len(self._failures) + 1 < MAX_ATTEMPTS
            and time.monotonic() + wait < self._deadline
            and _is_transient(error)
            and self._quota.acquire(RETRY_COST)
        )


def error_metadata(error: CallError) -> dict[str, Any]:
    """Return the mutable metadata that an error carries beside its message."""
    metadata: Any = (
        error.response["ResponseMetadata"] if isinstance(error, ClientError) else error.kwargs
    )
    return cast("dict[str, Any]", metadata)


def error_codes(error: ClientError) -> set[str]:
    """Return the error's codes: for a cancelled transaction, those of its items."""
    response: Any = error.response
    reasons = {reason["Code"] for reason in response.get("CancellationReasons", [])}
    return reasons - {"None"} or {response["Error"]["Code"]}


def error_name(error: CallError) -> str:
    """Name an error in one word; of a cancelled transaction's codes, the first by name."""
    return min(error_codes(error)) if isinstance(error, ClientError) else type(error).__name__


def _may_have_taken_effect(error: CallError) -> bool:
    if isinstance(error, ClientError):
        # DynamoDB's front end can fail a call that its back end carried out.
        return _failed_inside(error)
    return isinstance(error, NO_RESPONSE)


def _is_transient(error: CallError) -> bool:
    if isinstance(error, ClientError):
        return _failed_inside(error) or error_codes(error) <= RETRYABLE_CODES
    return isinstance(error, TRANSIENT_ERRORS)


def _failed_inside(error: ClientError) -> bool:
    """Return whether DynamoDB failed, or a proxy responded in its place."""
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status >= 500 or error.response["Error"]["Code"] == str(status)
