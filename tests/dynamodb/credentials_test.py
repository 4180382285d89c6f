"""Credentials: found by botocore, and refreshed in time without blocking the event loop."""

import asyncio
import json
import os
import threading
from asyncio import StreamReader, StreamWriter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError

from api.dynamodb.credentials import Credentials, find_credentials
from tests.support.scripted_server import Peer, scripted

pytestmark = pytest.mark.anyio


class Chain:
    """A chain whose credentials are valid for an hour, by a clock that the test sets."""

    def __init__(self) -> None:
        self.fetches = 0
        self.minutes = 0
        self.threads: set[threading.Thread] = set()
        self.responsive = threading.Event()
        self.responsive.set()

    def _now(self) -> datetime:
        return datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=self.minutes)

    def _fetch(self) -> dict[str, str]:
        self.responsive.wait(5)
        self.fetches += 1
        self.threads.add(threading.current_thread())
        expiry = (self._now() + timedelta(hours=1)).isoformat()
        return {
            "access_key": f"key-{self.fetches}",
            "secret_key": "secret",
            "token": "token",
            "expiry_time": expiry,
        }

    def find(self) -> Any:
        return DeferredRefreshableCredentials(self._fetch, "test", self._now)


async def _key(credentials: Credentials) -> str | None:
    return (await credentials.current(5)).access_key


async def test_concurrent_requests_fetch_credentials_once_and_in_a_thread() -> None:
    chain = Chain()
    credentials = Credentials(chain.find)
    assert await asyncio.gather(*(_key(credentials) for _ in range(20))) == ["key-1"] * 20
    assert chain.fetches == 1
    assert threading.current_thread() not in chain.threads


async def test_credentials_that_expire_soon_are_refreshed_in_the_background() -> None:
    """Requests use the old credentials until the new ones are there."""
    chain = Chain()
    credentials = Credentials(chain.find)
    await credentials.current(5)
    chain.minutes = 50
    chain.responsive.clear()
    assert [await _key(credentials) for _ in range(5)] == ["key-1"] * 5
    chain.responsive.set()
    await credentials._refresh
    assert await _key(credentials) == "key-2"
    assert chain.fetches == 2


async def test_requests_wait_for_new_credentials_when_the_old_ones_have_expired() -> None:
    chain = Chain()
    credentials = Credentials(chain.find)
    await credentials.current(5)
    chain.minutes = 60
    assert await asyncio.gather(*(_key(credentials) for _ in range(5))) == ["key-2"] * 5


async def test_a_cancelled_request_does_not_cancel_the_refresh_for_others() -> None:
    chain = Chain()
    chain.responsive.clear()
    credentials = Credentials(chain.find)
    first, second = (asyncio.create_task(_key(credentials)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    chain.responsive.set()
    assert await second == "key-1"


async def test_a_request_does_not_wait_longer_than_its_time() -> None:
    """Credentials that arrive too late serve the next request."""
    chain = Chain()
    chain.responsive.clear()
    credentials = Credentials(chain.find)
    with pytest.raises(CredentialRetrievalError):
        await credentials.current(0.05)
    chain.responsive.set()
    assert await _key(credentials) == "key-1"
    assert chain.fetches == 1


async def test_missing_credentials_are_looked_for_again_by_the_next_request() -> None:
    """A role may be attached later."""
    found = iter([None, BotocoreCredentials("late", "secret")])
    credentials = Credentials(lambda: next(found))
    with pytest.raises(NoCredentialsError):
        await credentials.current(5)
    assert await _key(credentials) == "late"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without credentials."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


async def test_credentials_are_found_in_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert await _key(Credentials(find_credentials)) == "from-environment"


async def test_credentials_are_found_in_a_named_profile(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "credentials").write_text(
        "[ops]\naws_access_key_id = from-profile\naws_secret_access_key = secret\n"
    )
    environment.setenv("AWS_PROFILE", "ops")
    assert await _key(Credentials(find_credentials)) == "from-profile"


async def test_credentials_are_found_in_the_role_of_an_ecs_task(
    environment: pytest.MonkeyPatch,
) -> None:
    """The ECS agent returns them over HTTP, with a session token."""

    async def agent(server: Peer, reader: StreamReader, writer: StreamWriter) -> None:
        await server.read(reader)
        role = {
            "AccessKeyId": "from-role",
            "SecretAccessKey": "secret",
            "Token": "session",
            "Expiration": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        }
        body = json.dumps(role).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    async with scripted(agent) as server:
        environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/role")
        role = await Credentials(find_credentials).current(5)
    assert (role.access_key, role.token) == ("from-role", "session")
