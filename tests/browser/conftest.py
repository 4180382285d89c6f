"""The board in a real Chromium, on a real server."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.board import Board
from tests.support.builders import Client
from tests.support.require_tool import skip_or_fail

NAMES = ("chromium", "chromium-browser", "google-chrome")
# A failed request is the subject of some tests; the browser reports each.
FAILED_REQUEST = "Failed to load resource"

# Longer than anything takes on a busy machine; a test that passes never waits for it.
PATIENCE_MS = 60_000

Open = Callable[..., Board]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        skip_or_fail("chromium is not installed: apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # Containers have no sandbox for the root user; the pages are the project's own.
        browser = playwright.chromium.launch(executable_path=executable, chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture
def faults() -> list[str]:
    """Errors and warnings in the browser's console; a test that expects one clears them."""
    return []


@pytest.fixture
def open_board(browser: Browser, faults: list[str]) -> Iterator[Open]:
    """Open the board of a server in a window of its own; at the end, no script has failed."""

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(FAILED_REQUEST):
            faults.append(message.text)

    def watch(page: Page) -> None:
        page.on("console", note)
        page.on("pageerror", lambda error: faults.append(str(error)))

    with ExitStack() as contexts:

        def open_window(
            client: Client, fragment: str = "", *, goto: bool = True, **options: Any
        ) -> Board:
            context = browser.new_context(locale="en-GB", **options)
            contexts.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            page = context.new_page()
            watch(page)
            # Time moves as always, and can be moved on by tests.
            page.clock.install()
            if goto:
                page.goto(f"{client.base_url}/{fragment}")
            return Board(page)

        yield open_window
    assert faults == []


@pytest.fixture
def board(client: Client, open_board: Open) -> Board:
    """The board of an empty table."""
    board = open_board(client)
    board.is_loaded()
    return board
