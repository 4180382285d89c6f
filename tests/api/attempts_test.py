"""Attempts at a call: what is tried again, what stays in doubt, and what the time allows."""

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

from api import attempts
from api.attempts import Attempts, CallError, DeadlineError, notes

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
DOUBTFUL: list[CallError] = [
    ReadTimeoutError(**URL),
    ConnectionClosedError(**URL),
    ChecksumError(checksum_type="crc32", expected_checksum="1", actual_checksum="2"),
    refusal(500, "InternalServerError"),
    refusal(503, "503"),
    refusal(400, "400"),
]
HARMLESS: list[CallError] = [
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
FINAL: list[CallError] = [
    NoCredentialsError(),
    DeadlineError(**URL),
    refusal(400, "ConditionalCheckFailedException"),
    refusal(400, "ValidationException"),
    refusal(400, CANCELLED, "None", "ConditionalCheckFailed"),
    refusal(400, CANCELLED, "TransactionConflict", "ConditionalCheckFailed"),
    refusal(400, CANCELLED),
]


@pytest.fixture
def tries() -> Attempts:
    return Attempts(RetryQuota(), time.monotonic() + 60)


def fail(tries: Attempts, error: CallError) -> dict[str, Any]:
    """Fail until no attempt is left, and return what the error then knows."""
    try:
        while True:
            tries.pause_after(error)
    except type(error):
        return notes(error)


@pytest.mark.parametrize("error", DOUBTFUL, ids=str)
def test_what_may_have_had_its_effect_is_tried_again_in_doubt(
    tries: Attempts, error: CallError
) -> None:
    """The request may have arrived: the one answer that would tell did not."""
    known = fail(tries, error)
    assert (known["RetryAttempts"], known["InDoubt"]) == (attempts.ATTEMPTS - 1, True)


@pytest.mark.parametrize("error", HARMLESS, ids=str)
def test_what_had_no_effect_is_tried_again_without_doubt(tries: Attempts, error: CallError) -> None:
    """Never sent, or sent back."""
    known = fail(tries, error)
    assert (known["RetryAttempts"], known["InDoubt"]) == (attempts.ATTEMPTS - 1, False)


@pytest.mark.parametrize("error", FINAL, ids=str)
def test_what_will_not_pass_is_not_tried_again(tries: Attempts, error: CallError) -> None:
    """It is an answer; where one condition of a transaction failed, that is the answer."""
    known = fail(tries, error)
    assert (known["RetryAttempts"], known["InDoubt"]) == (0, False)


@pytest.mark.parametrize("doubt", DOUBTFUL, ids=str)
@pytest.mark.parametrize("last", [HARMLESS[0], HARMLESS[2], FINAL[1], FINAL[2], FINAL[4]], ids=str)
def test_a_doubt_outlives_what_comes_after_it(
    tries: Attempts, doubt: CallError, last: CallError
) -> None:
    """A clear answer to the second attempt says nothing of the first."""
    tries.pause_after(doubt)
    assert fail(tries, last)["InDoubt"]


def test_an_attempt_has_its_time(tries: Attempts) -> None:
    """As long as there is enough of it."""
    assert tries.seconds("http://x") == attempts.READ_SECONDS


def test_the_last_attempt_has_what_is_left() -> None:
    """No attempt outlives the request."""
    seconds = Attempts(RetryQuota(), time.monotonic() + 1).seconds("http://x")
    assert 0 < seconds <= 1


def test_no_attempt_begins_after_the_end() -> None:
    """The time was for the whole request."""
    with pytest.raises(DeadlineError, match="http://x"):
        Attempts(RetryQuota(), time.monotonic()).seconds("http://x")


def test_nothing_is_tried_again_after_the_end() -> None:
    """A pause that would outlast the request is not begun."""
    tries = Attempts(RetryQuota(), time.monotonic())
    assert fail(tries, HARMLESS[0])["RetryAttempts"] == 0


def test_pauses_are_random_and_grow() -> None:
    """Clients that failed together must not come back together."""
    first, second = [], []
    for _ in range(40):
        tries = Attempts(RetryQuota(), time.monotonic() + 60)
        first.append(tries.pause_after(HARMLESS[0]))
        second.append(tries.pause_after(HARMLESS[0]))
    assert len(set(first)) == 40
    assert 0 < max(first) <= attempts.BACKOFF_SECONDS < max(second) <= 2 * attempts.BACKOFF_SECONDS
