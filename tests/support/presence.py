"""What a test needs of its machine: a user may lack it, CI may not."""

import os
import shutil
from typing import NoReturn

import pytest


def absent(reason: object) -> NoReturn:
    """Skip, and say why; where CI is, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must run this: {reason}")
    pytest.skip(str(reason))


def need(program: str, package: str = "") -> None:
    """Go on only where a program can be run; say which of Debian's packages has it."""
    if not shutil.which(program):
        where = f": apt-get install {package}" if package else ""
        absent(f"{program} is not on this machine{where}")
