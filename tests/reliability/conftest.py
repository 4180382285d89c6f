"""The figures of this run, printed at its end."""

from collections.abc import Iterator

import pytest

from tests.support.figures import Figures

FIGURES = Figures()


@pytest.fixture(scope="session")
def figures() -> Iterator[Figures]:
    """Count what was tried and what failed; written to build/reliability.json at the end."""
    yield FIGURES
    FIGURES.save()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if lines := FIGURES.lines():
        terminalreporter.section("reliability")
        for line in lines:
            terminalreporter.write_line(line)
