"""What the targets of make need of the machine."""

import os
import subprocess
from pathlib import Path

import pytest

from api.local.processes import ROOT


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_uses_the_node_that_it_installed() -> None:
    """`make node` links it into a directory that is the first on the PATH of every target."""
    printed = make("--eval", "path: ; @echo $$PATH", "path")
    assert printed.stdout.startswith(f"{ROOT}/build/node:")


@pytest.mark.parametrize("target", ["run", "key", "bootstrap-key", "reset", "test"])
def test_a_target_without_a_python_says_which_one_is_needed(target: str, tmp_path: Path) -> None:
    """None on the PATH, or an old one in PYTHON."""
    none = make(target, PYTHON="")
    assert none.stdout == "Python 3.11 or newer is needed; PYTHON=/path/to/it make ...\n"
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\ncase $1 in -c) exit 1 ;; esac; echo Python 3.10.13\n")
    old.chmod(0o755)
    given = make(target, PYTHON=str(old))
    assert given.stdout == f"PYTHON={old} is Python 3.10.13; 3.11 or newer is needed\n"
    assert none.returncode == given.returncode == 2
