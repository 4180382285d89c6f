"""Two windows change one task: nothing is overwritten without a person's decision."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.board import Board
from tests.browser.conftest import Open
from tests.support.builders import Client

CHANGED = re.compile("has changed$")


def conflict(client: Client, open_board: Open) -> tuple[Board, Locator, str]:
    """Change a task's title in two windows; return the later one with its dialog."""
    task = client.create("Original", assignee="ada")
    first, second = open_board(client), open_board(client)
    dialogs = [board.open("Original") for board in (first, second)]
    dialogs[0].get_by_label("Title").fill("First")
    dialogs[0].get_by_label("Assignee").fill("tom")
    dialogs[1].get_by_label("Title").fill("Second")
    dialogs[0].get_by_role("button", name="Save").click()
    first.shows("Changed “First”.")
    dialogs[1].get_by_role("button", name="Save").click()
    return second, second.dialog(CHANGED), task["id"]


def test_the_dialog_shows_both_states(client: Client, open_board: Open) -> None:
    """Of each field that either of them changed."""
    _, dialog, _ = conflict(client, open_board)
    rows = dialog.locator("tbody tr")
    assert [row.split("\t") for row in rows.all_inner_texts()] == [
        ["Title", "Second", "First"],
        ["Assignee", "tom", "tom"],
    ]
    expect(dialog.locator("mark")).to_have_text(["Second", "First", "tom"])


@pytest.mark.parametrize(
    ("choice", "title"), [("Use yours", "Second"), ("Keep theirs", "First"), ("Escape", "First")]
)
def test_the_person_chooses(client: Client, open_board: Open, choice: str, title: str) -> None:
    """The other's change of other fields stays in any case."""
    board, dialog, task_id = conflict(client, open_board)
    if choice == "Escape":
        board.page.keyboard.press("Escape")
    else:
        dialog.get_by_role("button", name=choice).click()
    expect(board.page.locator("dialog[open]")).to_have_count(0)
    board.has("todo", title)
    task = client.get(f"/v1/tasks/{task_id}").json()
    assert (task["title"], task["assignee"]) == (title, "tom")


def test_undo_does_not_overwrite_a_later_change(client: Client, open_board: Open) -> None:
    task = client.create("Original")
    board = open_board(client)
    board.focus("Original")
    board.page.keyboard.press("Shift+ArrowRight")
    board.has("in_progress", "Original")
    board.shows("Moved “Original” to In progress.")
    later = client.get(f"/v1/tasks/{task['id']}").json()
    client.changed(later, status="done")
    board.has("done", "Original")
    board.page.keyboard.press("Control+z")
    board.dialog(CHANGED).get_by_role("button", name="Keep theirs").click()
    board.has("done", "Original")
    assert client.get(f"/v1/tasks/{task['id']}").json()["status"] == "done"
