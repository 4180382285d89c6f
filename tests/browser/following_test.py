"""The board follows the stream of changes, and polls where there is none."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx
import pytest
from playwright.sync_api import Request, Route, expect

from api.limits import LIMITS
from api.main import create_app
from api.principal import Scope
from api.serving.server import uvicorn_config
from tests.browser.board import Board
from tests.browser.conftest import Open
from tests.support import secured_app
from tests.support.builders import SECRET, Client, settings
from tests.support.secured_app import TASKS, bearer
from tests.support.server import running, serving
from tests.support.wait import wait_until

READY_SECONDS = 30
# Longer than a stream may be silent.
SILENCE_MS = 50_000


def lists(requests: list[Request]) -> list[str]:
    return [request.url for request in requests if "/v1/tasks?" in request.url]


def polls(requests: list[Request]) -> list[str]:
    return [request.url for request in requests if "/v1/changes?" in request.url]


def streams(requests: list[Request]) -> list[str]:
    return [request.url for request in requests if is_stream(request)]


def is_stream(request: Request) -> bool:
    return request.url.endswith("/v1/changes/stream")


def delete(client: Client, task: dict[str, Any]) -> None:
    client.delete(f"/v1/tasks/{task['id']}", headers={"If-Match": "*"})


def test_a_change_elsewhere_appears_by_itself(client: Client, open_board: Open) -> None:
    """A new task, a move and a deletion, by no other request; the focus stays where it is."""
    client.create("Kept")
    moved, gone = client.create("Moved"), client.create("Gone")
    board = open_board(client)
    board.has("todo", "Gone", "Moved", "Kept")
    requests = board.requests()
    board.focus("Kept")
    client.changed(moved, status="done")
    delete(client, gone)
    client.create("New")
    board.has("todo", "New", "Kept")
    board.has("done", "Moved")
    board.is_focused("Kept")
    assert lists(requests) + polls(requests) == []


def test_what_changes_while_the_lists_are_read_is_not_missed(
    client: Client, open_board: Open
) -> None:
    """The feed begins before them."""
    task = client.create("Before")

    def change(route: Route) -> None:
        response = route.fetch()
        client.changed(task, title="After")
        route.fulfill(response=response)

    board = open_board(client, goto=False)
    board.page.route("**/v1/tasks?*status=todo*", change, times=1)
    board.page.goto(str(client.base_url))
    board.has("todo", "After")


def test_a_changed_task_enters_or_leaves_a_filtered_board(client: Client, open_board: Open) -> None:
    """Without a list: the board decides. A selected task that leaves is not selected any more."""
    enters, leaves = client.create("Enters"), client.create("Leaves", assignee="ada")
    client.create("Stays", assignee="ada")
    board = open_board(client, "#assignee=%22ada%22")
    board.has("todo", "Stays", "Leaves")
    board.card("Leaves").get_by_role("checkbox").check()
    requests = board.requests()
    client.changed(leaves, assignee="tom")
    client.changed(enters, assignee="ada")
    client.create("Of another", assignee="tom")
    board.has("todo", "Stays", "Enters")
    expect(board.page.locator("#selection")).to_be_hidden()
    assert lists(requests) == []


def test_a_change_that_leaves_the_filtered_board_can_be_undone(
    client: Client, open_board: Open
) -> None:
    client.create("Mine", assignee="ada")
    board = open_board(client, "#assignee=%22ada%22")
    dialog = board.open("Mine")
    dialog.get_by_label("Assignee").fill("tom")
    dialog.get_by_role("button", name="Save").click()
    board.has("todo")
    board.page.get_by_role("button", name="Undo").click()
    board.has("todo", "Mine")


def test_an_open_editor_keeps_what_was_entered(client: Client, open_board: Open) -> None:
    """The card changes behind it; saving then shows both states."""
    task = client.create("Original")
    board = open_board(client)
    dialog = board.open("Original")
    dialog.get_by_label("Title").fill("Mine")
    client.changed(task, title="Theirs")
    expect(board.column("todo").locator(".title")).to_have_text("Theirs")
    expect(dialog.get_by_label("Title")).to_have_value("Mine")
    expect(dialog.get_by_label("Title")).to_be_focused()
    dialog.get_by_role("button", name="Save").click()
    expect(board.page.locator("#conflict mark")).to_have_text(["Mine", "Theirs"])


def test_a_hidden_board_requests_nothing(client: Client, open_board: Open) -> None:
    """When it is visible again, it goes on from where it was."""
    board = open_board(client, goto=False)
    with board.page.expect_request(is_stream) as first:
        board.page.goto(str(client.base_url))
    requests = board.requests()
    gone = client.create("Gone")
    board.has("todo", "Gone")
    board.hide(hidden=True)
    for _ in range(5):
        board.wait()
    assert requests == []
    client.create("Meanwhile")
    delete(client, gone)
    board.hide(hidden=False)
    board.has("todo", "Meanwhile")
    (second,) = requests
    assert is_stream(second)
    assert second.headers["last-event-id"] != first.value.headers["last-event-id"]


def test_a_silent_stream_is_replaced(board: Board, client: Client) -> None:
    """A connection may be lost without a sign of it."""
    client.create("First")
    board.has("todo", "First")
    with board.page.expect_request(is_stream):
        board.wait(SILENCE_MS)
    client.create("Second")
    board.has("todo", "Second", "First")


class Restartable:
    """A server that stops and starts again on its port, and another one of the same table."""

    def __init__(self, endpoint: str) -> None:
        self.settings = settings(endpoint)
        self.endpoint = endpoint
        self._server = ExitStack()
        self.client = Client()
        self.port = 0
        self.start(SECRET)
        self.port = self.client.base_url.port or 0

    def start(self, secret: str) -> None:
        app = create_app(
            settings(self.endpoint, table_name=self.settings.table_name, cursor_secret=secret)
        )
        url = self._server.enter_context(running(uvicorn_config(app, port=self.port)))
        self.client.base_url = httpx.URL(url)
        wait_until(lambda: self.client.get("/readyz").status_code == 200, READY_SECONDS)

    def stop(self) -> None:
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.client.close()


@pytest.fixture
def restartable(moto: str) -> Iterator[Restartable]:
    with Restartable(moto) as server:
        yield server


@pytest.mark.parametrize("secret", [SECRET, SECRET[::-1]], ids=["same", "other"])
def test_a_restart_is_survived_with_nothing_missed(
    restartable: Restartable, open_board: Open, secret: str
) -> None:
    """From the token on; everything is listed only if the new process refuses the token."""
    kept, gone = (restartable.client.create(title) for title in ("Kept", "Gone"))
    board = open_board(restartable.client)
    board.has("todo", "Gone", "Kept")
    requests = board.requests()
    restartable.stop()
    board.banner("The server cannot be reached. What you see may be old. Trying again.")
    other = create_app(restartable.settings)
    with serving(other) as url, Client(base_url=url) as client:
        client.changed(kept, status="done")
        client.create("New")
        delete(client, gone)
    restartable.start(secret)
    board.wait()
    board.has("todo", "New")
    board.has("done", "Kept")
    board.has_no_banner()
    assert len(lists(requests)) == (0 if secret == SECRET else 3)


@pytest.mark.parametrize(
    ("options", "attempts"),
    [({"as_function": True}, 1), ({"limits": LIMITS._replace(waiting=0)}, 2)],
    ids=["function", "busy"],
)
def test_without_a_stream_changes_are_polled(
    moto: str, open_board: Open, options: dict[str, Any], attempts: int
) -> None:
    """A function has none, which does not change; a server may have no place for one more now."""
    app = create_app(settings(moto), **options)
    with serving(app) as url, Client(base_url=url) as client:
        wait_until(lambda: client.get("/readyz").status_code == 200, READY_SECONDS)
        gone = client.create("Gone")
        board = open_board(client, goto=False)
        requests = board.requests()
        board.page.goto(url)
        board.has("todo", "Gone")
        with board.page.expect_response("**/v1/changes?token=*"):
            pass
        client.create("New")
        delete(client, gone)
        before = len(lists(requests))
        board.wait()
        board.has("todo", "New")
        assert len(lists(requests)) == before
        assert len(streams(requests)) == attempts
        board.has_no_banner()


def test_events_of_other_kinds_are_ignored(client: Client, open_board: Open) -> None:
    """Later versions of the API may send more."""
    other = ': sent by a proxy\n\nevent: other\ndata: {"id": "x", "version": 1}\n\n'
    token = 'event: token\ndata: {"token": "x"}\n\n'
    board = open_board(client, goto=False)
    response = {"body": other + token, "content_type": "text/event-stream"}
    board.page.route("**/v1/changes/stream", lambda route: route.fulfill(**response), times=1)
    board.page.goto(str(client.base_url))
    board.is_loaded()
    client.create("Next")
    board.wait()
    board.has("todo", "Next")


def test_events_are_the_same_however_they_are_cut(board: Board) -> None:
    """A part of the response may end anywhere, inside a character, too."""
    code = """async () => {
        const module = document.querySelector("link[href$='events.js']").href;
        const { readEvents } = await import(module);
        const text = 'event: a\\ndata: {"x": "ä: €\u2028"}\\n\\nevent: b\\nid: 1\\ndata: 2\\n\\n';
        const bytes = new TextEncoder().encode(text);
        const read = async (cut) => {
            const parts = [bytes.slice(0, cut), bytes.slice(cut)];
            const body = new ReadableStream({
                pull: (out) => (parts.length ? out.enqueue(parts.shift()) : out.close()),
            });
            const found = [];
            for await (const event of readEvents({ body })) found.push(event);
            return JSON.stringify(found);
        };
        return [...new Set(await Promise.all([...bytes.keys()].map(read)))];
    }"""
    assert board.evaluate(code) == [
        '[{"name":"a","data":{"x":"ä: €\u2028"}},{"name":"b","data":2}]'
    ]


def test_the_highest_version_of_a_task_is_shown(board: Board) -> None:
    """An index may show an older state later; a restored task has a higher version than before."""
    code = """async () => {
        const { Store } = await import(document.querySelector("link[href$='store.js']").href);
        const store = new Store();
        const shown = [];
        const task = (version) => ({ id: "a", version, status: "todo", title: `${version}` });
        const apply = (tasks, deletions) => {
            store.apply({ tasks, deletions });
            shown.push(store.columns().todo.map(({ title }) => title).join());
        };
        apply([task(3)], []);
        apply([task(2)], []);
        apply([], [{ id: "a", version: 4 }]);
        apply([task(3)], []);
        store.accept({ tasks: [task(3)], cutOff: [] }, Date.now());
        apply([], []);
        apply([task(5)], [{ id: "a", version: 4 }]);
        return shown;
    }"""
    assert board.evaluate(code) == ["3", "3", "", "", "", "5"]


def test_a_revoked_key_ends_it(moto: str, open_board: Open) -> None:
    """Nothing is requested until there is another key, with which the board begins anew."""
    with secured_app.serve(moto) as secured:
        revoked = secured.make(*TASKS)
        other = secured.make(Scope.READ, workspace="other")["key"]
        secured.tenant("default").create("Secret")
        tenant = secured.tenant("other")
        tenant.create("Of the other")
        board = open_board(secured.client)
        board.enter_key(revoked["key"])
        board.has("todo", "Secret")
        admin = bearer(secured_app.BOOTSTRAP)
        deleted = secured.client.delete(f"/v1/keys/{revoked['id']}", headers=admin)
        assert deleted.status_code == 204, deleted.text
        # A stream that is open goes on until its time is over.
        board.hide(hidden=True)
        board.hide(hidden=False)
        alert = board.dialog("API key").get_by_role("alert")
        expect(alert).to_contain_text("expired or revoked")
        requests = board.requests()
        board.wait(SILENCE_MS)
        assert requests == []
        board.enter_key(other)
        board.has("todo", "Of the other")
        tenant.create("New")
        board.has("todo", "New", "Of the other")
        assert polls(requests)[0].endswith("/v1/changes?")
        assert len(polls(requests)) == 1


def test_a_due_filter_finds_what_becomes_overdue(client: Client, open_board: Open) -> None:
    """Time passes also while no task changes."""
    client.create("Soon", due_at=(datetime.now(UTC) + timedelta(minutes=30)).isoformat())
    board = open_board(client, "#due=overdue")
    board.is_loaded()
    board.has("todo")
    with board.page.expect_request(lambda request: "due_before=" in request.url):
        board.wait(40 * 60_000)
    board.has("todo", "Soon")
