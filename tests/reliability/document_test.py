"""docs/reliability.md and the proofs speak of the same."""

import re

import pytest

from tests.support.figures import DOCUMENT, PROMISES, write_down
from tests.support.processes import ROOT

ROW = re.compile(r"(?m)^\| `(\w+)` \| (.+?) \| .+ \| [\d ]+ \| [\d ]+ \|$")


def test_every_promise_has_its_row() -> None:
    """In the same words."""
    assert dict(ROW.findall(DOCUMENT.read_text())) == PROMISES


def test_the_document_names_what_there_is() -> None:
    """Every file it links to, and every test of its track record."""
    text = DOCUMENT.read_text()
    for link in re.findall(r"\]\(((?!https:)[^)]+)\)", text):
        assert (DOCUMENT.parent / link).exists(), link
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*_test.py"))
    for file, name in re.findall(r"`(\w+_test\.py)`, `(\w+)`", text):
        assert list((ROOT / "tests").rglob(file)), file
        assert name in tests, name


def test_figures_go_into_their_rows() -> None:
    """The last run's, with when and where it was; all else stays as it is."""
    text = "figures are of the last soak\n(not run yet).\n| `kills` | p | k | t | 0 | 0 |\n| x |\n"
    entries = [{"id": "kills", "tried": 1234, "failed": 5}]
    written = "figures are of the last soak\n(today).\n| `kills` | p | k | t | 1 234 | 5 |\n| x |\n"
    assert write_down(text, entries, "today") == written


def test_a_figure_without_a_row_is_an_error() -> None:
    """It would be lost otherwise."""
    with pytest.raises(AssertionError, match="kills has 0 rows"):
        write_down("", [{"id": "kills", "tried": 1, "failed": 0}], "today")
