"""Filters, search and order: as the API has them, and kept in the address."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import Route, expect

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


FILTERED = [
    "",
    "q=PACK box",
    "q=STRASSE",
    "q=οδοσ",
    "q=cafe\u0301",
    "q= ",
    "assignee=none",
    'assignee="none"',
    'assignee="ada"',
    'project="move"&label=ink&label=paper',
    "label=ink",
    "priority=high",
    "priority=none",
    "due=overdue",
    "due=today",
    "due=week",
    'due=week&assignee="ada"&priority=urgent',
]
DECIDE = """async ([fragment, tasks]) => {
    const module = document.querySelector("link[href$='filters.js']").href;
    const { closedParameters, fromFragment, openParameters, passes } = await import(module);
    const filters = fromFragment(new URLSearchParams(fragment).toString());
    const lists = ["todo", "in_progress"].map((status) => openParameters(filters, status));
    if (filters.due !== "overdue") lists.push(closedParameters(filters));
    const passing = tasks.filter((task) => passes(task, filters));
    return { lists: lists.map(String), passing: passing.map(({ title }) => title) };
}"""


def test_the_board_decides_as_the_api_does(client: Client, open_board: Open) -> None:
    """Whether a changed task passes the filters."""
    now = datetime.now(UTC)
    create_some(client)
    client.create("Straße", assignee="none", status="in_progress")
    client.create("Οδος", priority="high", labels=["ink", "other"])
    client.create("CAFÉ", due_at=(now + timedelta(minutes=30)).isoformat(), assignee="ada")
    client.create("Closed late", due_at=(now - timedelta(days=1)).isoformat(), status="done")
    client.create(
        "Urgent", due_at=(now + timedelta(days=6)).isoformat(), priority="urgent", assignee="ada"
    )
    tasks = client.page(state="all", limit=100)["items"]
    board = open_board(client)
    for fragment in FILTERED:
        decided = board.evaluate(DECIDE, [fragment, tasks])
        listed = [client.get(f"/v1/tasks?{query}").json()["items"] for query in decided["lists"]]
        titles = {task["title"] for tasks_of_list in listed for task in tasks_of_list}
        assert (fragment, set(decided["passing"])) == (fragment, titles)


def test_a_filter_applies_that_is_chosen_while_names_are_read(
    client: Client, open_board: Open
) -> None:
    create_some(client)
    board = open_board(client, goto=False)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    board.page.route("**/v1/labels*", hold)
    board.page.goto(str(client.base_url))
    board.is_loaded()
    board.page.get_by_role("search").get_by_label("Priority").select_option("High")
    while not held:
        board.page.wait_for_timeout(20)
    with board.page.expect_request(lambda request: "priority=high" in request.url):
        held[0].continue_()
    board.has("todo", "Send the box")


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
