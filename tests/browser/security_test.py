"""Texts of tasks stay texts, and the policy is enforced by the browser."""

import pytest
from playwright.sync_api import Browser, Error

from tests.browser.conftest import Open
from tests.support.builders import Client

ATTACKS = [
    "<img src=x onerror=window.attacked=1>",
    "<script>window.attacked=1</script>",
    "\"><svg onload='window.attacked=1'>",
    "javascript:window.attacked=1",
    "{{constructor.constructor('window.attacked=1')()}}",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_markup_in_any_field_is_shown_as_text(
    client: Client, open_board: Open, attack: str
) -> None:
    """On cards, in filters, in dialogs and in messages."""
    texts = {"project": attack, "assignee": attack, "description": attack}
    client.create(attack, labels=[attack], **texts)
    board = open_board(client)
    board.has("todo", attack)
    board.card(attack).get_by_role("checkbox").check()
    dialog = board.open(attack)
    dialog.get_by_label("Priority").select_option("High")
    dialog.get_by_role("button", name="Save").click()
    board.shows(f"Changed “{attack}”.")
    board.focus(attack)
    board.page.keyboard.press("Delete")
    board.shows(f"Deleted “{attack}”.")
    assert board.evaluate("window.attacked") is None
    assert board.page.locator("main img, main svg, main script, dialog img").count() == 0


def test_markup_in_the_address_is_a_text_in_a_filter(client: Client, open_board: Open) -> None:
    board = open_board(client, "#q=<img src=x onerror=window.attacked=1>&project=%22<b>%22")
    board.is_loaded()
    assert board.page.get_by_label("Search titles").input_value() == ATTACKS[0]
    assert board.evaluate("window.attacked") is None


@pytest.mark.parametrize(
    "code", ["document.body.innerHTML = '<b>x</b>'", "trustedTypes.createPolicy('x', {})"]
)
def test_a_script_cannot_make_markup_of_text(client: Client, browser: Browser, code: str) -> None:
    """Trusted Types: even a mistake in the board's own code would fail."""
    page = browser.new_page()
    page.goto(str(client.base_url))
    with pytest.raises(Error, match=r"Trusted|createPolicy"):
        page.evaluate(f"() => {{ {code} }}")
    page.context.close()
