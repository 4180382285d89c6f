"""The package, built and unpacked once, and run with the settings of a preview."""

import itertools
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.emulator import preview
from tests.emulator.emulator import Emulator, emulated
from tests.support.packaging import MACHINES, make, unpack

Emulate = Callable[..., AbstractContextManager[Emulator]]

_numbers = itertools.count()


@pytest.fixture(scope="session")
def task_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the unpacked package for this machine's architecture."""
    package = make(MACHINES[platform.machine()], tmp_path_factory.mktemp("package"))
    return unpack(package, tmp_path_factory.mktemp("task"))


@pytest.fixture
def emulate(task_root: Path, tmp_path: Path) -> Emulate:
    """Start the function with an empty table in a store."""

    def start(store: str, **environment: str) -> AbstractContextManager[Emulator]:
        number = next(_numbers)
        described = preview.read()
        described.variables["TABLE_NAME"] += f"-{number}"
        return emulated(task_root, described, store, tmp_path / f"log-{number}", **environment)

    return start


@pytest.fixture
def emulator(store: str, emulate: Emulate) -> Iterator[Emulator]:
    """The function with a table in each emulator of DynamoDB in turn."""
    with emulate(store) as emulator:
        yield emulator
