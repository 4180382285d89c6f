"""The package as it is built, and unpacked as Lambda does."""

import platform
from pathlib import Path

import pytest

from tests.support.packaging import MACHINES, make, unpack


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for this machine's architecture."""
    return make(MACHINES[platform.machine()], tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def task_root(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the unpacked package, if this machine can run it."""
    return unpack(package, tmp_path_factory.mktemp("task"))
