"""The board works without a mouse, without colours, on a phone; axe-core finds no barrier."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.board import Board
from tests.browser.conftest import Open
from tests.browser.sample_tasks import create_sample
from tests.support.builders import Client
from tests.support.require_tool import require_tool, skip_or_fail

HERE = Path(__file__).parent
PHONE = {
    "viewport": {"width": 360, "height": 740},
    "is_mobile": True,
    "has_touch": True,
}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": PHONE,
}


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, from the locked npm package."""
    require_tool("npm", "npm")
    script = HERE / "node_modules/axe-core/axe.min.js"
    if not script.exists():
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        installed = subprocess.run(["npm", "ci", *options], cwd=HERE, check=False)
        if installed.returncode:
            skip_or_fail("npm could not install axe-core")
    return script.read_text()


def barriers(board: Board, axe: str) -> list[str]:
    """Return the rules that axe-core finds violated, with the elements."""
    board.evaluate(axe)
    found = board.evaluate("async () => (await axe.run()).violations")
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found]


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_no_barrier(client: Client, open_board: Open, axe: str, look: str) -> None:
    """On the board and in each dialog, of WCAG and of good practice; contrast included."""
    create_sample(client, datetime.now(UTC))
    board = open_board(client, **LOOKS[look])
    board.is_loaded()
    assert barriers(board, axe) == []
    board.page.get_by_role("checkbox").first.check()
    board.focus("Describe the export format")
    board.page.keyboard.press("Shift+ArrowRight")
    board.shows("Moved “Describe the export format” to In progress.")
    assert barriers(board, axe) == []
    (task,) = client.page(q="Describe")["items"]
    client.comment(task, "With an example, please.")
    editor = board.open("Describe the export format")
    expect(editor.locator("#comments-list p")).to_have_text("With an example, please.")
    expect(editor.locator("#comments-count")).to_have_text("1")
    editor.get_by_label("New comment").fill("I am at it.")
    assert barriers(board, axe) == []
    client.changed(client.get(f"/v1/tasks/{task['id']}").json(), title="Describe it")
    editor = board.page.locator("#editor")
    editor.get_by_label("Title").fill("Describe all")
    editor.get_by_role("button", name="Save").click()
    expect(board.page.locator("#conflict")).to_be_visible()
    assert barriers(board, axe) == []
    board.page.keyboard.press("Escape")
    expect(board.card("Describe it")).to_contain_text("1 comment")
    expect(board.card("Describe it")).to_contain_text("Comment not sent")
    assert barriers(board, axe) == []
    board.page.get_by_role("button", name="Keyboard shortcuts").click()
    assert barriers(board, axe) == []


def test_axe_finds_no_barrier_when_a_key_is_asked_for(
    guarded_client: Client, open_board: Open, axe: str
) -> None:
    board = open_board(guarded_client)
    board.dialog("API key").get_by_label("Key").fill("a b")
    board.page.keyboard.press("Enter")
    expect(board.page.get_by_role("alert")).to_be_visible()
    assert barriers(board, axe) == []


def test_everything_can_be_reached_by_keyboard(client: Client, open_board: Open) -> None:
    """From the skip link to the last task, and a dialog gives the focus back."""
    client.create("Only")
    board = open_board(client)
    board.has("todo", "Only")
    board.page.keyboard.press("Tab")
    expect(board.page.get_by_role("link", name="Skip to the tasks")).to_be_focused()
    board.page.keyboard.press("Enter")
    while not board.evaluate("document.activeElement.matches('.title')"):
        assert board.evaluate("document.activeElement !== document.body")
        board.page.keyboard.press("Tab")
    board.page.keyboard.press("Enter")
    dialog = board.dialog("Edit task")
    expect(dialog.get_by_label("Title")).to_be_focused()
    board.page.keyboard.press("Escape")
    board.is_focused("Only")


def test_shortcuts_of_a_single_key_can_be_turned_off(board: Board) -> None:
    """As WCAG 2.1.4 demands for those who speak to their computer."""
    board.page.keyboard.press("?")
    board.dialog("Keyboard shortcuts").get_by_label("N, / and ? work").uncheck()
    board.page.keyboard.press("Escape")
    board.page.keyboard.press("n")
    expect(board.page.locator("dialog[open]")).to_have_count(0)


def test_a_phone_shows_the_board_without_scrolling_the_page(
    client: Client, open_board: Open
) -> None:
    """Only the columns scroll sideways; a task opens over the whole screen."""
    create_sample(client, datetime.now(UTC))
    board = open_board(client, **PHONE)
    board.is_loaded()
    assert board.evaluate("document.documentElement.scrollWidth") <= 360
    board.page.locator(".title").first.tap()
    size = board.dialog("Edit task").bounding_box()
    assert size
    assert (size["width"], size["height"]) == (360, 740)
    assert board.evaluate("document.querySelector('#editor-save').getBoundingClientRect().left") > 0


def test_nothing_moves_for_those_who_asked_for_no_motion(client: Client, open_board: Open) -> None:
    client.create("Still")
    board = open_board(client, reduced_motion="reduce")
    board.has("todo", "Still")
    code = """[...document.querySelectorAll("*")].every((each) => {
        const { transitionDuration, animationName } = getComputedStyle(each);
        return transitionDuration === "0s" && animationName === "none";
    })"""
    assert board.evaluate(code)


def test_dark_and_light_differ(client: Client, open_board: Open) -> None:
    """As the system prefers."""
    code = "getComputedStyle(document.body).backgroundColor"
    grounds = {
        scheme: open_board(client, color_scheme=scheme).evaluate(code)
        for scheme in ("light", "dark")
    }
    assert grounds["light"] != grounds["dark"]
