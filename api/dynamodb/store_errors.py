"""PynamoDB's errors as the service's problems, and what a repository asks of them."""

import logging
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from pynamodb.exceptions import (
    PutError,
    PynamoDBException,
    TransactWriteError,
    UpdateError,
    VerboseClientError,
)

from api.dynamodb.retry import CONFLICT_CODES, THROTTLING_CODES, error_codes, error_metadata
from api.errors import (
    OutcomeUnknown,
    RequestInProgress,
    StoreThrottled,
    StoreUnavailable,
    TableNotFound,
)

# A write's condition did not hold, on its own or in a transaction.
CONDITION_CODES = frozenset({"ConditionalCheckFailedException", "ConditionalCheckFailed"})
# Bugs of this service, which no retry repairs; a 503 would hide them.
OUR_BUGS = frozenset({"SerializationException", "ValidationError", "ValidationException"})
WRITE_ERRORS = (PutError, TransactWriteError, UpdateError)

logger = logging.getLogger(__name__)


def condition_failed(error: PynamoDBException) -> bool:
    """Return whether a write was refused because its condition did not hold."""
    return not CONDITION_CODES.isdisjoint(_codes(error))


def condition_held(write: Callable[[], object]) -> bool:
    """Make a conditional write; return whether its condition held."""
    try:
        write()
    except PynamoDBException as error:
        if not condition_failed(error):
            raise
        return False
    return True


def outcome_unknown(error: PynamoDBException) -> bool:
    """Return whether an earlier attempt may have taken effect, whatever the last one met."""
    unknown: bool = error_metadata(_cause(error)).get("OutcomeUnknown", False)
    return unknown


def to_problem(error: PynamoDBException) -> Exception:
    """Return the problem that the client is told; a bug of this service stays what it is."""
    codes = _codes(error)
    if codes & OUR_BUGS:
        return error
    fields = {"error": ", ".join(sorted(codes)), "detail": error.msg}
    logger.warning("store failed", extra={"fields": fields})
    if isinstance(error, WRITE_ERRORS) and outcome_unknown(error):
        return OutcomeUnknown()
    return _problem_without_effect(error, codes)


def _problem_without_effect(error: PynamoDBException, codes: set[str]) -> Exception:
    if "ResourceNotFoundException" in codes:
        return TableNotFound("The table does not exist, or is not active yet.")
    if codes & THROTTLING_CODES:
        return StoreThrottled("DynamoDB is throttling requests.")
    if codes & CONFLICT_CODES and isinstance(error, TransactWriteError):
        return RequestInProgress()
    if codes & CONFLICT_CODES:
        return StoreThrottled("Another request is writing the same task.")
    return StoreUnavailable(f"DynamoDB did not respond as expected ({', '.join(sorted(codes))}).")


def _cause(error: PynamoDBException) -> Any:
    # PynamoDB raises a ClientError of its own, without the metadata of DynamoDB's.
    return error.cause.__cause__ if isinstance(error.cause, VerboseClientError) else error.cause


def _codes(error: PynamoDBException) -> set[str]:
    cause = _cause(error)
    return error_codes(cause) if isinstance(cause, ClientError) else {type(cause).__name__}
