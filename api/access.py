"""Who is calling, what they may do, and therefore which partition of the table is theirs."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette import types

from api import addresses, errors, keys
from api.keyring import KeyRing, Timer
from api.keys import Key, Presented, Scope
from api.limits import Buckets, Level
from api.metrics import Metrics
from api.settings import Settings

BEARER = b"bearer "
# So many keys that are none an address may show at once, and then one in so many seconds: enough
# for somebody who pastes the wrong one, and little work for the table.
FAILURES_AT_ONCE = 10
SECONDS_A_FAILURE = 6
# What a client may do at once after a pause, in seconds of its rate.
BURST_SECONDS = 2

DEFAULT_WORKSPACE = "default"


class Principal(NamedTuple):
    """A caller whose tasks are those of one workspace; an operator's keys are all workspaces'."""

    workspace: str
    scopes: frozenset[Scope]
    key_id: str | None = None
    operator: bool = False

    def workspace_of_keys(self, named: str | None) -> str:
        """Say whose keys are meant: one's own, unless an operator names others.

        Raises:
            ForeignWorkspace: somebody else did.
        """
        if named is None or named == self.workspace:
            return self.workspace
        if not self.operator:
            raise errors.ForeignWorkspace
        return named


# Whoever calls where nobody is asked: on this machine alone.
ANYONE = Principal(DEFAULT_WORKSPACE, frozenset(Scope), operator=True)


class Guard:
    """Lets callers in by their keys, as often as their rate allows."""

    def __init__(self, settings: Settings, ring: KeyRing, metrics: Metrics, timer: Timer) -> None:
        self._open = settings.auth == "off"
        bootstrap = settings.bootstrap_key
        self._bootstrap = keys.read(bootstrap.get_secret_value()) if bootstrap else None
        self._hops = settings.trusted_hops
        self._ring = ring
        self._refusals = metrics.access_refusals
        self._requests = Buckets(settings.rate_limit, settings.rate_limit * BURST_SECONDS, timer)
        self._failures = Buckets(1 / SECONDS_A_FAILURE, FAILURES_AT_ONCE, timer)

    async def admit(self, scope: types.Scope, needed: Scope) -> Principal:
        """Find out who is calling, and whether they may.

        Raises:
            AccessProblem: they may not, or not now.
        """
        if self._open:
            return ANYONE
        try:
            principal = await self._identify(scope)
            scope["key"] = principal.key_id
            self._count(scope, principal)
            if needed not in principal.scopes:
                raise errors.ScopeMissing(needed)
        except errors.AccessProblem as problem:
            self._refusals.labels(problem.reason).inc()
            raise
        return principal

    async def _identify(self, scope: types.Scope) -> Principal:
        text = _shown(scope)
        if text is None:
            raise errors.KeyMissing
        presented = keys.read(text)
        if presented is not None and (known := self._known(presented)) is not None:
            return known
        with self._failing_at_most(addresses.network(addresses.client(scope, self._hops))):
            if presented is None:
                raise errors.KeyRefused("malformed")
            return _principal(await self._ring.look_up(presented))

    def _known(self, presented: Presented) -> Principal | None:
        """Recognise a caller without the table: whoever fails elsewhere does not shut it out."""
        if self._bootstrap is not None and presented.is_same(self._bootstrap):
            return Principal(
                DEFAULT_WORKSPACE, frozenset({Scope.ADMIN}), presented.id, operator=True
            )
        key = self._ring.remembered(presented)
        return _principal(key) if key else None

    @contextmanager
    def _failing_at_most(self, network: str) -> Iterator[None]:
        level = self._failures.look(network)
        if not level.allowed:
            raise errors.TooManyFailures(level.next_in)
        try:
            yield
        except errors.KeyRefused:
            self._failures.take(network)
            raise

    def _count(self, scope: types.Scope, principal: Principal) -> None:
        level = self._requests.take(principal.key_id or "")
        scope["extra_headers"] = _headers(level, self._requests.burst)
        if not level.allowed:
            raise errors.TooManyRequests(level.next_in)


def needs(scope: Scope) -> dict[str, Any]:
    """Say, in a route's place in the OpenAPI document, what its callers need."""
    return {"security": [{"bearer": [scope]}, {"header": [scope]}]}


class GuardedRoute(APIRoute):
    """A route that is closed before anything of the request is read; it opens by its `needs`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        # A route that does not say what it needs fails here, at start-up.
        ((needed,),) = (self.openapi_extra or {})["security"][0].values()

        async def guarded(request: Request) -> Response:
            guard: Guard = request.app.state.guard
            principal = await guard.admit(request.scope, needed)
            request.scope["principal"] = principal
            request.scope["workspace"] = principal.workspace
            return await answer(request)

        return guarded


async def _principal_of(request: Request) -> Principal:
    principal: Principal = request.scope["principal"]
    return principal


Caller = Annotated[Principal, Depends(_principal_of)]


def _principal(key: Key) -> Principal:
    return Principal(key.workspace, frozenset(key.scopes), key.id)


def _shown(scope: types.Scope) -> str | None:
    """Find the key in a request: a signature of AWS takes the place of the bearer's."""
    headers = dict(scope["headers"])
    authorization: bytes = headers.get(b"authorization", b"")
    if authorization[: len(BEARER)].lower() == BEARER:
        return authorization[len(BEARER) :].decode("latin-1").strip()
    own: bytes | None = headers.get(b"x-api-key")
    return None if own is None else own.decode("latin-1")


def _headers(level: Level, burst: int) -> list[tuple[bytes, bytes]]:
    return [
        (b"ratelimit-limit", b"%d" % burst),
        (b"ratelimit-remaining", b"%d" % level.remaining),
        (b"ratelimit-reset", b"%d" % level.full_in),
    ]
