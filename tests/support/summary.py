"""What the tests of a run have found out, printed at its end, whichever worker they ran in."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.figures import Figures

FIGURES = Figures()
LINES: list[str] = []


@pytest.fixture(scope="session")
def figures() -> Figures:
    """Count what was tried and what failed; written to build/reliability.json at the end."""
    return FIGURES


@pytest.fixture(scope="session")
def report() -> Callable[[str], None]:
    """Print a line at the end of the run."""
    return LINES.append


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is None:
        FIGURES.save()
    else:
        output |= {"figures": FIGURES.counts, "lines": LINES}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what a worker has found out; one that crashed has left nothing."""
    output = getattr(node, "workeroutput", {})
    for promise, (tried, failed) in output.get("figures", {}).items():
        FIGURES.count(promise, tried=tried, failed=failed)
    LINES.extend(output.get("lines", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _section(terminalreporter, "figures", LINES)
    _section(terminalreporter, "reliability", FIGURES.lines())


def _section(terminal: pytest.TerminalReporter, title: str, lines: list[str]) -> None:
    if lines:
        terminal.section(title)
    for line in lines:
        terminal.write_line(line)
