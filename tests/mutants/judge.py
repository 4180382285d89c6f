"""What judges a mutant: the tests that reach it, in a process of their own, on a store that is up.

The process is forked from one that has imported everything but the project's own code, so it
begins within a second.
"""

import json
import os
import signal
import sys
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from typing import Any

import coverage
import pytest
from hypothesis import settings

WANTED_BY_ALL = ("boto3", "fastapi", "httpx", "jsonschema", "pynamodb.models", "uvicorn")
ARGUMENTS = ("-q", "-x", "--tb=line", "-p", "no:cacheprovider", "-p", "no:schemathesis")
# Assertions of plugins that were imported before pytest began need no explanation.
IMPORTED_BEFORE = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
# The fuzzer draws other requests in each run, and a verdict must not hang on luck.
JUDGES = ("tests/api", "--ignore=tests/api/fuzz_test.py")
# What a test may take: so many times what it took without a mutant, but this at least.
PATIENCE = 5
LEAST_SECONDS = 20
# What it may take until the first test begins.
START_SECONDS = 60


class Mutated(MetaPathFinder, InspectLoader):
    """Gives one module another source than its file has."""

    def __init__(self, name: str, source: str) -> None:
        self._name = name
        self._source = source

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname == self._name else None

    def get_source(self, _fullname: str) -> str:
        return self._source

    def is_package(self, _fullname: str) -> bool:
        return False


class OnStore:
    """Runs tests on a store that is there already; those on DynamoDB Local are left out."""

    def __init__(self, store: str) -> None:
        self._store = store

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[str], request: Any) -> str | None:
        if fixturedef.argname != "moto":
            return None
        fixturedef.cached_result = (self._store, fixturedef.cache_key(request), None)
        return self._store

    def pytest_collection_modifyitems(self, items: list[pytest.Function]) -> None:
        items[:] = [item for item in items if not _needs_java(item)]


class Chosen:
    """Runs the tests that reach a mutant, the likeliest to notice first, none for too long."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = (item for item in items if item.nodeid in self._seconds)
        quickest = sorted(chosen, key=lambda item: self._seconds[item.nodeid])
        # One case of each test before the second of any: the cases of one test see much the same.
        seen: Counter[str] = Counter()
        rank = {}
        for item in quickest:
            test = item.nodeid.partition("[")[0]
            rank[item.nodeid] = seen[test]
            seen[test] += 1
        items[:] = sorted(quickest, key=lambda item: rank[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        _end_after(max(LEAST_SECONDS, PATIENCE * self._seconds[nodeid]))


class Recorder:
    """Writes down which test runs which lines of the API, and how long each test takes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._coverage = coverage.Coverage(
            directory / "coverage",
            source=["api"],
            concurrency=["thread", "greenlet"],
            config_file=False,
        )
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        self._coverage.save()
        (self._directory / "seconds.json").write_text(json.dumps(self._seconds))


def prepare() -> None:
    """Make ready what all judges share; each inherits it."""
    settings.register_profile("mutants", derandomize=True, database=None, deadline=None)
    settings.load_profile("mutants")
    for name in WANTED_BY_ALL:
        import_module(name)


def fork(log: Path, run: Callable[[], int]) -> int:
    """Begin a process that exits with what pytest returned, and give its id."""
    if pid := os.fork():
        return pid
    code: int = pytest.ExitCode.INTERNAL_ERROR
    try:
        with log.open("w") as file:
            os.dup2(file.fileno(), sys.stdout.fileno())
            os.dup2(file.fileno(), sys.stderr.fileno())
        code = run()
    except BaseException:  # noqa: BLE001 - nothing may get back to where the parent goes on
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def record(store: str, directory: Path) -> int:
    """Run all judges on the code as it is."""
    plugins = [OnStore(store), Recorder(directory)]
    return pytest.main([*ARGUMENTS, *IMPORTED_BEFORE, *JUDGES], plugins)


def judge(store: str, module: str, source: str, seconds: dict[str, float]) -> int:
    """Run the given tests on a mutant, each with the seconds it takes without one."""
    _end_after(START_SECONDS)
    sys.meta_path.insert(0, Mutated(module, source))
    files = sorted({test.partition("::")[0] for test in seconds})
    plugins = [OnStore(store), Chosen(seconds)]
    return pytest.main([*ARGUMENTS, *IMPORTED_BEFORE, *files], plugins)


def _end_after(seconds: float) -> None:
    # Nothing handles the signal: it ends the process, whatever a mutant keeps it busy with.
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _needs_java(item: pytest.Function) -> bool:
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "local_dynamodb" in (*item.fixturenames, *parameters)
