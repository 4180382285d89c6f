"""People delete tasks, and take it back."""

import re
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from api.principal import Scope
from tests.browser.board import Board
from tests.browser.conftest import Open
from tests.support import secured_app
from tests.support.builders import Client

UNKNOWN_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def opened(client: Client, open_board: Open, *titles: str) -> Board:
    """Create tasks and open the board that shows them in this order."""
    for title in reversed(titles):
        client.create(title)
    board = open_board(client)
    board.has("todo", *titles)
    return board


def delete_selected(board: Board, *titles: str) -> None:
    for title in titles:
        board.card(title).get_by_role("checkbox").check()
    board.page.get_by_role("form", name="Selected tasks").get_by_text("Delete").click()
    question = f"Delete {len(titles)} tasks?"
    board.dialog(question).get_by_role("button", name=question[:-1]).click()


def expire(board: Board, task: dict[str, Any]) -> None:
    """Let the server have no such task, as after 30 days."""

    def of_another(route: Route) -> None:
        route.continue_(url=route.request.url.replace(task["id"], UNKNOWN_ID))

    board.page.route(f"**/{task['id']}/restore", of_another)


def test_a_deletion_asks_nothing_and_can_be_undone(client: Client, open_board: Open) -> None:
    """By key: the focus goes on to the task that takes its place."""
    board = opened(client, open_board, "First", "Away", "Last")
    (task,) = client.page(q="Away")["items"]
    board.focus("Away")
    board.page.keyboard.press("Delete")
    board.has("todo", "First", "Last")
    board.shows("Deleted “Away”.")
    board.announces("Control Z undoes it.")
    board.is_focused("Last")
    assert client.get(f"/v1/tasks/{task['id']}").status_code == 404
    board.page.keyboard.press("Control+z")
    board.shows("Restored “Away”.")
    board.has("todo", "First", "Away", "Last")
    board.is_focused("Last")
    assert client.titles() == ["First", "Away", "Last"]


def test_a_restored_task_is_there_once_and_stays(client: Client, open_board: Open) -> None:
    """Though the stream tells of its deletion and of the restore, too."""
    board = opened(client, open_board, "Away")
    board.focus("Away")
    board.page.keyboard.press("Delete")
    board.has("todo")
    board.page.keyboard.press("Control+z")
    board.has("todo", "Away")
    code = """() => {
        window.removed = 0;
        const note = (records) => records.forEach(({ removedNodes }) => {
            window.removed += removedNodes.length;
        });
        const cards = document.querySelector(".cards");
        new MutationObserver(note).observe(cards, { childList: true });
    }"""
    board.evaluate(code)
    client.create("Later")
    # What came before it on the stream has been taken over as well.
    board.has("todo", "Later", "Away")
    assert board.evaluate("window.removed") == 0


def test_a_task_is_deleted_in_its_dialog(client: Client, open_board: Open) -> None:
    """Without a question. The focus goes on as after the key; Undo keeps it in the message."""
    board = opened(client, open_board, "First", "Away", "Next")
    dialog = board.open("Away")
    dialog.get_by_role("button", name="Delete").click()
    expect(board.page.locator("dialog[open]")).to_have_count(0)
    board.has("todo", "First", "Next")
    board.is_focused("Next")
    board.page.get_by_role("button", name="Undo").press("Enter")
    board.has("todo", "First", "Away", "Next")
    dismiss = board.page.get_by_role("button", name="Dismiss")
    expect(dismiss).to_be_focused()
    dismiss.press("Enter")
    expect(board.page.locator("main")).to_be_focused()


def test_a_key_that_is_held_down_deletes_one_task(client: Client, open_board: Open) -> None:
    board = opened(client, open_board, "Away", "Kept")
    requests = board.requests()
    board.focus("Away")
    board.page.keyboard.down("Delete")
    board.is_focused("Kept")
    board.page.keyboard.down("Delete")
    board.page.keyboard.up("Delete")
    board.page.keyboard.press("Shift+ArrowRight")
    board.has("in_progress", "Kept")
    assert [request.method for request in requests if request.method == "DELETE"] == ["DELETE"]


def test_a_restored_task_has_its_comments_and_later_changes(
    client: Client, open_board: Open
) -> None:
    """Undo overwrites nothing where another has restored the task already."""
    board = opened(client, open_board, "Away")
    (task,) = client.page()["items"]
    client.comment(task, "Stays")
    # The stream has brought the comment's task when it has brought what came later.
    client.create("Later")
    board.has("todo", "Later", "Away")
    board.focus("Away")
    board.page.keyboard.press("Delete")
    board.shows("Deleted “Away”.")
    restored = client.post(f"/v1/tasks/{task['id']}/restore").json()
    client.changed(restored, priority="high")
    board.page.keyboard.press("Control+z")
    board.shows("Restored “Away”.")
    expect(board.card("Away")).to_contain_text("High")
    assert client.comments(task) == ["Stays"]


def test_a_task_that_cannot_be_restored_is_named(client: Client, open_board: Open) -> None:
    board = opened(client, open_board, "Away")
    expire(board, client.page()["items"][0])
    board.focus("Away")
    board.page.keyboard.press("Delete")
    board.page.get_by_role("button", name="Undo").click()
    board.shows("“Away” cannot be restored any more.")
    expect(board.page.get_by_role("button", name="Undo")).to_have_count(0)


def test_several_deleted_tasks_are_restored_one_by_one(client: Client, open_board: Open) -> None:
    """After a question, because many go at once; what cannot be restored stops no other."""
    titles = [f"T{n}" for n in range(8)]
    board = opened(client, open_board, *titles, "Kept")
    expire(board, client.page(q="T3")["items"][0])
    delete_selected(board, *titles)
    board.shows("Deleted 8 tasks.")
    board.is_focused("Kept")
    requests = board.requests()
    board.page.keyboard.press("Control+z")
    board.shows("Restored 7 tasks. “T3” cannot be restored any more.")
    board.has("todo", *[title for title in titles if title != "T3"], "Kept")
    restores = [request for request in requests if request.url.endswith("/restore")]
    assert len(restores) == 8


def test_a_single_selected_task_is_deleted_without_a_question(
    client: Client, open_board: Open
) -> None:
    board = opened(client, open_board, "Away")
    board.card("Away").get_by_role("checkbox").check()
    board.page.get_by_role("form", name="Selected tasks").get_by_text("Delete").click()
    board.shows("Deleted “Away”.")


def test_undo_goes_on_after_a_lost_network(client: Client, open_board: Open) -> None:
    """With the tasks that are not restored yet."""
    board = opened(client, open_board, "A", "B")
    delete_selected(board, "A", "B")
    board.shows("Deleted 2 tasks.")
    board.page.route("**/restore", lambda route: route.abort())
    board.page.get_by_role("button", name="Undo").click()
    board.shows("Not restored: 2 tasks. The server cannot be reached.")
    board.page.unroute("**/restore")
    board.page.get_by_role("button", name="Undo").click()
    board.shows("Restored 2 tasks.")
    board.has("todo", "A", "B")


def test_a_key_that_may_only_read_deletes_nothing(moto: str, open_board: Open) -> None:
    """There is nothing to undo then."""
    with secured_app.serve(moto) as secured:
        secured.tenant("default").create("Fixed")
        board = open_board(secured.client)
        board.enter_key(secured.make(Scope.READ)["key"])
        board.focus("Fixed")
        board.page.keyboard.press("Delete")
        board.banner("This key can read tasks, but not change them.")
        board.has("todo", "Fixed")
        expect(board.page.locator("#toast")).to_be_hidden()
        requests = board.requests()
        board.page.keyboard.press("Control+z")
        board.page.keyboard.press("Delete")
        board.page.get_by_role("button", name="Fixed", exact=True).click()
        board.dialog("Task")
        assert [request.url for request in requests if request.method != "GET"] == []


@pytest.mark.parametrize("way", ["forgotten", "refused"])
def test_another_key_undoes_nothing_of_the_last_one(moto: str, open_board: Open, way: str) -> None:
    with secured_app.serve(moto) as secured:
        first = secured.make(Scope.READ, Scope.WRITE)
        secured.tenant("default").create("Away")
        board = open_board(secured.client)
        board.enter_key(first["key"])
        board.focus("Away")
        board.page.keyboard.press("Delete")
        board.shows("Deleted “Away”.")
        if way == "forgotten":
            board.page.get_by_role("button", name="Forget key").click()
        else:
            admin = secured_app.bearer(secured_app.BOOTSTRAP)
            secured.client.delete(f"/v1/keys/{first['id']}", headers=admin)
            board.hide(hidden=True)
            board.hide(hidden=False)
        board.enter_key(secured.make(Scope.READ, Scope.WRITE)["key"])
        board.is_loaded()
        expect(board.page.locator("#toast")).to_be_hidden()
        requests = board.requests()
        board.page.keyboard.press("Control+z")
        board.page.keyboard.press("?")
        board.dialog(re.compile("shortcuts"))
        assert [request.url for request in requests if request.method != "GET"] == []
