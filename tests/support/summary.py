"""A pytest plugin: prints at the end of a run what its tests measured, on all xdist workers."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.figures import Figures

FIGURES = Figures()
LINES: list[str] = []


@pytest.fixture(scope="session")
def figures() -> Figures:
    """Counts of tried and broken promises, saved at the end of the run."""
    return FIGURES


@pytest.fixture(scope="session")
def report() -> Callable[[str], None]:
    """A function that prints a line at the end of the run."""
    return LINES.append


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is None:
        FIGURES.save()
    else:
        output |= {"figures": FIGURES.counts, "lines": LINES}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add a worker's results; a crashed worker has none."""
    output = getattr(node, "workeroutput", {})
    for promise, (tried, failed) in output.get("figures", {}).items():
        FIGURES.count(promise, tried=tried, failed=failed)
    LINES.extend(output.get("lines", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for title, lines in (("figures", LINES), ("reliability", FIGURES.lines())):
        if lines:
            terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
