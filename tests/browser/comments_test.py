"""People read and write comments in a task's dialog."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Route, expect

from api.main import create_app
from api.principal import Scope
from tests.browser.board import Board
from tests.browser.conftest import Open
from tests.support import secured_app
from tests.support.builders import Client, settings
from tests.support.secured_app import TASKS, SecuredApp, bearer
from tests.support.server import serving
from tests.support.wait import wait_until

READY_SECONDS = 30
MORE_THAN_A_PAGE = 101


@pytest.fixture
def secured(moto: str) -> Iterator[SecuredApp]:
    with secured_app.serve(moto) as secured:
        yield secured


@pytest.fixture
def function(moto: str) -> Iterator[Client]:
    """A client of a function, which has no stream."""
    with (
        serving(create_app(settings(moto), as_function=True)) as url,
        Client(base_url=url) as client,
    ):
        wait_until(lambda: client.get("/readyz").status_code == 200, READY_SECONDS)
        yield client


def opened(client: Client, open_board: Open, *comments: str) -> tuple[dict[str, Any], Locator]:
    """Open a task with these comments; return it and its dialog."""
    task = client.create("Talk")
    for text in comments:
        client.comment(task, text)
    dialog = open_board(client).open("Talk")
    shows(dialog, *comments)
    return task, dialog


def shows(dialog: Locator, *texts: str) -> None:
    """Wait until the dialog has exactly these comments, and has read them."""
    expect(dialog.locator("#comments-list p")).to_have_text(list(texts))
    expect(dialog.locator("#comments-count")).to_have_text(str(len(texts)))


def field(dialog: Locator) -> Locator:
    return dialog.get_by_label("New comment")


def send(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Add comment").click()


def delete_comment(client: Client, task: dict[str, Any], comment: dict[str, Any]) -> None:
    response = client.delete(client.comments_path(task, comment), headers={"If-Match": "*"})
    assert response.status_code == 204, response.text


def hold(board: Board, url: str) -> list[Route]:
    """Hold requests back; return a list of them that grows."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    board.page.route(url, keep)
    return held


def without_stream(client: Client, open_board: Open) -> tuple[Board, list[Route]]:
    """Open a board that gets no response to its request for the stream."""
    board = open_board(client, goto=False)
    held = hold(board, "**/v1/changes/stream")
    board.page.goto(str(client.base_url))
    return board, held


def board_of(dialog: Locator) -> Board:
    return Board(dialog.page)


def test_a_card_counts_the_comments(client: Client, open_board: Open) -> None:
    """Where there are any; also when others write and delete them."""
    client.create("None")
    task = client.create("Some")
    first = client.comment(task)
    board = open_board(client)
    card = board.card("Some")
    expect(card).to_contain_text("1 comment")
    client.comment(task)
    expect(card).to_contain_text("2 comments")
    delete_comment(client, task, first)
    expect(card).to_contain_text("1 comment")
    expect(board.card("None")).not_to_contain_text("comment")


def test_comments_are_shown_in_the_order_of_their_creation(
    client: Client, open_board: Open
) -> None:
    """With author and time; with line breaks, and markup as the text that it is."""
    lines = "First\n\n  line <b>two</b>"
    _, dialog = opened(client, open_board, lines, "<img src=x onerror=window.attacked=1>")
    first, second = dialog.get_by_role("listitem").all()
    assert first.locator("p").inner_text() == lines
    expect(first).to_contain_text("anonymous")
    expect(first.locator("time")).to_have_text(re.compile(r"\d\d:\d\d"))
    expect(second).to_contain_text("<img src=x")
    assert board_of(dialog).evaluate("window.attacked") is None
    assert dialog.locator("img, b").count() == 0


def test_all_pages_of_comments_are_read(client: Client, open_board: Open) -> None:
    """The feed, which repeats the last ones, is not needed for it."""
    task = client.create("Talk")
    texts = [f"Comment {n}" for n in range(MORE_THAN_A_PAGE)]
    for text in texts:
        client.comment(task, text)
    board, _ = without_stream(client, open_board)
    shows(board.open("Talk"), *texts)


def test_a_new_task_has_no_comments(client: Client, open_board: Open) -> None:
    """Also after a task that has some."""
    _, dialog = opened(client, open_board, "Old")
    dialog.page.keyboard.press("Escape")
    dialog.page.keyboard.press("n")
    expect(field(board_of(dialog).dialog("New task"))).to_be_hidden()
    expect(dialog.page.locator("#comments-list")).to_be_hidden()


@pytest.mark.parametrize("key", ["button", "Control+Enter", "Meta+Enter"])
def test_a_comment_is_written(client: Client, open_board: Open, key: str) -> None:
    """The dialog stays open, for the next one; the card counts it."""
    task, dialog = opened(client, open_board, "Before")
    expect(dialog.get_by_text("No comments yet.")).to_be_hidden()
    field(dialog).fill("  One line\nand another ")
    if key == "button":
        send(dialog)
    else:
        field(dialog).press(key)
    shows(dialog, "Before", "One line\nand another")
    expect(field(dialog)).to_have_value("")
    expect(field(dialog)).to_be_focused()
    expect(dialog.get_by_role("status")).to_have_text("Comment added.")
    assert client.comments(task) == ["Before", "One line\nand another"]
    board = board_of(dialog)
    board.page.keyboard.press("Escape")
    expect(board.card("Talk")).to_contain_text("2 comments")
    expect(board.card("Talk")).not_to_contain_text("not sent")


def test_nothing_is_sent_without_a_text(client: Client, open_board: Open) -> None:
    _, dialog = opened(client, open_board)
    expect(dialog.get_by_text("No comments yet.")).to_be_visible()
    requests = board_of(dialog).requests()
    for text in ("", " \n "):
        field(dialog).fill(text)
        field(dialog).press("Control+Enter")
    assert [request.url for request in requests if request.method != "GET"] == []


def test_an_open_dialog_follows_what_others_write_and_delete(
    client: Client, open_board: Open
) -> None:
    """What is being typed stays, with the focus and the place in the text."""
    task, dialog = opened(client, open_board, "Stays")
    other = client.create("Of another")
    gone = client.comment(task, "Goes")
    shows(dialog, "Stays", "Goes")
    expect(dialog.get_by_role("status")).to_have_text("New comment by anonymous.")
    field(dialog).type("unfinished")
    for _ in range(3):
        field(dialog).press("ArrowLeft")
    client.comment(other, "Elsewhere")
    delete_comment(client, task, gone)
    client.comment(task, "Comes")
    shows(dialog, "Stays", "Comes")
    dialog.page.keyboard.type("X")
    expect(field(dialog)).to_have_value("unfinisXhed")


def test_a_changed_comment_is_marked(client: Client, open_board: Open) -> None:
    task, dialog = opened(client, open_board)
    comment = client.comment(task, "Before")
    shows(dialog, "Before")
    expect(dialog).not_to_contain_text("edited")
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    path = client.comments_path(task, comment)
    assert client.patch(path, json={"text": "After"}, headers=headers).status_code == 200
    shows(dialog, "After")
    expect(dialog.get_by_role("listitem")).to_contain_text("edited")


def test_polling_brings_comments_as_well(function: Client, open_board: Open) -> None:
    task, dialog = opened(function, open_board, "Goes")
    (comment,) = function.get(function.comments_path(task)).json()["items"]
    field(dialog).fill("unfinished")
    function.comment(task, "Comes")
    delete_comment(function, task, comment)
    with dialog.page.expect_response("**/v1/changes?token=*"):
        board_of(dialog).wait()
    shows(dialog, "Comes")
    expect(field(dialog)).to_have_value("unfinished")


def test_a_comment_that_was_not_sent_is_kept(client: Client, open_board: Open) -> None:
    """The card shows that there is one, and the task has it when it is opened again."""
    client.create("Other")
    task, dialog = opened(client, open_board)
    board = board_of(dialog)
    field(dialog).fill("unfinished")
    board.page.keyboard.press("Escape")
    board.announces("Your comment is not sent.")
    expect(board.card("Talk")).to_contain_text("Comment not sent")
    expect(board.card("Other")).not_to_contain_text("not sent")
    expect(field(board.open("Other"))).to_have_value("")
    board.page.keyboard.press("Escape")
    dialog = board.open("Talk")
    dialog.get_by_label("Title").fill("Talk on")
    dialog.get_by_role("button", name="Save").click()
    expect(board.card("Talk on")).to_contain_text("Comment not sent")
    dialog = board.open("Talk on")
    expect(field(dialog)).to_have_value("unfinished")
    send(dialog)
    shows(dialog, "unfinished")
    board.page.keyboard.press("Escape")
    expect(board.card("Talk on")).not_to_contain_text("not sent")
    assert client.comments(task) == ["unfinished"]


def test_a_page_with_a_comment_that_was_not_sent_asks_before_it_goes(
    client: Client, open_board: Open
) -> None:
    _, dialog = opened(client, open_board)
    field(dialog).press_sequentially("unfinished")
    with dialog.page.expect_event("dialog") as asked:
        dialog.page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    expect(field(dialog)).to_have_value("unfinished")
    field(dialog).fill("")
    with dialog.page.expect_event("close"):
        dialog.page.close(run_before_unload=True)


def test_another_key_finds_no_comment_of_the_last_one(
    secured: SecuredApp, open_board: Open
) -> None:
    """A comment that was not sent is forgotten with the key."""
    secured.tenant("default").create("Talk")
    board = open_board(secured.client)
    key = secured.make(*TASKS)["key"]
    board.enter_key(key)
    field(board.open("Talk")).fill("unfinished")
    board.page.keyboard.press("Escape")
    board.page.get_by_role("button", name="Forget key").click()
    board.enter_key(key)
    expect(field(board.open("Talk"))).to_have_value("")


def test_a_lost_comment_is_sent_again_without_a_double(client: Client, open_board: Open) -> None:
    """The response of the first attempt is lost; the text stays. Another text is another one."""
    task, dialog = opened(client, open_board)
    page = dialog.page
    field(dialog).fill("Once")
    page.route("**/comments", lambda route: (route.fetch(), route.abort()), times=1)
    send(dialog)
    expect(dialog.get_by_role("alert")).to_have_text("The server cannot be reached.")
    expect(field(dialog)).to_have_value("Once")
    page.keyboard.press("Escape")
    dialog = Board(page).open("Talk")
    send(dialog)
    expect(field(dialog)).to_have_value("")
    assert client.comments(task) == ["Once"]
    for _ in range(2):
        field(dialog).fill("Twice")
        send(dialog)
        expect(field(dialog)).to_have_value("")
    shows(dialog, "Once", "Twice", "Twice")


def test_a_comment_that_is_sent_slowly_is_sent_once(client: Client, open_board: Open) -> None:
    """What is typed meanwhile stays."""
    task, dialog = opened(client, open_board)
    held = hold(board_of(dialog), "**/comments")
    field(dialog).fill("Slow")
    send(dialog)
    send(dialog)
    field(dialog).fill("Slow, then more")
    assert len(held) == 1
    held[0].continue_()
    shows(dialog, "Slow")
    expect(field(dialog)).to_have_value("Slow, then more")
    assert client.comments(task) == ["Slow"]


def test_a_comment_that_fails_after_its_dialog_was_closed_is_kept(
    client: Client, open_board: Open
) -> None:
    """The person is told so."""
    _, dialog = opened(client, open_board)
    board = board_of(dialog)
    held = hold(board, "**/comments")
    field(dialog).fill("Late")
    send(dialog)
    expect(dialog).to_be_visible()
    board.page.keyboard.press("Escape")
    held[0].abort()
    board.shows("The change may not be saved. The server cannot be reached.")
    expect(board.card("Talk")).to_contain_text("Comment not sent")
    expect(field(board.open("Talk"))).to_have_value("Late")


def test_a_refused_comment_is_explained(client: Client, open_board: Open) -> None:
    _, dialog = opened(client, open_board)
    field(dialog).fill("\u200b")
    send(dialog)
    expect(dialog.get_by_role("alert")).to_have_text(re.compile("^Comment: .*visible"))
    field(dialog).fill("Visible")
    send(dialog)
    shows(dialog, "Visible")
    expect(dialog.get_by_role("alert")).to_be_hidden()


def test_a_comment_is_deleted_after_a_question(client: Client, open_board: Open) -> None:
    """Because it cannot be undone. The focus goes to the field."""
    task, dialog = opened(client, open_board, "Stays", "Goes")
    board = board_of(dialog)
    item = dialog.get_by_role("listitem").filter(has_text="Goes")
    for answer in ("Keep", "Delete"):
        item.get_by_role("button", name="Delete the comment by anonymous").click()
        confirm = board.dialog("Delete this comment? This cannot be undone.")
        confirm.get_by_role("button", name=answer).click()
    shows(dialog, "Stays")
    expect(field(dialog)).to_be_focused()
    assert client.comments(task) == ["Stays"]
    board.page.keyboard.press("Escape")
    expect(board.card("Talk")).to_contain_text("1 comment")


def test_a_comment_that_is_gone_already_leaves_the_dialog(client: Client, open_board: Open) -> None:
    """Also before the stream tells of it."""
    task = client.create("Talk")
    comment = client.comment(task, "Goes")
    board, _ = without_stream(client, open_board)
    dialog = board.open("Talk")
    shows(dialog, "Goes")
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    client.patch(client.comments_path(task, comment), json={"text": "New"}, headers=headers)
    delete_comment(client, task, comment)
    dialog.get_by_role("button", name="Delete the comment").click()
    board.dialog("Delete this comment?").get_by_role("button", name="Delete").click()
    shows(dialog)
    expect(dialog.get_by_role("alert")).to_be_hidden()


def test_comments_of_others_are_refused_and_then_not_offered(
    secured: SecuredApp, open_board: Open
) -> None:
    """The board does not know whether a key is an admin's, until the API refuses."""
    admin, key = secured.make(*TASKS, label="chief"), secured.make(*TASKS, label="ada")
    client = secured.tenant("default")
    task = client.create("Talk")
    for made in (admin, key):
        body = {"text": f"By {made['label']}"}
        secured.client.post(client.comments_path(task), json=body, headers=bearer(made["key"]))
    board = open_board(secured.client)
    board.enter_key(key["key"])
    dialog = board.open("Talk")
    shows(dialog, "By chief", "By ada")
    dialog.get_by_role("button", name="Delete the comment by chief").click()
    board.dialog("Delete this comment?").get_by_role("button", name="Delete").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Only the API key that wrote the comment")
    shows(dialog, "By chief", "By ada")
    expect(dialog.get_by_role("button", name="Delete the comment by chief")).to_have_count(0)
    expect(field(dialog)).to_be_focused()
    dialog.get_by_role("button", name="Delete the comment by ada").click()
    board.dialog("Delete this comment?").get_by_role("button", name="Delete").click()
    shows(dialog, "By chief")


def test_a_key_that_may_only_read_shows_comments(secured: SecuredApp, open_board: Open) -> None:
    """A refused comment stays to be copied; after that there is neither field nor button."""
    client = secured.tenant("default")
    client.comment(client.create("Talk"), "Readable")
    board = open_board(secured.client)
    board.enter_key(secured.make(Scope.READ)["key"])
    dialog = board.open("Talk")
    shows(dialog, "Readable")
    field(dialog).fill("Refused")
    send(dialog)
    expect(dialog.get_by_role("alert")).to_contain_text("scope")
    expect(field(dialog)).to_have_value("Refused")
    board.page.keyboard.press("Escape")
    board.page.get_by_role("button", name="Talk", exact=True).click()
    dialog = board.dialog("Task")
    shows(dialog, "Readable")
    expect(field(dialog)).to_be_hidden()
    expect(dialog.get_by_role("button", name="Delete")).to_have_count(0)


def test_comments_that_cannot_be_read_are_read_again(client: Client, open_board: Open) -> None:
    """On demand; what was typed stays."""
    client.comment(client.create("Talk"), "There")
    board = open_board(client)
    board.has("todo", "Talk")
    board.page.route("**/comments?*", lambda route: route.abort(), times=1)
    dialog = board.open("Talk")
    expect(dialog.get_by_role("alert")).to_contain_text("The comments cannot be shown.")
    expect(dialog.get_by_text("Loading…")).to_be_hidden()
    field(dialog).fill("Sent")
    send(dialog)
    expect(field(dialog)).to_have_value("")
    field(dialog).fill("unfinished")
    dialog.get_by_role("button", name="Try again").click()
    shows(dialog, "There", "Sent")
    expect(dialog.get_by_role("alert")).to_be_hidden()
    expect(dialog.get_by_role("button", name="Try again")).to_be_hidden()
    expect(field(dialog)).to_have_value("unfinished")
    expect(field(dialog)).to_be_focused()


def test_comments_are_read_again_when_the_feed_begins_anew(
    client: Client, open_board: Open
) -> None:
    """What was deleted meanwhile is in no feed."""
    task = client.create("Talk")
    comment = client.comment(task, "Goes")
    board, held = without_stream(client, open_board)
    dialog = board.open("Talk")
    shows(dialog, "Goes")
    delete_comment(client, task, comment)
    token = client.get("/v1/changes").json()["token"]
    problem = {"status": 410, "token": token, "type": "/problems/feed-expired"}
    held[0].fulfill(status=410, json=problem, content_type="application/problem+json")
    shows(dialog)


def test_the_highest_version_of_a_comment_is_shown(board: Board) -> None:
    """A list may be older than what came while it was read, and the feed repeats itself."""
    code = """async () => {
        const { Thread } = await import(document.querySelector("link[href$='thread.js']").href);
        const thread = new Thread("t");
        const shown = [];
        const note = () => shown.push(thread.comments.map(({ text }) => text).join());
        const comment = (id, version) => ({ id, version, task_id: "t", text: `${id}${version}` });
        const apply = (comments, comment_deletions = []) => {
            thread.apply({ comments, comment_deletions });
            note();
        };
        const gone = (id, version) => ({ id, version, task_id: "t" });
        const read = (items, meanwhile = () => {}) => thread.load({
            list: async () => (meanwhile(), { items, next_cursor: null }),
        }).then(note);
        await read([comment("b", 1), comment("a", 2)]);
        apply([comment("a", 1), { ...comment("x", 9), task_id: "of another" }]);
        const change = () => apply([comment("c", 1)], [gone("b", 2)]);
        await read([comment("a", 2), comment("b", 1)], change);
        apply([comment("b", 1)], [{ ...gone("c", 2), task_id: "of another" }]);
        await read([comment("c", 1)]);
        thread.gone(comment("c", 1));
        apply([comment("c", 1)]);
        return shown;
    }"""
    assert board.evaluate(code) == ["a2,b1", "a2,b1", "a2,c1", "a2,c1", "a2,c1", "c1", ""]


def test_a_comment_meanwhile_is_no_conflict_for_the_form(client: Client, open_board: Open) -> None:
    """The form is saved, and the comment stays, whether or not the board has heard of it."""
    task, dialog = opened(client, open_board)
    board = board_of(dialog)
    dialog.get_by_label("Title").fill("Talked")
    client.comment(task, "Meanwhile")
    shows(dialog, "Meanwhile")
    dialog.get_by_role("button", name="Save").click()
    board.has("todo", "Talked")
    board.shows("Changed “Talked”.")
    expect(board.page.locator("dialog[open]")).to_have_count(0)
    expect(board.card("Talked")).to_contain_text("1 comment")


def test_a_comment_and_a_change_meanwhile_are_a_conflict(client: Client, open_board: Open) -> None:
    """That shows the field, and no comment."""
    task, dialog = opened(client, open_board)
    dialog.get_by_label("Title").fill("Mine")
    client.changed(task, title="Theirs")
    client.comment(task, "Meanwhile")
    dialog.get_by_role("button", name="Save").click()
    conflict = board_of(dialog).dialog(re.compile("has changed$"))
    expect(conflict.locator("tbody tr")).to_have_text(["TitleMineTheirs"])


def test_a_task_is_deleted_though_it_got_a_comment(client: Client, open_board: Open) -> None:
    """Not if anything else has changed."""
    task, dialog = opened(client, open_board)
    board = board_of(dialog)
    client.comment(task, "Meanwhile")
    shows(dialog, "Meanwhile")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    board.shows("Deleted “Talk”.")
    board.page.keyboard.press("Control+z")
    board.has("todo", "Talk")
    dialog = board.open("Talk")
    shows(dialog, "Meanwhile")
    client.changed(client.page()["items"][0], title="Other")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    board.has("todo", "Other")
    board.shows("“Other” has changed elsewhere, and was not deleted.")
    assert client.titles() == ["Other"]


@pytest.mark.parametrize("titles", [["A"], ["A", "B"]])
def test_undo_is_not_stopped_by_a_comment(
    client: Client, open_board: Open, titles: list[str]
) -> None:
    tasks = [client.create(title) for title in titles]
    board = open_board(client)
    for title in titles:
        board.card(title).get_by_role("checkbox").check()
    board.page.get_by_label("Move to").select_option("Done")
    board.has("done", *titles[::-1])
    for task in tasks:
        client.comment(task, "Meanwhile")
        expect(board.card(task["title"])).to_contain_text("1 comment")
    board.page.keyboard.press("Control+z")
    board.has("todo", *titles[::-1])
    board.has("done")
