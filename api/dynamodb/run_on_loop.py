"""The decorator that makes a repository's methods awaitable."""

from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from pynamodb.exceptions import PynamoDBException

from api.dynamodb import store_errors
from api.dynamodb.transport import Transport

P = ParamSpec("P")
R = TypeVar("R")


class HasTransport(Protocol):
    """An object whose methods call DynamoDB over its transport."""

    transport: Transport


S = TypeVar("S", bound=HasTransport)


def run_on_loop(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Make a method of PynamoDB calls awaitable, and raise its failures as problems."""

    @wraps(method)
    async def awaitable(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await self.transport.run(partial(method, self, *args, **kwargs))
        except PynamoDBException as error:
            raise store_errors.to_problem(error) from error

    return awaitable
