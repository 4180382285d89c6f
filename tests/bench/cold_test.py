"""What the measurement of starts does without load: functions answer, figures become sentences."""

import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import cold, starts, stub
from tests.support.processes import ROOT

PACKAGES = Path(sysconfig.get_path("purelib"))
# It would bring authorities of its own.
UNWANTED = "certifi"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[starts.Store]:
    with starts.store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, store: starts.Store) -> Path:
    """All that any of the functions imports, with authorities of its own."""
    root = tmp_path_factory.mktemp("tree")
    files = [*PACKAGES.iterdir(), ROOT / "api", ROOT / "handlers"]
    for path in [*files, *(starts.HERE / name for name in starts.SHARED)]:
        if path.name not in {"botocore", UNWANTED, "tests", "__pycache__"}:
            (root / path.name).symlink_to(path)
    (root / "botocore").mkdir()
    for path in (PACKAGES / "botocore").iterdir():
        if path.name != "cacert.pem":
            (root / "botocore" / path.name).symlink_to(path)
    (root / "botocore" / "cacert.pem").touch()
    starts.trust(root, store.authority)
    return root


@pytest.mark.parametrize("module", ["handlers.http", "usual"])
def test_a_function_answers_with_the_task_of_the_store(
    tree: Path, store: starts.Store, module: str
) -> None:
    """Over TLS, and where there are keys, by the one that the store knows."""
    ran = starts.run(module, tree, store)
    assert f'"id":"{stub.ID}"' in ran.body
    assert '"labels":["paper","pen"]' in ran.body
    assert ran.cold_ms > 0


def test_hello_needs_no_store(tree: Path, store: starts.Store) -> None:
    """It is called with the same event."""
    assert starts.run("hello", tree, store).body == f'{{"hello":"{stub.ID}"}}'


def test_what_does_not_answer_ends_the_measurement(tree: Path, store: starts.Store) -> None:
    """A function that fails quickly must not look fast."""
    unknown = store._replace(key=store.key[:-1])
    with pytest.raises(SystemExit, match="answered 401"):
        starts.run("handlers.http", tree, unknown)


def test_imports_are_added_up_by_package() -> None:
    """A module's own time counts for its package, and Python's for Python."""
    told = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:      1000 |       1000 |     json.decoder\n"
        "import time:       500 |       1500 |   api.models\n"
        "import time:       250 |       1750 | api\n"
        '{"message": "request"}\n'
    )
    assert cold.imports(told) == {cold.PYTHON: 1.0, "api": 0.75}


def test_a_target_is_met_by_the_medians() -> None:
    """One slow start does not miss it, and the sentence says what was found."""
    started = {cold.HELLO: [100.0], cold.OURS: [140.0, 149.0, 900.0], cold.USUAL: [149.0]}
    called = {cold.INVOCATION: [900.0, 800.0, 700.0], cold.REQUEST: [390.0]}
    hello, usual, server = cold.verdicts(cold.ratios(started, called)).splitlines()
    assert hello == "- the CPU of a start to hello's: 1.49; aim: less than 1.5; met"
    assert usual.endswith("1.00; aim: less than 1.0; missed")
    assert server.endswith("2.05; aim: less than 2.0; missed")


def test_the_document_has_what_the_command_writes() -> None:
    """Each table's head and each target's sentence, and every candidate."""
    written = (ROOT / "docs" / "performance.md").read_text().partition("<!-- cold -->")[2]
    figures = {name: [1.0] for name in cold.CANDIDATES}
    warm = {name: [1.0] for name in (cold.INVOCATION, cold.REQUEST)}
    for table in (
        cold.table("a start", "ms", figures, cold.HELLO),
        cold.table("warm", "us", warm, cold.REQUEST),
    ):
        head, _, *rows = table.splitlines()
        assert head in written
        assert all(row.partition("| 1 |")[0] in written for row in rows)
    assert all(f"- {what}: " in written for what, _ in cold.TARGETS)
