"""Who is calling, and whether they may."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette import types

from api import key_format
from api.clock import Timer
from api.http.client_address import client_network
from api.http.context import RequestContext
from api.key_format import PresentedKey
from api.keys.errors import (
    ApiKeyRequired,
    AuthorizationProblem,
    InsufficientScope,
    InvalidApiKey,
    MisdirectedRequest,
    RateLimitExceeded,
    TooManyInvalidKeys,
)
from api.keys.models import Key
from api.keys.rate_limits import BucketState, TokenBuckets
from api.keys.service import KeyService
from api.metrics import Metrics
from api.principal import ANONYMOUS, DEFAULT_WORKSPACE, Actor, Principal, Scope
from api.settings import Settings
from api.values import is_loopback

BEARER = b"bearer "
# Invalid keys that one network may send: a burst, then one in so many seconds. Enough for a
# person who pastes the wrong key, and little work for the table.
INVALID_KEYS_BURST = 10
SECONDS_PER_INVALID_KEY = 6
# A key's burst, in seconds of its rate.
BURST_SECONDS = 2


class Authorizer:
    """Authorizes requests by their API keys, as often as each key's rate allows."""

    def __init__(
        self, settings: Settings, keys: KeyService, metrics: Metrics, timer: Timer
    ) -> None:
        self._disabled = settings.auth == "off"
        bootstrap = settings.bootstrap_key
        self._bootstrap = key_format.parse(bootstrap.get_secret_value()) if bootstrap else None
        self._keys = keys
        self._refusals = metrics.access_refusals
        burst = settings.rate_limit * BURST_SECONDS
        self._requests = TokenBuckets(settings.rate_limit, burst, timer)
        burst = settings.workspace_rate_limit * BURST_SECONDS
        self._workspaces = TokenBuckets(settings.workspace_rate_limit, burst, timer)
        self._failures = TokenBuckets(1 / SECONDS_PER_INVALID_KEY, INVALID_KEYS_BURST, timer)
        # Look-ups in progress, by key and client's network.
        self._look_ups: dict[tuple[PresentedKey, str], asyncio.Future[Principal]] = {}

    async def authorize(self, scope: types.Scope, required: Scope) -> None:
        """Set the principal of a request's context.

        Raises:
            AuthorizationProblem: the request is not authorized, or not now.
        """
        context = RequestContext.of(scope)
        try:
            if self._disabled:
                _require_loopback_host(scope)
                context.principal = ANONYMOUS
                return
            principal = context.principal = await self._identify(scope, context)
            self._count(context, principal, required)
            if required not in principal.scopes:
                raise InsufficientScope(required)
        except AuthorizationProblem as problem:
            context.refusal = problem.reason
            self._refusals.labels(problem.reason).inc()
            raise

    async def _identify(self, scope: types.Scope, context: RequestContext) -> Principal:
        text = _presented_text(scope)
        if text is None:
            raise ApiKeyRequired
        presented = key_format.parse(text)
        if presented is None:
            with self._limit_failures(client_network(context.client)):
                raise InvalidApiKey("malformed")
        context.key_id = presented.id
        if (known := self._identify_cached(presented)) is not None:
            return known
        return await self._look_up(presented, client_network(context.client))

    async def _look_up(self, presented: PresentedKey, network: str) -> Principal:
        """Look a key up once for all requests that wait for it, so that it may fail only once."""
        asked = presented, network
        if (look_up := self._look_ups.get(asked)) is None:
            look_up = self._look_ups[asked] = asyncio.ensure_future(self._verify(*asked))
            look_up.add_done_callback(lambda _: self._look_ups.pop(asked))
        # A client that disconnects does not end the look-up of the others.
        return await asyncio.shield(look_up)

    async def _verify(self, presented: PresentedKey, network: str) -> Principal:
        if self._keys.was_valid(presented):
            return _principal(await self._keys.verify(presented))
        with self._limit_failures(network):
            return _principal(await self._keys.verify(presented))

    def _identify_cached(self, presented: PresentedKey) -> Principal | None:
        """Identify a caller without the table."""
        if self._bootstrap is not None and presented.equals(self._bootstrap):
            return Principal(
                DEFAULT_WORKSPACE, frozenset({Scope.ADMIN}), presented.id, operator=True
            )
        key = self._keys.verify_cached(presented)
        return _principal(key) if key else None

    @contextmanager
    def _limit_failures(self, network: str) -> Iterator[None]:
        """Take one of a network's failures before the look-up, and return it on success.

        A key that was valid within the last hour is looked up without, so that the failures of
        others behind the same address do not lock it out.
        """
        state = self._failures.take(network)
        if not state.allowed:
            raise TooManyInvalidKeys(state.retry_after)
        try:
            yield
        except InvalidApiKey:
            raise
        except BaseException:
            self._failures.give_back(network)
            raise
        self._failures.give_back(network)

    def charge(self, scope: types.Scope, requests: int) -> None:
        """Count a request as so many, beyond what its key's rate allows now."""
        context = RequestContext.of(scope)
        principal = context.principal
        if principal is None or principal.key_id is None or requests == 1:
            return
        state = self._requests.owe(principal.key_id, requests - 1)
        self._workspaces.owe(principal.workspace, requests - 1)
        _set_rate_limit_headers(context, state, self._requests.burst)

    def _count(self, context: RequestContext, principal: Principal, required: Scope) -> None:
        state = self._requests.take(principal.key_id or "")
        _set_rate_limit_headers(context, state, self._requests.burst)
        if state.allowed and not principal.operator:
            state = self._workspaces.take(principal.workspace)
        if not state.allowed:
            raise RateLimitExceeded(state.retry_after, is_write=required is Scope.WRITE)


def _principal(key: Key) -> Principal:
    return Principal(
        key.workspace,
        frozenset(key.scopes),
        key.id,
        expires_at=key.expires_at,
        actor=Actor(key.id, key.label),
    )


def _require_loopback_host(scope: types.Scope) -> None:
    """Refuse what a page of another site sends to this machine by DNS rebinding.

    Raises:
        MisdirectedRequest: the Host header names another machine.
    """
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name != "localhost" and not is_loopback(name.strip("[]")):
        raise MisdirectedRequest


def _presented_text(scope: types.Scope) -> str | None:
    """Return the key's text; X-Api-Key serves where Authorization holds an AWS signature."""
    headers = dict(scope["headers"])
    authorization: bytes = headers.get(b"authorization", b"")
    if authorization[: len(BEARER)].lower() == BEARER:
        return authorization[len(BEARER) :].decode("latin-1").strip()
    api_key: bytes | None = headers.get(b"x-api-key")
    return None if api_key is None else api_key.decode("latin-1")


def _set_rate_limit_headers(context: RequestContext, state: BucketState, burst: int) -> None:
    fields: dict[bytes, int] = {
        b"ratelimit-limit": burst,
        b"ratelimit-remaining": state.remaining,
        b"ratelimit-reset": state.reset_after,
    }
    others = [header for header in context.response_headers if header[0] not in fields]
    context.response_headers = others + [(name, b"%d" % n) for name, n in fields.items()]
