"""The package as it is made, and as Lambda unpacks it."""

import platform
from pathlib import Path

import pytest

from tests.support.packaging import MACHINES, make, unpack


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip for a machine like this one."""
    return make(MACHINES[platform.machine()], tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def task_root(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Lambda unpacks the zip, if its modules can run here."""
    return unpack(package, tmp_path_factory.mktemp("task"))
