"""Many tasks cost few requests and few elements."""

from playwright.sync_api import expect

from tests.browser.board import Board
from tests.browser.conftest import Open
from tests.support.builders import Client

TASKS = 500
# Those of the first cards, and of the page itself.
MAX_CARDS_AT_FIRST = 70
MAX_ELEMENTS_AT_FIRST = 1_000


def create_many(client: Client, number: int, **fields: str) -> None:
    for start in range(0, number, 100):
        items = [{"create": {"title": f"Task {start + n}", **fields}} for n in range(100)]
        response = client.post("/v1/tasks/bulk", json={"items": items})
        assert {result["status"] for result in response.json()["results"]} == {201}


def scroll_to_the_end(board: Board, status: str) -> None:
    board.column(status).locator(".scroller").evaluate(
        "each => each.scrollTo(0, each.scrollHeight)"
    )


def test_500_tasks_are_few_requests_and_few_elements(client: Client, open_board: Open) -> None:
    """All of them are counted; cards are made as the column is scrolled."""
    create_many(client, TASKS)
    board = open_board(client, "#sort=priority")
    board.is_loaded()
    requests = board.requests()
    board.page.reload()
    board.is_loaded()
    expect(board.column("todo").locator(".count")).to_have_text("500")
    lists = [request.url for request in requests if "/v1/tasks?" in request.url]
    # Five pages of those to do, one of those in progress, one of closed ones.
    assert len(lists) == 7
    assert board.page.locator(".card").count() <= MAX_CARDS_AT_FIRST
    assert board.evaluate("document.querySelectorAll('*').length") <= MAX_ELEMENTS_AT_FIRST
    cards = board.column("todo").locator(".card")
    shown = cards.count()
    scroll_to_the_end(board, "todo")
    expect(cards.nth(shown)).to_be_attached()


def test_a_change_among_500_tasks_touches_one_card(client: Client, open_board: Open) -> None:
    """The others' elements stay as they are."""
    create_many(client, TASKS)
    board = open_board(client)
    board.is_loaded()
    code = """() => {
        window.touched = new Set();
        const note = (records) => records.forEach(({ target }) => {
            const card = target.parentElement?.closest(".card") ?? target.closest?.(".card");
            if (card) window.touched.add(card.dataset.id);
        });
        const options = { subtree: true, childList: true, characterData: true };
        new MutationObserver(note).observe(document.querySelector("main"), options);
    }"""
    board.evaluate(code)
    (newest,) = client.page(limit=1)["items"]
    client.changed(newest, title="Changed")
    expect(board.column("todo").locator(".title").first).to_have_text("Changed")
    assert board.evaluate("[...window.touched]") == [newest["id"]]


def test_a_column_holds_no_more_open_tasks_than_a_list(client: Client, open_board: Open) -> None:
    """Those that others create push the last ones out, so that a page cannot grow for ever."""
    create_many(client, 1_000)
    board = open_board(client)
    count = board.column("todo").locator(".count")
    expect(count).to_have_text("1000")
    create_many(client, 100)
    expect(count).to_have_text("1000+")
    expect(board.column("todo").locator(".title").first).to_have_text("Task 99")


def test_closed_tasks_come_in_pages(client: Client, open_board: Open) -> None:
    """The last changed first, also after others come by the feed; older ones on demand."""
    create_many(client, 100, status="done")
    board = open_board(client)
    board.is_loaded()
    client.create("By the feed")
    board.has("todo", "By the feed")
    count = board.column("done").locator(".count")
    expect(count).to_have_text("50+")
    older = board.column("done").get_by_role("button", name="Load older tasks")
    while not older.is_visible():
        scroll_to_the_end(board, "done")
        board.page.wait_for_timeout(50)
    older.click()
    expect(count).to_have_text("100")
    expect(older).to_be_hidden()
