"""The interface between PynamoDB's code and the way its calls reach DynamoDB."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Transport(Protocol):
    """Sends calls to DynamoDB, and runs the PynamoDB code that makes them."""

    def call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make one call; only code that `run` runs may use it.

        Raises:
            ClientError: DynamoDB refused the call.
            BotoCoreError: no response arrived.
        """
        ...

    async def run(self, function: Callable[[], T]) -> T: ...

    def close(self) -> None: ...
