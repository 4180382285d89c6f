"""The package as it is made, and as Lambda unpacks it."""

import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.presence import absent
from tests.support.processes import ROOT

SCRIPT = ROOT / "terraform" / "scripts" / "package.py"
MACHINES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64"}


def make(machine: str, into: Path, **options: object) -> Path:
    """Make a package in a directory."""
    made = subprocess.run(
        [sys.executable, SCRIPT, "--into", into, machine],
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload] # whatever subprocess takes
    )
    assert made.returncode == 0, made.stderr
    return into / f"lambda-{machine}.zip"


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip for a machine like this one."""
    return make(MACHINES[platform.machine()], tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def task_root(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Lambda unpacks the zip, if its modules can run here."""
    if sys.platform != "linux" or sys.version_info[:2] != (3, 13):
        absent("Lambda's own is Python 3.13 on Linux")
    root = tmp_path_factory.mktemp("task")
    zipfile.ZipFile(package).extractall(root)
    return root
