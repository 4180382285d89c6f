"""Keys on the board: asked for, kept for the session, refused, limited."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from api.principal import Scope
from tests.browser.board import Board
from tests.browser.conftest import Open
from tests.support import secured_app
from tests.support.builders import Client
from tests.support.secured_app import SecuredApp, bearer, with_other_secret


@pytest.fixture
def secured(moto: str) -> Iterator[SecuredApp]:
    with secured_app.serve(moto) as secured:
        yield secured


def test_without_keys_none_is_asked_for(board: Board) -> None:
    """Under AUTH=off."""
    expect(board.page.locator("dialog[open]")).to_have_count(0)
    expect(board.page.get_by_role("button", name="Forget key")).to_be_hidden()


def test_the_key_is_kept_for_the_session_and_nowhere_else(
    secured: SecuredApp, open_board: Open
) -> None:
    """It survives a reload; it is in no URL, no cookie, no other storage, no other window."""
    key = secured.make(Scope.READ, Scope.WRITE)["key"]
    secured.client.post("/v1/tasks", json={"title": "Secret"}, headers=bearer(key))
    board = open_board(secured.client)
    requests = board.requests()
    board.enter_key(key)
    board.has("todo", "Secret")
    board.page.reload()
    board.has("todo", "Secret")
    assert board.evaluate("Object.values(sessionStorage)") == [key]
    assert board.evaluate("document.cookie + JSON.stringify(localStorage) + location") == (
        "{}" + str(secured.client.base_url) + "/"
    )
    assert not [request for request in requests if key in request.url]
    assert board.page.context.cookies() == []
    open_board(secured.client).dialog("API key")


def test_a_refused_key_is_asked_for_again(secured: SecuredApp, open_board: Open) -> None:
    """With the reason; Escape does not lead to an empty board."""
    key = secured.make(Scope.READ)["key"]
    board = open_board(secured.client)
    board.enter_key("with a space")
    expect(board.dialog("API key").get_by_role("alert")).to_contain_text("not an API key")
    board.enter_key(with_other_secret(key))
    expect(board.dialog("API key").get_by_role("alert")).to_contain_text("expired or revoked")
    # No request is sent without a key, which would be refused for another reason.
    requests = board.requests()
    board.wait(60_000)
    assert requests == []
    expect(board.dialog("API key").get_by_role("alert")).to_contain_text("expired or revoked")
    board.page.keyboard.press("Escape")
    board.enter_key(key)
    board.is_loaded()
    expect(board.page.locator("dialog[open]")).to_have_count(0)


def test_a_key_is_forgotten_on_demand(secured: SecuredApp, open_board: Open) -> None:
    """With every task that was read with it."""
    key = secured.make(Scope.READ, Scope.WRITE)["key"]
    secured.client.post("/v1/tasks", json={"title": "Secret"}, headers=bearer(key))
    board = open_board(secured.client)
    board.enter_key(key)
    board.has("todo", "Secret")
    board.page.get_by_role("button", name="Forget key").click()
    board.dialog("API key")
    expect(board.page.locator(".card")).to_have_count(0)
    assert board.evaluate("sessionStorage.length") == 0


def test_a_key_that_may_not_read_is_told_so(secured: SecuredApp, open_board: Open) -> None:
    board = open_board(secured.client)
    board.enter_key(secured.make(Scope.WRITE)["key"])
    expect(board.dialog("API key").get_by_role("alert")).to_contain_text("tasks:read")


def test_a_key_that_may_only_read_shows_tasks_and_changes_none(
    secured: SecuredApp, open_board: Open
) -> None:
    """The board learns that from the first refused write, and then offers no other."""
    secured.tenant("default").post("/v1/tasks", json={"title": "Fixed"})
    board = open_board(secured.client)
    board.enter_key(secured.make(Scope.READ)["key"])
    board.focus("Fixed")
    board.page.keyboard.press("Shift+ArrowRight")
    board.banner("This key can read tasks, but not change them.")
    board.has("todo", "Fixed")
    expect(board.page.get_by_role("button", name="New task")).to_have_count(0)
    board.page.get_by_role("button", name="Fixed", exact=True).click()
    dialog = board.dialog("Task")
    expect(dialog.get_by_label("Title")).to_be_disabled()
    expect(dialog.get_by_role("button", name="Save")).to_be_hidden()
    expect(dialog.get_by_role("button", name="Delete")).to_be_hidden()


def test_a_rate_limit_is_waited_for(moto: str, open_board: Open) -> None:
    """The board says so, waits as long as Retry-After says, and sends the request again."""
    with secured_app.serve(moto, rate_limit=1) as secured:
        key = secured.make(Scope.READ, Scope.WRITE)["key"]
        board = open_board(secured.client)
        board.enter_key(key)
        board.banner("The server asks to wait: trying again in")
        for _ in range(20):
            secured.timer.seconds += 10
            board.wait(2_000)
            board.page.wait_for_timeout(50)
        board.is_loaded()
        board.has_no_banner()


def test_a_store_that_is_away_is_named(storeless_client: Client, open_board: Open) -> None:
    """The board tries again by itself."""
    board = open_board(storeless_client)
    board.banner("The server is busy: trying again in 1 s.")
    for _ in range(4):
        board.wait(1_500)
        board.page.wait_for_timeout(300)
    board.banner("What you see may be old. Trying again.")
