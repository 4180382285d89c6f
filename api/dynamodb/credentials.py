"""Botocore's credentials for the event loop: found and refreshed in a thread, never stale."""

import asyncio
from collections.abc import Callable
from typing import Any

import botocore.session
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError

# So long before they expire, credentials are refreshed in the background, and waited for.
REFRESH_SECONDS = 15 * 60
EXPIRED_SECONDS = 60


class Credentials:
    """Botocore's credentials, found in a thread so that the event loop is not blocked."""

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find
        self._source: Any = None
        self._frozen: ReadOnlyCredentials | None = None
        self._refresh: Any = None

    async def current(self, seconds: float) -> ReadOnlyCredentials:
        """Return credentials that are valid now, after the given seconds at most.

        Raises:
            NoCredentialsError: botocore's chain found none.
            CredentialRetrievalError: the chain took too long.
        """
        if self._frozen is None or self._expires_within(EXPIRED_SECONDS):
            return await self._refreshed(seconds)
        if self._expires_within(REFRESH_SECONDS):
            self._refresh_once()
        return self._frozen

    async def _refreshed(self, seconds: float) -> ReadOnlyCredentials:
        self._refresh_once()
        try:
            async with asyncio.timeout(seconds):
                # Shielded: a cancelled request must not cancel the refresh for the others.
                credentials: ReadOnlyCredentials = await asyncio.shield(self._refresh)
                return credentials
        except TimeoutError:
            raise CredentialRetrievalError(
                provider="chain", error_msg="the chain took too long"
            ) from None

    def _expires_within(self, seconds: int) -> bool:
        needed = getattr(self._source, "refresh_needed", None)
        return needed is not None and needed(refresh_in=seconds)

    def _refresh_once(self) -> None:
        if self._refresh is None or self._refresh.done():
            self._refresh = asyncio.create_task(self._load())
            self._refresh.add_done_callback(_retrieve)

    async def _load(self) -> ReadOnlyCredentials:
        self._frozen = await asyncio.to_thread(self._load_in_thread)
        return self._frozen

    def _load_in_thread(self) -> ReadOnlyCredentials:
        self._source = self._source or self._find()
        if self._source is None:
            raise NoCredentialsError
        frozen: ReadOnlyCredentials = self._source.get_frozen_credentials()
        return frozen


def _retrieve(refresh: asyncio.Task[ReadOnlyCredentials]) -> None:
    """Retrieve the exception, so that asyncio does not log a refresh that will be tried again."""
    if not refresh.cancelled():
        refresh.exception()


def find_credentials() -> Any:
    """Find credentials with botocore's chain of providers."""
    return botocore.session.get_session().get_credentials()


def local_credentials() -> BotocoreCredentials:
    """Return credentials for a local DynamoDB, which requires some and checks none."""
    return BotocoreCredentials("local", "local")
