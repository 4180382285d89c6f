"""Tasks move by keyboard and by drag and drop, and back again."""

import pytest
from playwright.sync_api import expect

from api.tasks.models import MOVES, STATES, Priority, State, Status
from tests.browser.board import Board
from tests.browser.conftest import Open
from tests.support.builders import Client


def status_of(client: Client, title: str) -> str:
    tasks = client.page(state="all")["items"]
    return next(str(task["status"]) for task in tasks if task["title"] == title)


def test_the_boards_moves_are_those_of_the_api(board: Board) -> None:
    """Each step of a move is legal, and the last one leads where it was meant to."""
    code = "async (pair) => (await import(document.scripts[0].src.replace('main', 'model')))"
    for origin in Status:
        for target in Status:
            steps = board.evaluate(f"{code}.steps(...pair)", [origin, target])
            assert [*steps, target][-1] == target
            for before, after in zip([origin, *steps], steps, strict=False):
                assert after in MOVES[before]
            assert bool(steps) == (origin != target)
    model = board.evaluate(f"{code.replace('(pair)', '()')}.PRIORITIES")
    assert model == list(Priority)
    model = board.evaluate(f"{code.replace('(pair)', '()')}.OPEN_STATUSES")
    assert model == [status for status in Status if STATES[status] is State.OPEN]


def test_shift_and_an_arrow_key_move_a_task(client: Client, open_board: Open) -> None:
    """The focus goes with it, screen readers are told, and Control Z undoes it."""
    client.create("Walk")
    board = open_board(client)
    board.focus("Walk")
    board.page.keyboard.press("Shift+ArrowRight")
    board.has("in_progress", "Walk")
    board.announces("Moved “Walk” to In progress.")
    board.is_focused("Walk")
    board.page.keyboard.press("Shift+ArrowRight")
    board.has("done", "Walk")
    board.announces("Moved “Walk” to Done.")
    assert status_of(client, "Walk") == "done"
    board.page.keyboard.press("Control+z")
    board.has("in_progress", "Walk")
    board.shows("Undone: “Walk” is as it was.")
    assert status_of(client, "Walk") == "in_progress"


def test_arrow_keys_move_the_focus(client: Client, open_board: Open) -> None:
    """Up and down in a column, left and right to the next column that has a task."""
    client.create("Closed", status="cancelled")
    client.create("Second")
    client.create("First")
    board = open_board(client)
    board.focus("First")
    for key, title in (("Down", "Second"), ("Right", "Closed"), ("Left", "First")):
        board.page.keyboard.press(f"Arrow{key}")
        board.is_focused(title)


def test_a_closed_task_is_reopened_on_its_way(client: Client, open_board: Open) -> None:
    """One gesture, two requests: the API moves a closed task to To do only."""
    client.create("Again", status="done")
    board = open_board(client)
    board.focus("Again")
    board.page.keyboard.press("Shift+ArrowLeft")
    board.has("in_progress", "Again")
    board.shows("Moved “Again” to In progress.")
    assert status_of(client, "Again") == "in_progress"


def test_a_task_is_dragged_to_another_column(client: Client, open_board: Open) -> None:
    client.create("Pull")
    board = open_board(client)
    board.card("Pull").drag_to(board.column("done"))
    board.has("done", "Pull")
    board.shows("Moved “Pull” to Done.")
    expect(board.column("todo").locator(".card")).to_have_count(0)
    assert status_of(client, "Pull") == "done"


@pytest.mark.parametrize("target", ["Done", "Cancelled"])
def test_a_task_is_moved_in_its_dialog(client: Client, open_board: Open, target: str) -> None:
    """Which also works with a screen reader, and on a phone."""
    client.create("Close")
    board = open_board(client)
    dialog = board.open("Close")
    dialog.get_by_label("Status").select_option(target)
    dialog.get_by_role("button", name="Save").click()
    board.has(target.lower(), "Close")


def test_a_task_that_is_gone_leaves_the_board(client: Client, open_board: Open) -> None:
    """The person is told why the move failed, also before the stream tells of the deletion."""
    task = client.create("Ghost")
    board = open_board(client, goto=False)
    board.page.route("**/v1/changes/stream", lambda _: None)
    board.page.goto(str(client.base_url))
    board.has("todo", "Ghost")
    client.delete(f"/v1/tasks/{task['id']}", headers={"If-Match": "*"})
    board.focus("Ghost")
    board.page.keyboard.press("Shift+ArrowRight")
    board.has("todo")
    board.has("in_progress")
    expect(board.page.locator("#toast.failed")).to_be_visible()
