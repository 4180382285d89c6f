"""One session: every mutant of the given modules is judged, a few of them at a time.

It begins with a run of all tests on the code as it is, to learn which test reaches which line.
"""

import json
import os
import random
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import coverage
import pytest

from tests.mutants import judge
from tests.mutants.mutations import Mutant, mutants, unchanged
from tests.mutants.score import Verdict
from tests.support.processes import ROOT, start_store

DIRECTORY = ROOT / "build"
VERDICTS = DIRECTORY / "verdicts.jsonl"
# Tests wait a good deal for servers to come and go.
WORKERS = (os.cpu_count() or 1) + 1
NOTICED = re.compile(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", re.MULTILINE)


class Tests:
    """The tests, how long each takes, and which of them reach a mutant."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = json.loads((DIRECTORY / "seconds.json").read_text())
        self._data = coverage.CoverageData(DIRECTORY / "coverage")
        self._data.read()

    def reaching(self, mutant: Mutant) -> dict[str, float]:
        """Find the tests that run a mutant's lines; those of its module if no test alone does."""
        by_line = self._data.contexts_by_lineno(str(ROOT / f"api/{mutant.change.module}.py"))
        names = {name for line in mutant.lines for name in by_line.get(line, ())} - {""}
        names = names or {name for names in by_line.values() for name in names}
        return {name: seconds for name, seconds in self._seconds.items() if name in names}


class Case(NamedTuple):
    """A mutant before its judge."""

    mutant: Mutant
    store: str
    log: Path
    began: float

    def closed(self, code: int) -> Verdict:
        log = self.log.read_text()
        noticed = NOTICED.search(log)
        return {
            **self.mutant.change._asdict(),
            "line": self.mutant.line,
            "verdict": _verdict(code, log),
            "noticed_by": noticed[1] if noticed else "",
            "seconds": round(time.monotonic() - self.began, 1),
        }


class Session:
    """Judges mutants on some stores, one at a time on each."""

    def __init__(self, tests: Tests, stores: list[str]) -> None:
        self._tests = tests
        self._free = stores
        self._open: dict[int, Case] = {}

    def judge(self, mutants: Iterable[Mutant]) -> Iterator[Verdict]:
        try:
            for mutant in mutants:
                if not self._free:
                    yield self._next_verdict()
                self._begin(mutant, self._free.pop())
            while self._open:
                yield self._next_verdict()
        finally:
            for pid in self._open:
                os.kill(pid, signal.SIGKILL)

    def _begin(self, mutant: Mutant, store: str) -> None:
        _empty(store)
        log = DIRECTORY / f"{store.rpartition(':')[2]}.log"
        module, tests = f"api.{mutant.change.module}", self._tests.reaching(mutant)
        run = partial(judge.judge, store, module, mutant.source, tests)
        self._open[judge.fork(log, run)] = Case(mutant, store, log, time.monotonic())

    def _next_verdict(self) -> Verdict:
        pid, status = os.wait()
        if pid not in self._open:
            sys.exit("A store has ended before its time.")
        case = self._open.pop(pid)
        self._free.append(case.store)
        return case.closed(os.waitstatus_to_exitcode(status))


def _verdict(code: int, log: str) -> str:
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        sys.exit(log)
    return {0: "survived", -signal.SIGALRM: "timeout"}.get(code, "killed")


@contextmanager
def _store() -> Iterator[str]:
    process, url = start_store()
    with process:
        yield url


def _empty(store: str) -> None:
    request = urllib.request.Request(f"{store}/moto-api/reset", method="POST")
    with urllib.request.urlopen(request, timeout=judge.LEAST_SECONDS):
        pass


def _prepare(store: str, modules: list[Path]) -> tuple[Tests, list[Mutant]]:
    """Make all mutants while the tests are recorded; the first one is no mutant."""
    log = DIRECTORY / "record.log"
    recording = judge.fork(log, partial(judge.record, store, DIRECTORY))
    made = [mutant for module in modules for mutant in mutants(module)]
    _, status = os.waitpid(recording, 0)
    if status:
        sys.exit(f"The tests fail without a mutant:\n{log.read_text()}")
    # In no order of the code: a session cut short has then judged a fair sample.
    random.Random(0).shuffle(made)  # noqa: S311 - no secret
    return Tests(), [unchanged(modules[0]), *made]


def _judged(session: Session, made: list[Mutant]) -> Iterator[Verdict]:
    for number, verdict in enumerate(session.judge(made), 1):
        print(f"\r{number} of {len(made)}", end="", file=sys.stderr, flush=True)
        if verdict["before"] != verdict["after"]:
            yield verdict
        elif verdict["verdict"] != "survived":
            sys.exit(f"Beside others a test fails without a mutant: {verdict['noticed_by']}")


def main() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    judge.prepare()
    with ExitStack() as stack:
        stores = [stack.enter_context(_store()) for _ in range(WORKERS)]
        tests, made = _prepare(stores[0], [ROOT / f"api/{name}.py" for name in sys.argv[1:]])
        # Line by line, so that a session cut short leaves what it has found.
        with VERDICTS.open("w", buffering=1) as file:
            for verdict in _judged(Session(tests, stores), made):
                print(json.dumps(verdict), file=file)


if __name__ == "__main__":
    main()
