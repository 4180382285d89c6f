"""What PynamoDB's errors mean: refusals, doubts, and the service's own words for the rest."""

import logging
from typing import Any

from botocore.exceptions import ClientError
from pynamodb.exceptions import (
    PutError,
    PynamoDBException,
    TransactWriteError,
    UpdateError,
    VerboseClientError,
)

from api.attempts import CONFLICT_CODES, THROTTLING_CODES, codes, notes
from api.errors import (
    OutcomeUnknown,
    RequestInProgress,
    StoreThrottled,
    StoreUnavailable,
    TableMissing,
)

# A write's condition did not hold, alone or in a transaction.
REFUSALS = frozenset({"ConditionalCheckFailedException", "ConditionalCheckFailed"})
# Faults of this service, which waiting does not mend; they must not hide behind a 503.
OUR_FAULT = frozenset({"SerializationException", "ValidationError", "ValidationException"})
WRITE_ERRORS = (PutError, TransactWriteError, UpdateError)

logger = logging.getLogger(__name__)


def was_refused(error: PynamoDBException) -> bool:
    """Tell whether a condition did not hold."""
    return not REFUSALS.isdisjoint(_codes(error))


def in_doubt(error: PynamoDBException) -> bool:
    """Tell whether an earlier attempt may have had its effect, whatever the last one met."""
    doubt: bool = notes(_cause(error)).get("InDoubt", False)
    return doubt


def problem(error: PynamoDBException) -> Exception:
    """Find the problem that the caller is told of; an error of ours stays what it is."""
    names = _codes(error)
    if names & OUR_FAULT:
        return error
    fields = {"error": ", ".join(sorted(names)), "detail": error.msg}
    logger.warning("store failed", extra={"fields": fields})
    if isinstance(error, WRITE_ERRORS) and in_doubt(error):
        return OutcomeUnknown()
    return _clear_problem(error, names)


def _clear_problem(error: PynamoDBException, names: set[str]) -> Exception:
    """Find the problem where nothing was done."""
    if "ResourceNotFoundException" in names:
        return TableMissing("The table does not exist, or is not yet active.")
    if names & THROTTLING_CODES:
        return StoreThrottled("DynamoDB is throttling.")
    if names & CONFLICT_CODES and isinstance(error, TransactWriteError):
        return RequestInProgress()
    if names & CONFLICT_CODES:
        return StoreThrottled("Another request is writing the same task.")
    return StoreUnavailable(f"DynamoDB did not answer as it should ({', '.join(sorted(names))}).")


def _cause(error: PynamoDBException) -> Any:
    # PynamoDB raises a ClientError of its own, without what came along with DynamoDB's.
    return error.cause.__cause__ if isinstance(error.cause, VerboseClientError) else error.cause


def _codes(error: PynamoDBException) -> set[str]:
    cause = _cause(error)
    return codes(cause) if isinstance(cause, ClientError) else {type(cause).__name__}
