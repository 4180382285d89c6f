"""The set-up of virtual environments, with the real venv and pip and a package made here."""

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from api.local.processes import ROOT

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "api/local/environment.py"
SET_UP_SECONDS = 60


def package(directory: Path, name: str, version: str) -> str:
    """Write a wheel, and return the line that locks it."""
    information = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    entries = [f"{path},sha256={_hash(text)},{len(text)}" for path, text in files.items()]
    files[f"{information}/RECORD"] = "\n".join([*entries, f"{information}/RECORD,,", ""])
    wheel = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"{name}=={version} --hash=sha256:{digest}\n"


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with two files of locked requirements."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text(package(tmp_path, name, "1.0"))
    return tmp_path


def start(home: Path, *files: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, SCRIPT, "env", *files],
        cwd=home,
        env=os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(home)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def set_up(home: Path, *files: str) -> str:
    """Return what the set-up printed."""
    process = start(home, *files)
    printed = process.communicate(timeout=SET_UP_SECONDS)[1]
    assert process.returncode == 0, printed
    return printed


def version_of(home: Path, name: str) -> str:
    command = ["env/bin/python", "-c", f"import {name}; print({name}.VERSION)"]
    found = subprocess.run(command, cwd=home, capture_output=True, text=True, check=True)
    return found.stdout.strip()


def test_an_environment_that_is_ready_stays_and_gains_what_is_missing(home: Path) -> None:
    assert "Installing 1 packages" in set_up(home, "one.txt")
    assert set_up(home, "one.txt") == ""
    printed = set_up(home, "one.txt", "two.txt")
    assert "Making" not in printed
    assert (version_of(home, "one"), version_of(home, "two")) == ("1.0", "1.0")
    assert set_up(home, "one.txt") == ""


def test_an_environment_that_is_outdated_or_broken_is_made_anew(home: Path) -> None:
    set_up(home, "one.txt", "two.txt")
    (home / "one.txt").write_text(package(home, "one", "2.0"))
    assert "Making" in set_up(home, "one.txt")
    assert (version_of(home, "one"), version_of(home, "two")) == ("2.0", "1.0")
    python = home / "env/bin/python"
    python.unlink()
    python.symlink_to("/removed/python")
    assert "Making" in set_up(home, "one.txt")
    assert version_of(home, "one") == "2.0"


def test_two_set_ups_at_once_do_not_break_each_other(home: Path) -> None:
    processes = [start(home, "one.txt", "two.txt") for _ in range(2)]
    printed = [process.communicate(timeout=SET_UP_SECONDS)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum("Making" in text for text in printed) == 1
    assert sum("Waiting for another command" in text for text in printed) == 1
    assert (version_of(home, "one"), version_of(home, "two")) == ("1.0", "1.0")


def test_a_package_that_cannot_be_had_ends_with_what_is_needed(home: Path) -> None:
    (home / "one-1.0-py3-none-any.whl").unlink()
    process = start(home, "one.txt")
    printed = process.communicate(timeout=SET_UP_SECONDS)[1]
    assert process.returncode == 1
    assert "It needs a connection to PyPI" in printed


def test_a_folder_that_cannot_be_written_is_named(home: Path) -> None:
    (home / "env.lock").mkdir()
    with start(home, "one.txt") as process:
        _, errors = process.communicate(timeout=SET_UP_SECONDS)
    assert (process.returncode, errors) == (1, "env.lock cannot be written: Is a directory\n")
