"""Skip a test that needs something which this machine lacks; in CI, fail instead."""

import os
import shutil
from typing import NoReturn

import pytest


def skip_or_fail(reason: object) -> NoReturn:
    """Skip the test for this reason, or fail it if the environment has CI set."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must run this: {reason}")
    pytest.skip(str(reason))


def require_tool(program: str, package: str = "") -> None:
    """Skip or fail the test if the program is missing; `package` is its Debian package."""
    if not shutil.which(program):
        hint = f": apt-get install {package}" if package else ""
        skip_or_fail(f"{program} is not installed{hint}")
