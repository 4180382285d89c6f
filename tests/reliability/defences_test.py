"""The tests go red for each defence that is taken away, in a copy of the project."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.reliability.defences import DEFENCES, Defence
from tests.support.figures import Figures
from tests.support.processes import ROOT

AT_ONCE = 2
# pytest's exit code for tests that ran and failed; an import that breaks has another.
TESTS_FAILED = 1


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[str]]]:
    """What became of the tests without each defence."""
    pool = ThreadPoolExecutor(AT_ONCE)
    yield {
        name: pool.submit(_verdict, defence, tmp_path_factory.mktemp("without"))
        for name, defence in DEFENCES.items()
    }
    # Those that nobody asked for need not be run.
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", DEFENCES)
def test_a_defence_is_missed_when_it_is_gone(
    name: str, verdicts: dict[str, Future[str]], figures: Figures
) -> None:
    """The tests that are named for it fail, because of it."""
    verdict = verdicts[name].result()
    figures.count("defences", tried=1, failed=int(bool(verdict)))
    assert verdict == ""


def test_the_copy_is_sound(tmp_path: Path) -> None:
    """With nothing taken away the same tests pass there."""
    whole = DEFENCES["a key says one thing"]
    assert _verdict(whole._replace(instead=whole.there), tmp_path).startswith("exit 0")


def _verdict(defence: Defence, copy: Path) -> str:
    """Run the named tests without a defence; say what is wrong if they do not fail."""
    for part in ("api", "handlers", "tests", "docs"):
        ignored = shutil.ignore_patterns("__pycache__", "bench")
        shutil.copytree(ROOT / part, copy / part, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", copy)
    file = copy / "api" / defence.file
    text = file.read_text()
    if text.count(defence.there) != 1:
        return f"{defence.there!r} is {text.count(defence.there)} times in {defence.file}"
    file.write_text(text.replace(defence.there, defence.instead))
    path, _, prefix = defence.noticed_by.partition("::")
    command = [sys.executable, "-m", "pytest", path, "-q", "-x", "--no-cov", "-k"]
    without_java = " and not local_dynamodb"
    ran = subprocess.run(
        [*command, prefix + without_java],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "SOAK": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if ran.returncode == TESTS_FAILED else f"exit {ran.returncode}: {ran.stdout[-2000:]}"
