"""`make bench-cold`: what a start of the function costs, and a call after it, beside its peers.

Prints the figures, and whether they meet what is aimed at; writes build/bench-cold.json and the
section of docs/performance.md. What runs is the package, unpacked, each time in a fresh process.
"""

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.bench import bench, invoke, starts
from tests.bench.starts import PATH, TREES, Candidate, Store, environment, run
from tests.support.processes import ROOT, free_port

OURS, HELLO, USUAL = "this app", "hello", "the usual way"
CANDIDATES = {
    HELLO: Candidate("hello", "hello"),
    "hello, cut alike": Candidate("hello", "ours"),
    OURS: Candidate("handlers.http", "ours"),
    USUAL: Candidate("usual", "usual"),
}
INVOCATION, REQUEST = "an invocation", "a request to the server"
CALLS_BEFORE = 100
WARM_ROUNDS = 5
IMPORT_RUNS = 5
IMPORT_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)")
PYTHON, REST = "Python's own", "all others"
# Imports of a smaller share are added up.
LEAST_SHARE = 0.01

Figures = dict[str, list[float]]


class Target(NamedTuple):
    """What is compared, and below which ratio it should be."""

    what: str
    below: float


TARGETS = (
    Target("the CPU of a start to hello's", 1.5),
    Target("the CPU of a start to the usual way's", 1.0),
    Target("the CPU of a warm invocation to that of a request to the server", 2.0),
)


def cold(store: Store, rounds: int) -> Figures:
    """Start each candidate in turn, several times over; the first round only warms the disk."""
    figures: Figures = {name: [] for name in CANDIDATES}
    for number in range(rounds + 1):
        for name, (module, tree) in CANDIDATES.items():
            ran = run(module, TREES / tree, store)
            if number:
                figures[name].append(ran.cold_ms)
    return figures


def warm(store: Store, rounds: int) -> Figures:
    """Call the function and ask the server in turn, one request at a time."""
    module, tree = CANDIDATES[OURS]
    figures: Figures = {INVOCATION: [], REQUEST: []}
    for _ in range(rounds):
        calls = run(module, TREES / tree, store, CALLS_BEFORE + invoke.COUNTED)
        figures[INVOCATION].append(calls.warm_us)
        figures[REQUEST].append(request_us(store))
    return figures


def request_us(store: Store) -> float:
    """Measure what a request takes of the server's CPU."""
    with served(store) as (process, connection):
        ask(connection, store.key, CALLS_BEFORE)
        before = bench.cpu_seconds(process.pid)
        ask(connection, store.key, invoke.COUNTED)
        return (bench.cpu_seconds(process.pid) - before) * 1e6 / invoke.COUNTED


@contextmanager
def served(
    store: Store,
) -> Iterator[tuple[subprocess.Popen[bytes], http.client.HTTPConnection]]:
    """Start the server as a container does, on the same store."""
    tree = TREES / "server"
    port = free_port()
    # uvicorn's event loop looks names up itself.
    own = {"PORT": str(port), "DYNAMODB_ENDPOINT": f"https://localhost:{store.port}"}
    with (TREES / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-S", "-m", "api"],
            cwd=tree,
            env=environment(tree) | own,
            stdout=log,
            stderr=log,
        )
        try:
            yield process, _connected(port)
        finally:
            process.kill()
            process.wait()


def _connected(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            connection.connect()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return connection
    sys.exit(f"the server did not come up; see {TREES / 'server.log'}")


def ask(connection: http.client.HTTPConnection, key: str, times: int) -> None:
    for _ in range(times):
        connection.request("GET", PATH, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"the server answered {answer.status}: {body!r}")


def imports(told: str) -> dict[str, float]:
    """Add up the own time of modules by their packages, in ms, from what `-X importtime` told."""
    spent: Counter[str] = Counter()
    for microseconds, module in IMPORT_LINE.findall(told):
        package = module.partition(".")[0]
        spent[PYTHON if package in sys.stdlib_module_names else package] += int(microseconds)
    return {name: microseconds / 1e3 for name, microseconds in spent.items()}


def shares(store: Store) -> dict[str, float]:
    """Measure this app's imports in milliseconds, the longest first."""
    module, tree = CANDIDATES[OURS]
    runs = [
        imports(run(module, TREES / tree, store, 0, "-X", "importtime").errors)
        for _ in range(IMPORT_RUNS)
    ]
    medians = {name: statistics.median(spent[name] for spent in runs) for name in runs[0]}
    return dict(sorted(medians.items(), key=lambda pair: -pair[1]))


def ratios(cold: Figures, warm: Figures) -> list[float]:
    """Give the ratios that are aimed at, in the order of their targets."""
    start, call = statistics.median(cold[OURS]), statistics.median(warm[INVOCATION])
    return [
        start / statistics.median(cold[HELLO]),
        start / statistics.median(cold[USUAL]),
        call / statistics.median(warm[REQUEST]),
    ]


def verdicts(ratios: list[float]) -> str:
    """Say of each target whether it is met."""
    return "\n".join(
        f"- {what}: {ratio:.2f}; aim: less than {below}; {'met' if ratio < below else 'missed'}"
        for (what, below), ratio in zip(TARGETS, ratios, strict=True)
    )


def table(what: str, unit: str, figures: Figures, one: str) -> str:
    """Show medians with what they lie between, and their ratios to one of them."""
    lines = [f"| {what} | CPU {unit} | least | most | to {one} |", "|---|---|---|---|---|"]
    base = statistics.median(figures[one])
    for name, values in figures.items():
        median = statistics.median(values)
        lines.append(
            f"| {name} | {median:.0f} | {min(values):.0f} | {max(values):.0f} "
            f"| {median / base:.2f} |"
        )
    return "\n".join(lines)


def import_table(shares: dict[str, float]) -> str:
    total = sum(shares.values())
    shown = {name: ms for name, ms in shares.items() if ms >= total * LEAST_SHARE}
    shown[REST] = total - sum(shown.values())
    rows = [f"| {name} | {ms:.1f} | {ms / total:.0%} |" for name, ms in shown.items()]
    return "\n".join(["| import | own ms | share |", "|---|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    starts.plant()
    with starts.store(TREES) as store:
        for tree in TREES.iterdir():
            starts.trust(tree, store.authority)
        started, called, imported = cold(store, rounds), warm(store, WARM_ROUNDS), shares(store)
    report = {"cold_ms": started, "warm_us": called, "imports_ms": imported}
    (ROOT / "build" / "bench-cold.json").write_text(json.dumps(report, indent=1) + "\n")
    text = "\n\n".join(
        [
            verdicts(ratios(started, called)),
            table("a start", "ms", started, HELLO),
            table("warm", "us", called, REQUEST),
            import_table(imported),
        ]
    )
    bench.write_into(ROOT / "docs" / "performance.md", "cold", text)
    print(text)


if __name__ == "__main__":
    main()
