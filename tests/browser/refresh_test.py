"""The board shows nothing old, and survives the loss of its server."""

from playwright.sync_api import APIResponse, Route, expect

from tests.browser.board import Board
from tests.browser.conftest import Open
from tests.support.builders import Client


def test_a_list_that_was_read_before_a_move_does_not_undo_it(
    client: Client, open_board: Open
) -> None:
    """Its response arrives after the move's."""
    client.create("Moved")
    board = open_board(client)
    board.has("todo", "Moved")
    client.create("Marker")
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        held.append((route, route.fetch()))

    board.page.route("**/v1/tasks?*", hold)
    board.page.get_by_label("Order").select_option("By priority")
    while len(held) < 3:
        board.page.wait_for_timeout(20)
    board.focus("Moved")
    board.page.keyboard.press("Shift+ArrowRight")
    board.shows("Moved “Moved” to In progress.")
    for route, response in held:
        route.fulfill(response=response)
    # The old list has arrived when its other task is there.
    board.has("todo", "Marker")
    board.has("in_progress", "Moved")


def test_the_board_recovers_from_a_lost_network(client: Client, open_board: Open) -> None:
    """It says what is wrong, keeps what it shows, and goes on when the network is back."""
    client.create("Here")
    board = open_board(client)
    board.has("todo", "Here")
    board.page.context.set_offline(offline=True)
    board.banner("The server cannot be reached. What you see may be old. Trying again.")
    board.has("todo", "Here")
    board.focus("Here")
    board.page.keyboard.press("Shift+ArrowRight")
    board.shows("The change may not be saved. The server cannot be reached.")
    board.has("todo", "Here")
    client.create("Meanwhile")
    board.page.context.set_offline(offline=False)
    board.has_no_banner()
    board.announces("The server responds again.")
    board.has("todo", "Meanwhile", "Here")


def test_a_list_that_was_cut_off_is_read_again(client: Client, open_board: Open) -> None:
    """As when the server was killed in the middle of its response."""
    client.create("Here")
    board = open_board(client, goto=False)
    cut = {"body": '{"items": [', "content_type": "application/json"}
    board.page.route("**/v1/tasks?*", lambda route: route.fulfill(**cut), times=1)
    board.page.goto(str(client.base_url))
    board.banner("What you see may be old. Trying again.")
    board.wait()
    board.has("todo", "Here")
    board.has_no_banner()


def test_filters_that_the_api_refuses_are_reported(client: Client, open_board: Open) -> None:
    """As a word without a visible character; without it, the board goes on."""
    client.create("Here")
    board = open_board(client, "#q=%E2%80%8B")
    board.banner("The tasks cannot be read. query q: ")
    board.page.get_by_label("Search").fill("here")
    board.has("todo", "Here")
    board.has_no_banner()


def test_a_response_that_the_page_does_not_expect_stops_no_updates(
    client: Client, open_board: Open, faults: list[str]
) -> None:
    """As of a proxy, or of a newer version; the console has the error."""
    client.create("Here")
    board = open_board(client, goto=False)
    null = {"body": "null", "content_type": "application/json"}
    board.page.route("**/v1/tasks?*", lambda route: route.fulfill(**null), times=1)
    board.page.goto(str(client.base_url))
    board.banner("The board cannot show what the server sent.")
    board.wait()
    board.has("todo", "Here")
    board.has_no_banner()
    assert len(faults) == 1
    faults.clear()


def test_a_date_as_retry_after_does_not_make_the_board_hurry(
    client: Client, open_board: Open
) -> None:
    """As a proxy may send it in front of the stream."""
    board = open_board(client, goto=False)
    later = {"status": 429, "headers": {"Retry-After": "Wed, 21 Oct 2037 07:28:00 GMT"}}
    board.page.route("**/v1/changes/stream*", lambda route: route.fulfill(**later))
    requests = board.requests()
    board.page.goto(str(client.base_url))
    board.is_loaded()
    board.banner("The tasks cannot be read.")
    # Time is the test's, but for what passes meanwhile.
    board.page.wait_for_timeout(500)
    streams = [request for request in requests if "/changes/stream" in request.url]
    assert len(streams) <= 3


def test_a_lost_form_is_sent_again_without_a_second_task(board: Board, client: Client) -> None:
    """The response of the first attempt is lost; the dialog stays open with its contents."""
    page = board.page
    page.keyboard.press("n")
    dialog = board.dialog("New task")
    dialog.get_by_label("Title").fill("Once")
    page.route("**/v1/tasks", lambda route: (route.fetch(), route.abort()), times=1)
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog).to_be_hidden()
    board.has("todo", "Once")
    assert client.titles() == ["Once"]
