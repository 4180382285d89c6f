"""Filters, search and order: by the API, and kept in the address."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from tests.browser.board import Board
from tests.browser.conftest import Open
from tests.support.builders import Client


def create_some(client: Client) -> None:
    now = datetime.now(UTC)
    client.create("Pack the box", project="move", assignee="ada", labels=["paper", "ink"])
    client.create("Send the box", project="none", labels=["ink"], priority="high")
    client.create("Late", due_at=(now - timedelta(days=2)).isoformat(), priority="urgent")
    client.create("Soon", due_at=(now + timedelta(days=3)).isoformat())
    client.create("Packed", status="done", project="move")


def test_each_filter_finds_its_tasks(client: Client, open_board: Open) -> None:
    create_some(client)
    board = open_board(client)
    board.is_loaded()
    filters = board.page.get_by_role("search")
    cases = [
        ("Project", "move", ["Pack the box"]),
        # The project of this name, not tasks without one.
        ("Project", "none", ["Send the box"]),
        ("Project", "No project", ["Soon", "Late"]),
        ("Assignee", "ada", ["Pack the box"]),
        ("Assignee", "Unassigned", ["Soon", "Late", "Send the box"]),
        ("Priority", "High", ["Send the box"]),
        ("Due", "Overdue", ["Late"]),
        ("Due", "Due in 7 days", ["Soon"]),
    ]
    for label, option, titles in cases:
        filters.get_by_label(label).select_option(label=option)
        board.has("todo", *titles)
        filters.get_by_role("button", name="Clear filters").click()
        board.has("todo", "Soon", "Late", "Send the box", "Pack the box")


def test_labels_add_up(client: Client, open_board: Open) -> None:
    """A task has all of them; each can be taken away."""
    create_some(client)
    board = open_board(client)
    filters = board.page.get_by_role("search")
    expect(filters.get_by_label("Label").get_by_role("option")).to_have_count(3)
    filters.get_by_label("Label").select_option(label="ink")
    board.has("todo", "Send the box", "Pack the box")
    filters.get_by_label("Label").select_option(label="paper")
    board.has("todo", "Pack the box")
    filters.get_by_role("button", name="Remove paper").click()
    board.has("todo", "Send the box", "Pack the box")


def test_words_of_titles_are_searched_for(client: Client, open_board: Open) -> None:
    """In every column; a column without a match says so."""
    create_some(client)
    board = open_board(client)
    board.is_loaded()
    board.page.keyboard.press("/")
    board.page.keyboard.type("PACK")
    board.wait(1_000)
    board.has("todo", "Pack the box")
    board.has("done", "Packed")
    expect(board.column("in_progress")).to_contain_text("No task matches the filters.")


def test_open_tasks_have_an_order(client: Client, open_board: Open) -> None:
    create_some(client)
    board = open_board(client)
    order = board.page.get_by_label("Order")
    order.select_option("By due date")
    board.has("todo", "Late", "Soon", "Send the box", "Pack the box")
    order.select_option("By priority")
    board.has("todo", "Late", "Send the box", "Soon", "Pack the box")


def test_the_address_holds_the_filters(client: Client, open_board: Open) -> None:
    """To be bookmarked or sent to others."""
    create_some(client)
    board = open_board(client)
    board.is_loaded()
    board.page.get_by_role("search").get_by_label("Project").select_option(label="move")
    board.has("todo", "Pack the box")
    other: Board = open_board(client, board.page.url.removeprefix(f"{client.base_url}/"))
    other.has("todo", "Pack the box")
    other.has("done", "Packed")


def test_due_times_are_marked(client: Client, open_board: Open) -> None:
    """In words, not by colour alone. A closed task is never overdue."""
    late = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    client.create("Late", due_at=late)
    client.create("Closed", due_at=late, status="done")
    board = open_board(client)
    expect(board.card("Late").locator(".due")).to_contain_text("Overdue")
    expect(board.card("Closed").locator(".due")).not_to_contain_text("Overdue")


def test_a_task_becomes_overdue_while_the_board_is_open(client: Client, open_board: Open) -> None:
    client.create("Soon", due_at=(datetime.now(UTC) + timedelta(minutes=30)).isoformat())
    board = open_board(client)
    mark = board.card("Soon").locator(".due")
    expect(mark).not_to_contain_text("Overdue")
    board.wait(40 * 60_000)
    expect(mark).to_contain_text("Overdue")
