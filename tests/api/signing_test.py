"""Signatures and credentials: botocore's own are the measure."""

import asyncio
import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import botocore.auth
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.credentials import ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from api import wire
from api.loop_wire import LoopWire
from api.settings import Settings
from api.signing import CONTENT_TYPE, Credentials, Signer
from tests.support.builders import SECRET
from tests.support.peer import Peer, scripted

HOST, REGION = "dynamodb.eu-west-1.amazonaws.com", "eu-west-1"
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)


def as_botocore_signs(
    operation: str, body: bytes, credentials: ReadOnlyCredentials, now: float
) -> str:
    """Let botocore sign the same request at the same moment."""
    headers = {
        "Content-Type": CONTENT_TYPE,
        "Host": HOST,
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
    }
    request = AWSRequest("POST", f"https://{HOST}/", headers=headers, data=body)
    moment = datetime.fromtimestamp(now, UTC)
    with patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: moment):
        botocore.auth.SigV4Auth(
            BotocoreCredentials(str(credentials[0]), str(credentials[1]), credentials[2]),
            "dynamodb",
            REGION,
        ).add_auth(request)
    authorization: str = request.headers["Authorization"]
    return authorization


@given(
    body=st.binary(max_size=200),
    access_key=words,
    secret=words,
    token=st.none() | words,
    now=st.integers(0, 4_000_000_000),
)
def test_a_signature_is_botocores(
    body: bytes, access_key: str, secret: str, token: str | None, now: int
) -> None:
    """Whatever is signed, with or without a session token, on any day."""
    credentials = ReadOnlyCredentials(access_key, secret, token)
    request = Signer(HOST, REGION).request("GetItem", body, credentials, now)
    head, _, sent = request.partition(b"\r\n\r\n")
    fields = dict(line.split(":", 1) for line in head.decode().split("\r\n")[1:])
    assert fields["authorization"] == as_botocore_signs("GetItem", body, credentials, now)
    assert fields.get("x-amz-security-token") == token
    assert (sent, int(fields["content-length"])) == (body, len(body))


def test_a_new_day_has_a_new_key() -> None:
    """The key is kept for a day and for a secret, not for longer."""
    signer = Signer(HOST, REGION)
    for now in (0, 86_399, 86_400, 86_401):
        for secret in ("one", "two"):
            credentials = ReadOnlyCredentials("id", secret, None)
            signed = signer.request("PutItem", b"{}", credentials, now).decode()
            assert as_botocore_signs("PutItem", b"{}", credentials, now) in signed


class Chain(Session):
    """A botocore session whose credentials live an hour, by a clock that a test can set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.minutes = 0
        self.threads: set[str] = set()
        self.open = threading.Event()
        self.open.set()
        self.renewed = threading.Event()

    def _now(self) -> datetime:
        return datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=self.minutes)

    def _fetch(self) -> dict[str, str]:
        self.open.wait(5)
        self.asked += 1
        if self.asked > 1:
            self.renewed.set()
        self.threads.add(threading.current_thread().name)
        return {
            "access_key": f"key-{self.asked}",
            "secret_key": "secret",
            "token": "token",
            "expiry_time": (self._now() + timedelta(hours=1)).isoformat(),
        }

    def get_credentials(self) -> Any:
        first = self._fetch()
        return RefreshableCredentials(
            access_key=first["access_key"],
            secret_key=first["secret_key"],
            token=first["token"],
            expiry_time=self._now() + timedelta(hours=1),
            refresh_using=self._fetch,
            method="test",
            time_fetcher=self._now,
        )


async def _key(credentials: Credentials) -> str | None:
    return (await credentials.current(5)).access_key


@pytest.mark.anyio
async def test_fresh_credentials_are_asked_for_once() -> None:
    """However many requests want them at the same time, and never on the loop's own thread."""
    chain = Chain()
    credentials = Credentials(chain.get_credentials)
    assert await asyncio.gather(*(_key(credentials) for _ in range(20))) == ["key-1"] * 20
    assert (chain.asked, threading.main_thread().name in chain.threads) == (1, False)


@pytest.mark.anyio
async def test_credentials_near_their_end_are_renewed_in_the_background() -> None:
    """Requests go on with the old ones, which still hold, until the new ones are there."""
    chain = Chain()
    credentials = Credentials(chain.get_credentials)
    await credentials.current(5)
    chain.minutes = 50
    chain.open.clear()
    assert [await _key(credentials) for _ in range(5)] == ["key-1"] * 5
    chain.open.set()
    await asyncio.to_thread(chain.renewed.wait, 5)
    await asyncio.sleep(0.05)
    assert await _key(credentials) == "key-2"
    assert chain.asked == 2


@pytest.mark.anyio
async def test_credentials_at_their_end_are_not_used() -> None:
    """A request waits for new ones rather than be refused."""
    chain = Chain()
    credentials = Credentials(chain.get_credentials)
    await credentials.current(5)
    chain.minutes = 60
    assert await asyncio.gather(*(_key(credentials) for _ in range(5))) == ["key-2"] * 5


@pytest.mark.anyio
async def test_the_loop_goes_on_while_the_chain_is_asked() -> None:
    """A metadata service that hangs stops nobody else."""
    chain = Chain()
    chain.open.clear()
    asking = asyncio.create_task(_key(Credentials(chain.get_credentials)))
    began = time.perf_counter()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not asking.done()
    assert time.perf_counter() - began < 5
    chain.open.set()
    assert await asking == "key-1"


@pytest.mark.anyio
async def test_who_stops_waiting_does_not_stop_the_renewal() -> None:
    """The others are waiting for it still."""
    chain = Chain()
    chain.open.clear()
    credentials = Credentials(chain.get_credentials)
    first, second = (asyncio.create_task(_key(credentials)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    chain.open.set()
    assert await second == "key-1"


@pytest.mark.anyio
async def test_a_chain_that_hangs_is_not_waited_for_for_ever() -> None:
    """The request's own time bounds it; what comes late serves the next."""
    chain = Chain()
    chain.open.clear()
    credentials = Credentials(chain.get_credentials)
    with pytest.raises(CredentialRetrievalError):
        await credentials.current(0.05)
    chain.open.set()
    assert await _key(credentials) == "key-1"
    assert chain.asked == 1


@pytest.mark.anyio
async def test_no_credentials_is_an_error_and_asked_again_next_time() -> None:
    """A role that is not yet there may come."""

    class Empty(Session):
        asked = 0

        def get_credentials(self) -> Any:
            self.asked += 1
            return None if self.asked == 1 else BotocoreCredentials("late", "secret")

    credentials = Credentials(Empty().get_credentials)
    with pytest.raises(NoCredentialsError):
        await credentials.current(5)
    assert await _key(credentials) == "late"


def found() -> Credentials:
    """Find credentials as the app does on AWS."""
    return Credentials(partial(wire.credentials, Settings(cursor_secret=SECRET)))


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without any credentials of its own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.mark.anyio
async def test_credentials_come_from_the_environment(nobody: pytest.MonkeyPatch) -> None:
    """As on a developer's machine, and on Lambda."""
    nobody.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    nobody.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert await _key(found()) == "from-environment"


@pytest.mark.anyio
async def test_credentials_come_from_a_profile(nobody: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As an operator has them, by name."""
    (tmp_path / "credentials").write_text(
        "[ops]\naws_access_key_id = from-profile\naws_secret_access_key = secret\n"
    )
    nobody.setenv("AWS_PROFILE", "ops")
    assert await _key(found()) == "from-profile"


@pytest.mark.anyio
async def test_credentials_come_from_the_task_role(nobody: pytest.MonkeyPatch) -> None:
    """As on ECS: by HTTP from the agent, with a token, and signed with from then on."""

    async def agent(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        role = {
            "AccessKeyId": "from-role",
            "SecretAccessKey": "secret",
            "Token": "session",
            "Expiration": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        }
        body = json.dumps(role).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    async with scripted(agent) as peer:
        nobody.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{peer.url}/role")
        role = await found().current(5)
    assert (role.access_key, role.token) == ("from-role", "session")


def test_aws_is_where_botocore_says(nobody: pytest.MonkeyPatch) -> None:
    """Without a local endpoint: DynamoDB's own address in the region, over TLS."""
    config = Settings(cursor_secret=SECRET, aws_region="eu-west-1")
    sender = LoopWire(config)
    assert sender._url == "https://dynamodb.eu-west-1.amazonaws.com"
    assert sender._http.host == "dynamodb.eu-west-1.amazonaws.com"
