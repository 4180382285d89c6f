"""The benchmark of cold starts measures functions that work."""

import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.local.processes import ROOT
from tests.bench import cold, stub

PACKAGES = Path(sysconfig.get_path("purelib"))
# Botocore prefers its certificates to its own, if it is installed.
UNWANTED = {"botocore", "certifi", "tests", "__pycache__"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cold.Store]:
    with cold.running_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, store: cold.Store) -> Path:
    """Both functions and their libraries, which trust the stand-in for DynamoDB."""
    root = tmp_path_factory.mktemp("tree")
    modules = (cold.HERE / "hello.py", cold.HERE / "invoke.py", ROOT / "api", ROOT / "handlers")
    for path in (*PACKAGES.iterdir(), *modules):
        if path.name not in UNWANTED:
            (root / path.name).symlink_to(path)
    (root / "botocore").mkdir()
    for path in (PACKAGES / "botocore").iterdir():
        if path.name != "cacert.pem":
            (root / "botocore" / path.name).symlink_to(path)
    (root / "botocore" / "cacert.pem").touch()
    cold.trust(root, store.authority)
    return root


def test_the_function_reads_the_task_from_the_store(tree: Path, store: cold.Store) -> None:
    """A start includes two calls to DynamoDB over TLS: for the API key and for the task."""
    started = cold.start("handlers.http", tree, store)
    assert f'"id":"{stub.ID}"' in started["body"]
    assert started["cpu_ms"] > 0


def test_a_failing_function_ends_the_benchmark(tree: Path, store: cold.Store) -> None:
    """A function that fails quickly must not look fast."""
    unknown = store._replace(key=store.key[:-1])
    with pytest.raises(SystemExit, match="'status': 401"):
        cold.start("handlers.http", tree, unknown)


def test_the_table_compares_medians() -> None:
    """One slow start changes no ratio."""
    rows = cold.table({"hello": [100.0], "this app": [140.0, 150.0, 900.0]}).splitlines()
    assert rows[3] == "| this app | 150 | 140 | 900 | 1.50 |"
