"""A request can wait for a change: it costs little, delays no other, and ends with the server."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection

import httpx
import pytest

from api.changes.feed import Page
from api.changes.tokens import Token
from api.changes.watch import Watch
from api.clock import system_clock
from api.errors import StoreUnavailable
from api.limits import LIMITS, Limits
from api.main import create_app
from api.serving.server import uvicorn_config
from api.tasks import pages
from tests.support.builders import Client, settings
from tests.support.clock import Clock
from tests.support.server import running, serving
from tests.support.wait import wait_until

FEED = "/v1/changes"
# Longer than anything that is waited for here, but the ends of waits.
PATIENCE_SECONDS = 15
WAITERS = 50
GRACEFUL_STOP_SECONDS = 10


class Waiter:
    """A client whose requests wait in threads of their own."""

    def __init__(self, client: Client, threads: ThreadPoolExecutor) -> None:
        self.client = client
        self._threads = threads

    def token(self) -> str:
        token: str = self.client.get(FEED).json()["token"]
        return token

    def wait(self, token: str, seconds: int = 20, **query: str) -> Future[httpx.Response]:
        params = {"token": token, "wait": str(seconds), **query}
        return self._threads.submit(self.client.get, FEED, params=params)


@contextmanager
def waiting(store: str, limits: Limits = LIMITS) -> Iterator[tuple[Waiter, Watch]]:
    app = create_app(settings(store), limits=limits)
    with (
        ThreadPoolExecutor() as threads,
        serving(app) as url,
        Client(base_url=url, timeout=2 * PATIENCE_SECONDS) as client,
    ):
        waiter = Waiter(client, threads)
        wait_until(lambda: waiter.client.get("/readyz").status_code == 200, PATIENCE_SECONDS)
        yield waiter, app.state.changes.watch


def _is_watched(watch: Watch, number: int = 1) -> None:
    def is_watched() -> bool:
        return sum(each.waiting for each in watch._workspaces.values()) == number

    wait_until(is_watched, PATIENCE_SECONDS)


def test_a_waiting_request_returns_a_change_as_soon_as_there_is_one(store: str) -> None:
    """Also the next one, after it had an earlier change of the same second."""
    with waiting(store) as (waiter, watch):
        token = waiter.token()
        for title in ("a", "b"):
            future = waiter.wait(token)
            _is_watched(watch)
            waiter.client.create(title)
            changes = future.result(PATIENCE_SECONDS).json()
            assert [task["title"] for task in changes["tasks"]] == [title]
            token = changes["token"]


def test_a_change_that_does_not_pass_the_filters_ends_no_wait(moto: str) -> None:
    with waiting(moto) as (waiter, watch):
        token = waiter.client.get(FEED, params={"project": "p"}).json()["token"]
        future = waiter.wait(token, project="p")
        _is_watched(watch)
        waiter.client.create("other")
        waiter.client.create("wanted", project="p")
        changes = future.result(PATIENCE_SECONDS).json()
        assert [task["title"] for task in changes["tasks"]] == ["wanted"]


def test_a_wait_reads_past_changes_that_do_not_pass_the_filters(
    moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many a page passes over, the change behind them is returned at once."""
    monkeypatch.setattr(pages, "MAX_ROWS_READ", 5)
    app = create_app(settings(moto), clock=(clock := Clock()))
    with serving(app) as url, Client(base_url=url, timeout=PATIENCE_SECONDS) as client:
        token = client.get(FEED, params={"project": "p"}).json()["token"]
        for _ in range(20):
            client.create("other")
        client.create("wanted", project="p")
        # Memory holds a minute, so that this is read.
        clock.advance(minutes=5)
        params = {"token": token, "project": "p", "limit": "1", "wait": "20"}
        changes = client.get(FEED, params=params).json()
        assert [task["title"] for task in changes["tasks"]] == ["wanted"]


def test_a_wait_ends_without_a_change(moto: str) -> None:
    """The token goes on; nothing is polled any longer."""
    with waiting(moto) as (waiter, watch):
        changes = waiter.wait(waiter.token(), 1).result(PATIENCE_SECONDS).json()
        assert (changes["tasks"], changes["has_more"]) == ([], False)
        assert watch._workspaces == {}
        waiter.client.create("later")
        later = waiter.wait(changes["token"]).result(PATIENCE_SECONDS).json()
        assert [task["title"] for task in later["tasks"]] == ["later"]


def test_waiting_requests_hold_no_place_in_flight(moto: str) -> None:
    """Neither in the app nor in the connection."""
    limits = LIMITS._replace(in_flight=2, in_flight_each=2)
    with waiting(moto, limits) as (waiter, watch):
        token = waiter.token()
        futures = [waiter.wait(token) for _ in range(4)]
        _is_watched(watch, 4)
        metrics = waiter.client.get("/metrics").text.splitlines()
        # The scrape itself is in flight.
        assert {"http_requests_in_flight 1.0", "http_requests_waiting 4.0"} <= set(metrics)
        assert waiter.client.get("/v1/tasks").status_code == 200
        waiter.client.create()
        assert {future.result(PATIENCE_SECONDS).status_code for future in futures} == {200}
        assert waiter.client.get("/v1/tasks").status_code == 200


def test_the_places_for_waiting_are_limited(moto: str) -> None:
    """Beyond them a request gets 503, and the others wait on."""
    with waiting(moto, LIMITS._replace(waiting=2)) as (waiter, watch):
        token = waiter.token()
        futures = [waiter.wait(token) for _ in range(2)]
        _is_watched(watch, 2)
        refused = waiter.wait(token).result(PATIENCE_SECONDS)
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/overloaded")
        waiter.client.create()
        assert {future.result(PATIENCE_SECONDS).status_code for future in futures} == {200}
        assert waiter.wait(token, 1).result(PATIENCE_SECONDS).status_code == 200


def test_waits_end_when_the_server_stops(moto: str) -> None:
    """With a response, whose token is good for the next process."""
    app = create_app(settings(moto))
    with ThreadPoolExecutor() as threads, Client(timeout=2 * PATIENCE_SECONDS) as client:
        # Less than they wait: the server would cut off what does not end by itself.
        config = uvicorn_config(app, port=0, timeout_graceful_shutdown=GRACEFUL_STOP_SECONDS)
        with running(config) as url:
            client.base_url = httpx.URL(url)
            wait_until(lambda: client.get("/readyz").status_code == 200, PATIENCE_SECONDS)
            waiter = Waiter(client, threads)
            token = waiter.token()
            futures = [waiter.wait(token) for _ in range(3)]
            _is_watched(app.state.changes.watch, 3)
        for future in futures:
            assert future.result(PATIENCE_SECONDS).json()["tasks"] == []


def test_a_wait_ends_when_its_client_leaves(moto: str) -> None:
    """Otherwise clients that come and go would take all slots."""
    with waiting(moto) as (waiter, watch):
        params = {"token": waiter.token(), "wait": "20"}
        with suppress(httpx.ReadTimeout):
            waiter.client.get(FEED, params=params, timeout=2)
        wait_until(lambda: watch._workspaces == {}, PATIENCE_SECONDS)


@pytest.mark.parametrize("path", [FEED, f"{FEED}/stream"])
@pytest.mark.parametrize(("body", "status"), [(b"1\r\nx\r\n", 408), (b"b\r\n0123456789a\r\n", 413)])
def test_a_body_that_does_not_arrive_is_a_problem(
    moto: str, path: str, body: bytes, status: int
) -> None:
    """Before the wait or the stream begins: nothing needs it, but it must end."""
    app = create_app(settings(moto), limits=LIMITS._replace(body_seconds=1, body_bytes=10))
    with serving(app) as url, Client(base_url=url) as client:
        token = client.get(FEED).json()["token"]
        address = httpx.URL(url)
        connection = HTTPConnection(address.host, address.port or 80, timeout=PATIENCE_SECONDS)
        with closing(connection):
            query = f"token={token}" + "&wait=20" * (path == FEED)
            connection.putrequest("GET", f"{path}?{query}")
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders(body)
            assert connection.getresponse().status == status


def test_a_function_does_not_wait(moto: str) -> None:
    """It has one request at a time."""
    with (
        serving(create_app(settings(moto), as_function=True)) as url,
        Client(base_url=url) as client,
    ):
        wait_until(lambda: client.get("/readyz").status_code == 200, PATIENCE_SECONDS)
        token = client.get(FEED).json()["token"]
        response = client.get(FEED, params={"token": token, "wait": 20}, timeout=PATIENCE_SECONDS)
        assert response.json()["tasks"] == []


@pytest.mark.anyio
async def test_a_workspace_is_polled_once_however_many_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And again after a failure of the store."""
    monkeypatch.setattr("api.changes.watch.POLL_SECONDS", 0)
    pages: asyncio.Queue[Page | StoreUnavailable] = asyncio.Queue()
    reads = 0

    async def read(_workspace: str, _token: Token) -> Page:
        nonlocal reads
        reads += 1
        page = await pages.get()
        if isinstance(page, StoreUnavailable):
            raise page
        return page

    watch = Watch(read, system_clock)
    token = Token.at_horizon(system_clock())
    item = {name: {"S": "x"} for name in ("sk", "updated_order")}

    async def wait() -> None:
        async with watch.watching("w") as watched:
            await watched.event.wait()

    waiters = [asyncio.create_task(wait()) for _ in range(WAITERS)]
    for page in (Page([], token), StoreUnavailable("down"), Page([item], token)):
        assert not any(waiter.done() for waiter in waiters)
        await pages.put(page)
        await asyncio.sleep(0.01)
    await asyncio.gather(*waiters)
    # One for each page, and perhaps one that the end of the last wait has cancelled.
    assert reads in {3, 4}
    assert watch._workspaces == {}


@pytest.mark.anyio
async def test_an_unexpected_failure_stops_no_polling(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged once, and nothing is served from what an earlier look has shown."""
    token = Token.at_horizon(system_clock())
    item = {name: {"S": "x"} for name in ("sk", "updated_order")}
    failures = [RuntimeError("credentials")] * 3
    outcomes: Iterator[Page | Exception] = iter([Page([], token), *failures, Page([item], token)])
    served_from = []

    async def read(workspace: str, _token: Token) -> Page:
        served_from.append(watch._workspaces[workspace].recent)
        outcome = next(outcomes, Page([], token))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr("api.changes.watch.POLL_SECONDS", 0)
    watch = Watch(read, system_clock)
    async with asyncio.timeout(PATIENCE_SECONDS), watch.watching("w") as watched:
        await watched.event.wait()
    assert served_from[1] is not None
    assert served_from[2:5] == [None] * 3
    assert [record.exc_info is not None for record in caplog.records] == [True]
