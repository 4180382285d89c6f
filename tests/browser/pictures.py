"""`make pictures`: the board in docs/images/, of sample tasks on a fixed day."""

import shutil
import sys
from datetime import UTC, datetime
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from api.local import processes
from api.main import create_app
from tests.browser.conftest import NAMES
from tests.browser.sample_tasks import create_sample
from tests.support.builders import Client, settings
from tests.support.server import serving
from tests.support.wait import wait_until

# A Thursday at noon: the same marks of due times in each picture.
TODAY = datetime(2026, 11, 26, 12, tzinfo=UTC)
PICTURES: dict[str, dict[str, Any]] = {
    "board": {"viewport": {"width": 1200, "height": 600}},
    "board-dark": {"viewport": {"width": 1200, "height": 600}, "color_scheme": "dark"},
    "board-phone": {"viewport": {"width": 390, "height": 700}, "has_touch": True},
}
START_SECONDS = 10


def main() -> None:
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        sys.exit("The board's pictures need Chromium: apt-get install chromium")
    store, url = processes.start_store()
    with (
        serving(create_app(settings(url))) as address,
        Client(base_url=address) as client,
        sync_playwright() as playwright,
    ):
        wait_until(lambda: client.get("/readyz").status_code == 200, START_SECONDS)
        create_sample(client, TODAY)
        browser = playwright.chromium.launch(executable_path=executable, chromium_sandbox=False)
        for name, options in PICTURES.items():
            take(browser, address, name, options)
        browser.close()
    store.terminate()


def take(browser: Browser, address: str, name: str, options: dict[str, Any]) -> None:
    """Take a picture of the board as a window of these options shows it."""
    page = browser.new_page(locale="en-GB", timezone_id="UTC", **options)
    page.clock.set_fixed_time(TODAY)
    page.goto(address)
    page.wait_for_selector("main[aria-busy=false]")
    page.screenshot(path=processes.ROOT / "docs" / "images" / f"{name}.png")
    page.context.close()


if __name__ == "__main__":
    main()
