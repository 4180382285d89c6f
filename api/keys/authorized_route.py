"""Routes with authorization: the scope that each declares, and the failures that all have."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute

from api.errors import STORE_FAILURES, WRITE_FAILURES
from api.http.client_address import client_network
from api.http.context import RequestContext
from api.http.dependencies import JSON, MERGE_PATCH, require_media_type
from api.http.openapi import failure_responses
from api.keys.errors import AUTHORIZATION_PROBLEMS
from api.principal import Principal, Scope
from api.problem import Problem


class RequiredScope:
    """The dependency by which a route declares its scope, and gets its caller.

    It also checks the body's media type: a dependency for each would cost more than both checks.
    """

    def __init__(self, scope: Scope, body: tuple[str, ...]) -> None:
        self.scope = scope
        self._body = body

    async def __call__(self, request: Request) -> Principal:
        """Take a slot in flight, now that the request has arrived, and return the caller."""
        if self._body:
            require_media_type(request, self._body)
        context = RequestContext.of(request.scope)
        principal = context.principal
        if principal is None:
            raise AssertionError("a required scope belongs on an AuthorizedRoute")
        holders = _holders(context, principal)
        request.app.state.in_flight.enter(holders)
        context.holders = holders
        return principal


def requires_scope(scope: Scope, *, body: tuple[str, ...] = ()) -> Any:
    """Declare, as a route's dependency, the scope that callers need and the body's media types."""
    return Depends(RequiredScope(scope, body))


Reader = Annotated[Principal, requires_scope(Scope.READ)]
Writer = Annotated[Principal, requires_scope(Scope.WRITE)]
JsonWriter = Annotated[Principal, requires_scope(Scope.WRITE, body=(JSON,))]
PatchWriter = Annotated[Principal, requires_scope(Scope.WRITE, body=(MERGE_PATCH, JSON))]


class AuthorizedRoute(APIRoute):
    """A route that authorizes before FastAPI reads the body, which comes before dependencies."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.openapi_extra = {
            **(self.openapi_extra or {}),
            "security": [{"bearer": []}, {"header": []}],
            "x-required-scope": self._required_scope(),
        }

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        required = self._required_scope()

        async def authorize_and_handle(request: Request) -> Response:
            await request.app.state.authorizer.authorize(request.scope, required)
            return await handle(request)

        return authorize_and_handle

    def _required_scope(self) -> Scope:
        for dependency in self.dependant.dependencies:
            if isinstance(dependency.call, RequiredScope):
                return dependency.call.scope
        raise TypeError(f"{self.path} declares no required scope")


def read_failures(*own: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Document the failures of a route that reads: its own, and those of all such routes."""
    return failure_responses(*AUTHORIZATION_PROBLEMS, *own, *STORE_FAILURES)


def write_failures(*own: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Document the failures of a route that writes: its own, and those of all such routes."""
    return failure_responses(*AUTHORIZATION_PROBLEMS, *own, *WRITE_FAILURES)


def _holders(context: RequestContext, principal: Principal) -> tuple[str, ...]:
    """Name who holds a request's slot in flight: its API key, and its client's network."""
    if principal.key_id is None:
        return ()
    return principal.key_id, client_network(context.client)
