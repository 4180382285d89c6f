"""Signatures, compared with those of botocore."""

from datetime import UTC, datetime
from unittest.mock import patch

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from api.dynamodb.sigv4 import CONTENT_TYPE, Signer

HOST, REGION = "dynamodb.eu-west-1.amazonaws.com", "eu-west-1"
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)


def botocores_signature(
    operation: str, body: bytes, credentials: ReadOnlyCredentials, now: float
) -> str:
    """Sign the same request with botocore at the same time."""
    headers = {
        "Content-Type": CONTENT_TYPE,
        "Host": HOST,
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
    }
    request = AWSRequest("POST", f"https://{HOST}/", headers=headers, data=body)
    signing = BotocoreCredentials(str(credentials[0]), str(credentials[1]), credentials[2])
    moment = datetime.fromtimestamp(now, UTC)
    with patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: moment):
        botocore.auth.SigV4Auth(signing, "dynamodb", REGION).add_auth(request)
    return str(request.headers["Authorization"])


@given(
    body=st.binary(max_size=200),
    access_key=WORDS,
    secret=WORDS,
    token=st.none() | WORDS,
    now=st.integers(0, 4_000_000_000),
)
def test_a_signature_equals_botocores(
    body: bytes, access_key: str, secret: str, token: str | None, now: int
) -> None:
    credentials = ReadOnlyCredentials(access_key, secret, token)
    request = Signer(HOST, REGION).request("GetItem", body, credentials, now)
    head, _, sent = request.partition(b"\r\n\r\n")
    fields = dict(line.split(":", 1) for line in head.decode().split("\r\n")[1:])
    assert fields["authorization"] == botocores_signature("GetItem", body, credentials, now)
    assert fields.get("x-amz-security-token") == token
    assert (sent, int(fields["content-length"])) == (body, len(body))


def test_a_signing_key_is_cached_for_its_day_and_secret_only() -> None:
    signer = Signer(HOST, REGION)
    for now in (0, 86_399, 86_400, 86_401):
        for secret in ("one", "two"):
            credentials = ReadOnlyCredentials("id", secret, None)
            signed = signer.request("PutItem", b"{}", credentials, now).decode()
            assert botocores_signature("PutItem", b"{}", credentials, now) in signed
