"""The Lambda package, built as an operator builds it."""

import subprocess
import sys
import zipfile
from pathlib import Path

from api.local.processes import ROOT
from tests.support.require_tool import skip_or_fail

SCRIPT = ROOT / "terraform" / "scripts" / "package.py"
MACHINES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64"}


def make(machine: str, into: Path, **options: object) -> Path:
    """Build a package in a directory."""
    built = subprocess.run(
        [sys.executable, SCRIPT, "--into", into, machine],
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload] # any option of subprocess.run
    )
    assert built.returncode == 0, built.stderr
    return into / f"lambda-{machine}.zip"


def unpack(package: Path, into: Path) -> Path:
    """Unpack a package as Lambda does, if this machine can run it."""
    if sys.platform != "linux" or sys.version_info[:2] != (3, 13):
        skip_or_fail("Lambda runs Python 3.13 on Linux")
    zipfile.ZipFile(package).extractall(into)
    return into
