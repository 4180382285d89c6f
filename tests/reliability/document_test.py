"""docs/reliability.md and the tests agree."""

import re

from tests.support.figures import DOCUMENT, PROMISES, fill_in

ROW = re.compile(r"(?m)^\| `(\w+)` \| (.+?) \| .+ \| [\d ]+ \| [\d ]+ \|$")


def test_every_promise_has_its_row() -> None:
    """The table has one row for each promise, with the same text."""
    assert dict(ROW.findall(DOCUMENT.read_text())) == PROMISES


def test_figures_go_into_their_rows() -> None:
    """A run replaces the counts of its rows and its description, and nothing else."""
    text = (
        "figures are from the last soak\n(not run yet).\n| `kills` | p | k | t | 0 | 0 |\n| x |\n"
    )
    filled = (
        "figures are from the last soak\n(today).\n| `kills` | p | k | t | 1 234 | 5 |\n| x |\n"
    )
    assert fill_in(text, {"kills": (1234, 5)}, "today") == filled
