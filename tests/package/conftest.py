"""The package as it is made, and as Lambda unpacks it."""

import platform
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.packaging import MACHINES, make
from tests.support.presence import absent


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
