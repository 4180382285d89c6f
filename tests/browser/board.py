"""The board as a person uses it."""

import re
from typing import Any, NamedTuple

from playwright.sync_api import Locator, Page, Request, expect

# More than the time between two polls.
A_WHILE_MS = 11_000

HIDE = """(isHidden) => {
    Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


class Board(NamedTuple):
    """One window with the board."""

    page: Page

    def is_loaded(self) -> None:
        expect(self.page.locator("main")).to_have_attribute("aria-busy", "false")

    def column(self, status: str) -> Locator:
        return self.page.locator(f'.column[data-status="{status}"]')

    def card(self, title: str) -> Locator:
        return self.page.locator(".card").filter(has=self.page.get_by_role("button", name=title))

    def titles(self, status: str) -> list[str]:
        return self.column(status).locator(".title").all_inner_texts()

    def has(self, status: str, *titles: str) -> None:
        """Wait until a column has exactly these tasks."""
        expect(self.column(status).locator(".title")).to_have_text(list(titles))

    def open(self, title: str) -> Locator:
        """Open a task and return its dialog."""
        self.page.get_by_role("button", name=title, exact=True).click()
        return self.dialog("Edit task")

    def dialog(self, name: str | re.Pattern[str]) -> Locator:
        dialog = self.page.get_by_role("dialog", name=name)
        expect(dialog).to_be_visible()
        return dialog

    def enter_key(self, key: str) -> None:
        dialog = self.dialog("API key")
        dialog.get_by_label("Key").fill(key)
        dialog.get_by_role("button", name="Open the board").click()

    def focus(self, title: str) -> None:
        self.page.get_by_role("button", name=title, exact=True).focus()

    def is_focused(self, title: str) -> None:
        expect(self.page.get_by_role("button", name=title, exact=True)).to_be_focused()

    def shows(self, text: str) -> None:
        """Wait until the last change is reported so."""
        expect(self.page.locator("#toast p")).to_have_text(text)

    def announces(self, text: str) -> None:
        """Wait until screen readers are told so."""
        expect(self.page.locator("#live")).to_contain_text(text)

    def banner(self, text: str) -> None:
        expect(self.page.locator("#banner")).to_contain_text(text)

    def has_no_banner(self) -> None:
        expect(self.page.locator("#banner")).to_be_hidden()

    def wait(self, milliseconds: int = A_WHILE_MS) -> None:
        """Let the board's time pass."""
        self.page.clock.fast_forward(milliseconds)

    def hide(self, *, hidden: bool) -> None:
        """Hide the page as another tab in front of it does, or show it again."""
        self.evaluate(HIDE, hidden)

    def requests(self) -> list[Request]:
        """Return a list that grows with each request to the API."""
        seen: list[Request] = []
        self.page.on("request", lambda request: seen.append(request) if _is_api(request) else None)
        return seen

    def evaluate(self, code: str, argument: Any = None) -> Any:
        return self.page.evaluate(code, argument)


def _is_api(request: Request) -> bool:
    return "/v1/" in request.url
