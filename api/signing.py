"""Requests to DynamoDB as it wants them: signed (SigV4), with credentials that are never stale."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError

CONTENT_TYPE = "application/x-amz-json-1.0"
NAMES = "content-type;host;x-amz-date;x-amz-target"
ALL_NAMES = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
# Renewed in the background from the first on, waited for from the second on.
RENEW_SECONDS = 15 * 60
EXPIRED_SECONDS = 60


class Credentials:
    """Botocore's credentials, looked for in a thread so that the event loop goes on."""

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find
        self._source: Any = None
        self._frozen: ReadOnlyCredentials | None = None
        self._renewal: Any = None

    async def current(self, seconds: float) -> ReadOnlyCredentials:
        """Give credentials to sign with now, waiting for so many seconds at most.

        Raises:
            NoCredentialsError: the chain found none.
            CredentialRetrievalError: it did not answer in time.
        """
        if self._frozen is None or self._ends_within(EXPIRED_SECONDS):
            return await self._renewed(seconds)
        if self._ends_within(RENEW_SECONDS):
            self._renew_once()
        return self._frozen

    async def _renewed(self, seconds: float) -> ReadOnlyCredentials:
        self._renew_once()
        try:
            async with asyncio.timeout(seconds):
                # Who stops waiting does not take the renewal away from the others.
                renewed: ReadOnlyCredentials = await asyncio.shield(self._renewal)
                return renewed
        except TimeoutError:
            raise CredentialRetrievalError(
                provider="chain", error_msg="it did not answer in time"
            ) from None

    def _ends_within(self, seconds: int) -> bool:
        needed = getattr(self._source, "refresh_needed", None)
        return needed is not None and needed(refresh_in=seconds)

    def _renew_once(self) -> None:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._load())
            self._renewal.add_done_callback(_retrieve)

    async def _load(self) -> ReadOnlyCredentials:
        self._frozen = await asyncio.to_thread(self._ask_chain)
        return self._frozen

    def _ask_chain(self) -> ReadOnlyCredentials:
        self._source = self._source or self._find()
        if self._source is None:
            raise NoCredentialsError
        frozen: ReadOnlyCredentials = self._source.get_frozen_credentials()
        return frozen


def _retrieve(renewal: asyncio.Task[ReadOnlyCredentials]) -> None:
    """Look at the outcome: a failed renewal that nobody waited for is tried again, not logged."""
    if not renewal.cancelled():
        renewal.exception()


class Signer:
    """Writes whole HTTP requests; the day's key is derived once a day."""

    def __init__(self, host: str, region: str) -> None:
        self._host = host
        self._region = region
        self._key_of: tuple[str, str] = ("", "")
        self._key = b""

    def request(
        self, operation: str, body: bytes, credentials: ReadOnlyCredentials, now: float
    ) -> bytes:
        """Write a signed request for a DynamoDB operation; `now` is in seconds since 1970."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        token = f"x-amz-security-token:{credentials.token}\n" if credentials.token else ""
        # In the order of their names, as they are signed and as they are sent.
        headers = (
            f"content-type:{CONTENT_TYPE}\nhost:{self._host}\nx-amz-date:{stamp}\n{token}"
            f"x-amz-target:DynamoDB_20120810.{operation}\n"
        )
        names = ALL_NAMES if token else NAMES
        canonical = f"POST\n/\n\n{headers}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        authorization = self._authorization(canonical, names, credentials, stamp)
        head = f"POST / HTTP/1.1\n{headers}{authorization}content-length:{len(body)}\n\n"
        return head.replace("\n", "\r\n").encode() + body

    def _authorization(
        self, canonical: str, names: str, credentials: ReadOnlyCredentials, stamp: str
    ) -> str:
        scope = f"{stamp[:8]}/{self._region}/dynamodb/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        key = self._day_key(stamp[:8], str(credentials.secret_key))
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        return (
            f"authorization:AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}\n"
        )

    def _day_key(self, day: str, secret: str) -> bytes:
        if self._key_of != (day, secret):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, "dynamodb", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key_of, self._key = (day, secret), key
        return self._key
