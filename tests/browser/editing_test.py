"""People create and change tasks."""

from playwright.sync_api import expect

from tests.browser.board import Board
from tests.browser.conftest import Open
from tests.support.builders import Client


def test_a_new_task_has_what_was_entered(board: Board, client: Client) -> None:
    """In every field; the time is that of the person's clock."""
    board.page.keyboard.press("n")
    dialog = board.dialog("New task")
    dialog.get_by_label("Title").fill("Write it down")
    dialog.get_by_label("Description").fill("On paper.")
    dialog.get_by_label("Priority").select_option("High")
    dialog.get_by_label("Project").fill("memory")
    dialog.get_by_label("Assignee").fill("ada")
    dialog.get_by_label("Due").fill("2031-01-31T10:30")
    for label in ("ink", "paper"):
        dialog.get_by_label("Labels").fill(label)
        dialog.get_by_label("Labels").press("Enter")
    dialog.get_by_label("Labels").fill("typed only")
    dialog.get_by_role("button", name="Create").click()
    board.has("todo", "Write it down")
    board.shows("Created “Write it down”.")
    (task,) = client.page()["items"]
    due = board.evaluate("new Date('2031-01-31T10:30').toISOString()")
    assert (
        task
        | {
            "title": "Write it down",
            "description": "On paper.",
            "priority": "high",
            "project": "memory",
            "assignee": "ada",
            "due_at": due,
            "labels": ["ink", "paper", "typed only"],
        }
        == task
    )


def test_a_change_sends_what_has_changed_and_can_be_undone(
    client: Client, open_board: Open
) -> None:
    task = client.create("Before", description="Stays", labels=["a"], due_at="2031-01-31T10:30:07Z")
    board = open_board(client)
    dialog = board.open("Before")
    dialog.get_by_label("Title").fill("After")
    dialog.get_by_role("button", name="Remove a").click()
    dialog.get_by_role("button", name="Save").click()
    board.has("todo", "After")
    board.is_focused("After")
    changed = client.get(f"/v1/tasks/{task['id']}").json()
    same = {name: task[name] for name in ("description", "due_at", "status", "priority")}
    assert changed | {"title": "After", "labels": [], "version": 2, **same} == changed
    board.page.get_by_role("button", name="Undo").click()
    board.shows("Undone: “Before” is as it was.")
    board.has("todo", "Before")
    assert client.get(f"/v1/tasks/{task['id']}").json()["labels"] == ["a"]


def test_names_of_new_tasks_are_offered(board: Board) -> None:
    """In the filters, and as suggestions, without another request for them."""
    requests = board.requests()
    board.page.keyboard.press("n")
    dialog = board.dialog("New task")
    dialog.get_by_label("Title").fill("Plant")
    dialog.get_by_label("Project").fill("garden")
    dialog.get_by_role("button", name="Create").click()
    board.has("todo", "Plant")
    board.wait()
    filters = board.page.get_by_role("search")
    filters.get_by_label("Project").select_option("garden")
    board.has("todo", "Plant")
    assert board.page.locator("#known-projects option").count() == 1
    assert not [request for request in requests if "/v1/projects" in request.url]


def test_the_focus_returns_to_what_opened_the_dialog(board: Board) -> None:
    for name in ("New task", "New task in In progress"):
        button = board.page.get_by_role("button", name=name, exact=True)
        button.click()
        board.dialog("New task").get_by_role("button", name="Cancel").click()
        expect(button).to_be_focused()


def test_saving_without_a_change_sends_nothing(client: Client, open_board: Open) -> None:
    task = client.create("Same", due_at="2031-01-31T10:30:07Z")
    board = open_board(client)
    dialog = board.open("Same")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    assert client.get(f"/v1/tasks/{task['id']}").json() == task


def test_a_refused_value_is_explained_and_can_be_corrected(board: Board) -> None:
    """The dialog stays open with what was entered."""
    board.page.get_by_role("button", name="New task", exact=True).click()
    dialog = board.dialog("New task")
    dialog.get_by_label("Title").fill("\u200b")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Title: ")
    dialog.get_by_label("Title").fill("Visible")
    dialog.get_by_role("button", name="Create").click()
    board.has("todo", "Visible")
