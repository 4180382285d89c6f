"""Several tasks are selected and changed in one request."""

from playwright.sync_api import Locator, expect

from tests.browser.board import Board
from tests.browser.conftest import Open
from tests.support.builders import Client


def opened(client: Client, open_board: Open, *titles: str) -> tuple[Board, Locator]:
    """Select these tasks; return the board, and the bar of the selection."""
    board = open_board(client)
    board.is_loaded()
    for title in titles:
        board.focus(title)
        board.page.keyboard.press("x")
    bar = board.page.get_by_role("form", name="Selected tasks")
    expect(bar).to_contain_text(f"{len(titles)} tasks selected")
    return board, bar


def test_selected_tasks_move_together_and_back(client: Client, open_board: Open) -> None:
    """By one request, and by two where a closed task is reopened on its way."""
    client.create("C", status="done")
    for title in ("B", "A"):
        client.create(title)
    board, bar = opened(client, open_board, "A", "C")
    requests = board.requests()
    bar.get_by_label("Move to").select_option("In progress")
    board.shows("Moved 2 tasks to In progress.")
    board.has("todo", "B")
    board.has("in_progress", "A", "C")
    expect(bar).to_be_hidden()
    writes = [request.url for request in requests if request.method != "GET"]
    assert writes == [f"{client.base_url}/v1/tasks/bulk"] * 2
    board.page.get_by_role("button", name="Undo").click()
    board.shows("Undone for 2 tasks.")
    board.has("done", "C")
    board.has("todo", "A", "B")
    tasks = {task["title"]: task["status"] for task in client.page(state="all")["items"]}
    assert tasks == {"A": "todo", "B": "todo", "C": "done"}


def test_a_dragged_card_takes_the_selection_along(client: Client, open_board: Open) -> None:
    for title in ("B", "A"):
        client.create(title)
    board, _ = opened(client, open_board, "A", "B")
    board.card("A").drag_to(board.column("done"))
    board.shows("Moved 2 tasks to Done.")
    assert sorted(board.titles("done")) == ["A", "B"]


def test_one_change_sets_several_fields(client: Client, open_board: Open) -> None:
    """A label is added to those that a task has."""
    client.create("B", labels=["old"])
    client.create("A")
    board, bar = opened(client, open_board, "A", "B")
    bar.get_by_label("Assign to").fill("ada")
    bar.get_by_label("Add label").fill("new")
    bar.get_by_role("button", name="Apply").click()
    board.shows("Changed 2 tasks.")
    assert {t["title"]: (t["assignee"], t["labels"]) for t in client.page()["items"]} == {
        "A": ("ada", ["new"]),
        "B": ("ada", ["old", "new"]),
    }
    board.page.keyboard.press("Control+z")
    board.shows("Undone for 2 tasks.")
    assert [(t["assignee"], t["labels"]) for t in client.page(sort="created")["items"]] == [
        (None, ["old"]),
        (None, []),
    ]


def test_what_was_refused_is_reported_and_stays_selected(client: Client, open_board: Open) -> None:
    """The others are done."""
    client.create("B")
    changed = client.create("A")
    board, bar = opened(client, open_board, "A", "B")
    client.changed(changed, priority="high")
    bar.get_by_label("Move to").select_option("Done")
    board.shows("Moved 1 task to Done. 1 not: Task has changed.")
    board.has("done", "B")
    board.has("todo", "A")
    expect(bar).to_contain_text("selected")


def test_more_than_a_hundred_are_deleted_in_several_requests(
    client: Client, open_board: Open
) -> None:
    """After one question."""
    for start in range(0, 120, 60):
        items = [{"create": {"title": f"T{start + n}"}} for n in range(60)]
        assert client.post("/v1/tasks/bulk", json={"items": items}).status_code == 200
    board = open_board(client)
    board.is_loaded()
    grow = board.column("todo").get_by_role("button", name="Show more")
    while grow.is_visible():
        board.column("todo").locator(".scroller").evaluate("each => each.scrollTo(0, 1e6)")
        board.page.wait_for_timeout(50)
    expect(board.column("todo").locator(".card")).to_have_count(120)
    board.evaluate("document.querySelectorAll('.select').forEach((box) => box.click())")
    board.page.get_by_role("form", name="Selected tasks").get_by_text("Delete").click()
    confirm = board.dialog("Delete 120 tasks?")
    requests = board.requests()
    confirm.get_by_role("button", name="Delete 120 tasks").click()
    board.shows("Deleted 120 tasks.")
    board.has("todo")
    assert len([request for request in requests if request.url.endswith("/bulk")]) == 2
    assert client.page()["items"] == []
