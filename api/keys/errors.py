"""The failures of authentication, authorization and key management."""

from api.problem import Problem


def _challenge(**parameters: str) -> dict[str, str]:
    """Return a WWW-Authenticate header (RFC 6750)."""
    more = "".join(f', {name}="{value}"' for name, value in parameters.items())
    return {"WWW-Authenticate": f'Bearer realm="task-tracker"{more}'}


class AuthorizationProblem(Problem):
    """A request that is not authorized; the metrics get a reason that the client may not."""

    reason: str


class ApiKeyRequired(AuthorizationProblem):
    """The request carries no API key."""

    status = 401
    title = "API key required"
    reason = "missing"

    def __init__(self) -> None:
        super().__init__("Send an API key: Authorization: Bearer tt_...", headers=_challenge())


class InvalidApiKey(AuthorizationProblem):
    """The API key is mistyped, unknown, expired or revoked."""

    status = 401
    title = "Invalid API key"
    example_args = ("unknown",)

    def __init__(self, reason: str) -> None:
        # One text for every cause, so that a guesser learns nothing from it.
        super().__init__(
            "The API key is mistyped, unknown, expired or revoked.",
            headers=_challenge(error="invalid_token"),
        )
        self.reason = reason


class InsufficientScope(AuthorizationProblem):
    """The API key does not have the scope that the operation needs: `needed_scope`."""

    status = 403
    title = "Insufficient scope"
    example_args = ("tasks:write",)
    reason = "scope"

    def __init__(self, needed: str) -> None:
        super().__init__(
            f"This operation needs a key with the scope {needed}.",
            headers=_challenge(error="insufficient_scope", scope=needed),
            needed_scope=needed,
        )


class MisdirectedRequest(AuthorizationProblem):
    """Under AUTH=off the service responds only to requests for a loopback host.

    Otherwise a web page could reach it by DNS rebinding. Use AUTH=on to serve other hosts.
    """

    status = 421
    title = "Misdirected request"
    reason = "host"
    detail = "AUTH=off serves localhost only. Send the Host localhost, or set AUTH=on."


class TooManyKeys(Problem):
    """The workspace has the maximum number of keys. Recently expired or revoked keys count, too."""

    status = 409
    title = "Too many keys"
    example_args = (250,)

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"A workspace may have at most {limit} keys. Those that expired or were revoked within "
            "the last 30 days count, too."
        )


class WorkspaceNotAllowed(Problem):
    """An API key manages the keys of its own workspace only."""

    status = 403
    title = "Workspace not allowed"
    detail = "A key manages the keys of its own workspace only."


class ApiKeyNotFound(Problem):
    """The workspace of the API key has no key with this id."""

    status = 404
    title = "API key not found"
    detail = "There is no key with this id."


class RateLimitExceeded(AuthorizationProblem):
    """The API key has used up its rate limit. Retry-After says when it can go on."""

    status = 429
    title = "Rate limit exceeded"
    example_args = (1,)
    reason = "rate"

    def __init__(self, seconds: int, *, is_write: bool = False) -> None:
        hint = " POST /v1/tasks/bulk takes up to 100 changes in one request." if is_write else ""
        super().__init__(
            f"The key has used up its rate limit. Continue in {seconds} s.{hint}",
            headers={"Retry-After": str(seconds)},
        )


class TooManyInvalidKeys(AuthorizationProblem):
    """Too many requests with invalid API keys came from this address."""

    status = 429
    title = "Too many invalid API keys"
    example_args = (6,)
    reason = "failures"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"Too many invalid keys came from this address. Try again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )


AUTHORIZATION_PROBLEMS = (
    ApiKeyRequired,
    InvalidApiKey,
    InsufficientScope,
    MisdirectedRequest,
    RateLimitExceeded,
    TooManyInvalidKeys,
)
