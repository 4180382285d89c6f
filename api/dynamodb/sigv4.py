"""AWS Signature Version 4 for DynamoDB's requests."""

import hashlib
import hmac
import time

from botocore.credentials import ReadOnlyCredentials

CONTENT_TYPE = "application/x-amz-json-1.0"
SIGNED_HEADERS = "content-type;host;x-amz-date;x-amz-target"
SIGNED_HEADERS_OF_SESSION = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"


class Signer:
    """Writes whole signed HTTP requests; the signing key is derived once a day."""

    def __init__(self, host: str, region: str) -> None:
        self._host = host
        self._region = region
        self._signing_key_for: tuple[str, str] = ("", "")
        self._signing_key = b""

    def request(
        self, operation: str, body: bytes, credentials: ReadOnlyCredentials, now: float
    ) -> bytes:
        """Return a signed request for a DynamoDB operation; `now` is in seconds since 1970."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        token = f"x-amz-security-token:{credentials.token}\n" if credentials.token else ""
        # Sorted by name, as SigV4 signs them.
        headers = (
            f"content-type:{CONTENT_TYPE}\nhost:{self._host}\nx-amz-date:{stamp}\n{token}"
            f"x-amz-target:DynamoDB_20120810.{operation}\n"
        )
        names = SIGNED_HEADERS_OF_SESSION if token else SIGNED_HEADERS
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
        key = self._signing_key_of(stamp[:8], str(credentials.secret_key))
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        return (
            f"authorization:AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}\n"
        )

    def _signing_key_of(self, day: str, secret: str) -> bytes:
        if self._signing_key_for != (day, secret):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, "dynamodb", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._signing_key_for, self._signing_key = (day, secret), key
        return self._signing_key
