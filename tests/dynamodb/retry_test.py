"""Retries: which failures are retried, when the outcome is unknown, and what the time allows."""

import time
from typing import Any

import pytest
from botocore.exceptions import (
    ChecksumError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.retries.quota import RetryQuota

from api.dynamodb import retry
from api.dynamodb.retry import CallError, DeadlineError, Retries, error_metadata

URL = {"endpoint_url": "http://x"}


def refusal(status: int, code: str, *reasons: str) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": ""},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    if reasons:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(response, "PutItem")


CANCELLED = "TransactionCanceledException"
# The request may have arrived; its response did not.
UNKNOWN: list[CallError] = [
    ReadTimeoutError(**URL),
    ConnectionClosedError(**URL),
    ChecksumError(checksum_type="crc32", expected_checksum="1", actual_checksum="2"),
    refusal(500, "InternalServerError"),
    refusal(503, "503"),
    refusal(400, "400"),
]
# The request was not sent, or was refused for a reason that passes.
WITHOUT_EFFECT: list[CallError] = [
    EndpointConnectionError(error="refused", **URL),
    ConnectTimeoutError(error="slow", **URL),
    refusal(400, "ProvisionedThroughputExceededException"),
    refusal(400, "ThrottlingException"),
    refusal(400, "RequestLimitExceeded"),
    refusal(400, "TransactionConflictException"),
    refusal(400, "TransactionInProgressException"),
    refusal(400, CANCELLED, "None", "TransactionConflict"),
    refusal(400, CANCELLED, "ThrottlingError", "TransactionConflict"),
    refusal(400, CANCELLED, "ProvisionedThroughputExceeded", "None"),
]
# A retry would fail as well.
PERMANENT: list[CallError] = [
    NoCredentialsError(),
    DeadlineError(**URL),
    refusal(400, "ConditionalCheckFailedException"),
    refusal(400, "ValidationException"),
    refusal(400, CANCELLED, "None", "ConditionalCheckFailed"),
    refusal(400, CANCELLED, "TransactionConflict", "ConditionalCheckFailed"),
    refusal(400, CANCELLED),
]


def retries_within(seconds: float) -> Retries:
    return Retries(RetryQuota(), time.monotonic() + seconds)


def fail(retries: Retries, error: CallError) -> dict[str, Any]:
    """Fail until the error is raised, and return its metadata."""
    try:
        for _ in range(retry.MAX_ATTEMPTS):
            retries.backoff_after(error)
    except type(error):
        return error_metadata(error)
    pytest.fail("it was not raised")


@pytest.mark.parametrize(
    ("error", "attempts", "unknown"),
    [
        *((error, retry.MAX_ATTEMPTS - 1, True) for error in UNKNOWN),
        *((error, retry.MAX_ATTEMPTS - 1, False) for error in WITHOUT_EFFECT),
        *((error, 0, False) for error in PERMANENT),
    ],
    ids=str,
)
def test_an_error_decides_about_retries_and_the_outcome(
    error: CallError, attempts: int, unknown: bool
) -> None:
    metadata = fail(retries_within(60), error)
    assert (metadata["RetryAttempts"], metadata["OutcomeUnknown"]) == (attempts, unknown)


@pytest.mark.parametrize("first", UNKNOWN, ids=str)
@pytest.mark.parametrize("last", [*WITHOUT_EFFECT[:3:2], *PERMANENT[1:3], PERMANENT[4]], ids=str)
def test_an_outcome_stays_unknown_whatever_later_attempts_meet(
    first: CallError, last: CallError
) -> None:
    retries = retries_within(60)
    retries.backoff_after(first)
    assert fail(retries, last)["OutcomeUnknown"]


def test_no_attempt_outlives_the_request() -> None:
    assert retries_within(60).attempt_seconds("http://x") == retry.READ_SECONDS
    assert 0 < retries_within(1).attempt_seconds("http://x") <= 1
    with pytest.raises(DeadlineError, match="http://x"):
        retries_within(0).attempt_seconds("http://x")


def test_a_backoff_that_would_outlive_the_request_is_not_begun() -> None:
    assert fail(retries_within(0), WITHOUT_EFFECT[0])["RetryAttempts"] == 0


def test_backoff_is_random_and_grows() -> None:
    """Clients that failed together must not retry together."""
    first, second = [], []
    for _ in range(40):
        retries = retries_within(60)
        first.append(retries.backoff_after(WITHOUT_EFFECT[0]))
        second.append(retries.backoff_after(WITHOUT_EFFECT[0]))
    assert len(set(first)) == 40
    assert 0 < max(first) <= retry.BACKOFF_SECONDS < max(second) <= 2 * retry.BACKOFF_SECONDS
