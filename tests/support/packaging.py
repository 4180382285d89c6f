"""What Lambda runs, made as an operator makes it."""

import subprocess
import sys
import zipfile
from pathlib import Path

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


def unpack(package: Path, into: Path) -> Path:
    """Unpack a package as Lambda does, if its modules can run here."""
    if sys.platform != "linux" or sys.version_info[:2] != (3, 13):
        absent("Lambda's own is Python 3.13 on Linux")
    zipfile.ZipFile(package).extractall(into)
    return into
