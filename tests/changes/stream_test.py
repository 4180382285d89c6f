"""The feed as server-sent events."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest.mock import patch

import httpx
import pytest

from api.changes import service as changes_service
from api.changes.models import ChangesQuery
from api.dynamodb.http_client import BrokenError
from api.dynamodb.retry import MAX_ATTEMPTS
from api.limits import LIMITS
from api.main import create_app
from api.serving.server import uvicorn_config
from api.tasks.models import NewTask
from tests.support.builders import Client, settings
from tests.support.server import running, serving
from tests.support.service import WORKSPACE, Service
from tests.support.wait import wait_until

STREAM = "/v1/changes/stream"
SECONDS = 20


class Event(NamedTuple):
    """A server-sent event."""

    name: str
    data: dict[str, Any]
    id: str | None


def events(response: httpx.Response) -> Iterator[Event]:
    """Parse a stream as HTML's specification says, as far as this one needs it."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
            fields = {}


def until_token(stream: Iterator[Event]) -> list[Event]:
    """Return the events of a page, of which the last one is its token."""
    page = [next(stream)]
    while page[-1].name != "token":
        page.append(next(stream))
    return page


def until_news(stream: Iterator[Event]) -> list[Event]:
    """Return the next page that has more than a token."""
    while len(page := until_token(stream)) == 1:
        pass
    return page


def test_a_stream_sends_changes_as_they_happen(any_client: Client) -> None:
    """Tasks, comments and deletions; the token at the end of a page is its id."""
    with any_client.stream("GET", STREAM, timeout=SECONDS) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["X-Accel-Buffering"] == "no"
        stream = events(response)
        (token,) = until_token(stream)
        assert token.id == token.data["token"]
        created = any_client.create("a")
        assert until_news(stream)[0][:2] == ("task", created)
        comment = any_client.comment(created)
        news = until_news(stream)
        assert [event.name for event in news] == ["task", "comment", "token"]
        assert news[1].data == comment
        any_client.delete(any_client.comments_path(created, comment), headers={"If-Match": "*"})
        assert [event.name for event in until_news(stream)] == ["task", "comment_deletion", "token"]
        any_client.delete(f"/v1/tasks/{created['id']}", headers={"If-Match": "*"})
        deletion, token = until_news(stream)
        assert (deletion.name, deletion.data["id"], deletion.id) == (
            "deletion",
            created["id"],
            None,
        )
        assert token.id is not None


@pytest.mark.parametrize("by", ["header", "parameter"])
def test_a_stream_goes_on_after_the_last_event(client: Client, by: str) -> None:
    """Browsers send its id in a header by themselves; the feed and the stream share tokens."""
    token = client.get("/v1/changes").json()["token"]
    client.create("missed")
    headers = {"Last-Event-ID": token} if by == "header" else {}
    params = {"seconds": "0"} | ({"token": token} if by == "parameter" else {})
    with client.stream("GET", STREAM, headers=headers, params=params) as response:
        task, last = list(events(response))
    assert task.data["title"] == "missed"
    changes = client.get("/v1/changes", params={"token": last.id}).json()
    assert changes["tasks"] == []


def test_a_token_that_is_too_old_is_a_problem_before_the_stream_begins(client: Client) -> None:
    response = client.get(STREAM, headers={"Last-Event-ID": "forged"})
    assert (response.status_code, response.json()["type"]) == (410, "/problems/feed-expired")


def test_a_stream_without_changes_sends_its_token_from_time_to_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would end a silent connection."""
    monkeypatch.setattr(changes_service, "HEARTBEAT_SECONDS", 0.01)
    with client.stream("GET", STREAM, timeout=SECONDS) as response:
        stream = events(response)
        assert [len(until_token(stream)) for _ in range(3)] == [1, 1, 1]


@pytest.mark.anyio
async def test_a_stream_pauses_while_the_store_fails(moto: str) -> None:
    """Also if its last page said that there is more."""
    calls = 0

    async def send(_request: bytes, _seconds: float) -> Any:
        nonlocal calls
        calls += 1
        raise BrokenError("broken by the test")

    async with Service.at(moto) as service:
        token = (await service.feed.read(WORKSPACE, ChangesQuery())).token
        for _ in range(2):
            await service.tasks.create(WORKSPACE, NewTask(title="x"))
        query = ChangesQuery(token=token, limit=1)
        first = await service.feed.read(WORKSPACE, query)
        assert first.has_more
        pages = service.feed.follow(WORKSPACE, query, first, SECONDS)
        assert await anext(pages) == first
        with patch.object(service.http, "send", send), pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(pages), 0.5)
        # Those of a read and a look, or two, with their retries.
        assert calls <= 3 * MAX_ATTEMPTS


def test_a_stream_holds_a_place_until_its_client_leaves(moto: str) -> None:
    """Of those that wait, none in flight."""
    limits = LIMITS._replace(in_flight=2, in_flight_each=2, waiting=2)
    app = create_app(settings(moto), limits=limits)
    with serving(app) as url, Client(base_url=url, timeout=SECONDS) as client:
        wait_until(lambda: client.get("/readyz").status_code == 200, SECONDS)
        with client.stream("GET", STREAM), client.stream("GET", STREAM):
            assert client.get(STREAM).json()["type"] == "/problems/overloaded"
            assert client.get("/v1/tasks").status_code == 200
        params = {"seconds": 0}
        wait_until(lambda: client.get(STREAM, params=params).status_code == 200, SECONDS)


def test_streams_end_when_the_server_stops(moto: str) -> None:
    """As a whole response, after which the client goes on with the next process."""
    app = create_app(settings(moto))
    with Client(timeout=SECONDS) as client:
        config = uvicorn_config(app, port=0, timeout_graceful_shutdown=SECONDS)
        with running(config) as url:
            client.base_url = httpx.URL(url)
            wait_until(lambda: client.get("/readyz").status_code == 200, SECONDS)
            response = client.send(client.build_request("GET", STREAM), stream=True)
            stream = events(response)
            until_token(stream)
        assert {event.name for event in stream} <= {"token"}


def test_head_gets_the_headers_at_once(client: Client) -> None:
    response = client.head(STREAM)
    assert response.headers["Content-Type"].startswith("text/event-stream")


def test_a_function_has_no_streams(moto: str) -> None:
    with (
        serving(create_app(settings(moto), as_function=True)) as url,
        Client(base_url=url) as client,
    ):
        assert client.get(STREAM).status_code == 404
