"""`make bench`: this app as in production, beside its peers, in one interleaved run.

Prints a table and the requirements, writes them and a chart into docs/, and the table as JSON into
build/bench.json.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from api import key_format
from api.local.processes import ROOT
from tests.bench import stub
from tests.support.ports import free_port, wait_until_taken

SYSTEMS = ("this app", "bare", "pynamodb-threads", "aiobotocore", "aiodynamo")
CONNECTIONS = (16, 64)
# CPU time is measured with this many: a system is always busy, and its queue is short.
CPU_CONNECTIONS = 16
SETTLE_SECONDS = 0.5
WARM_UP_SECONDS = 1
START_SECONDS = 30
# With 64 connections, the first responses are late. In a stretch this many times as long, they are
# less than one in a hundred and do not become the p99.
LONGER = {64: 2}
TICKS = os.sysconf("SC_CLK_TCK")
KEY = key_format.generate(stub.ID)
# What this app may cost at most: the other system, and its CPU time as a multiple of that one's.
MAX_RATIOS = {"bare": 3.0, "aiodynamo": 1.1}


class Operation(NamedTuple):
    """A request that wrk repeats, and the status of its response."""

    name: str
    status: int
    method: str
    path: str
    headers: dict[str, str]
    body: str = ""


AUTHORIZATION = {"Authorization": f"Bearer {KEY}"}
POST_HEADERS = AUTHORIZATION | {"Content-Type": "application/json"}
PATCH_HEADERS = AUTHORIZATION | {
    "Content-Type": "application/merge-patch+json",
    "If-Match": stub.ETAG,
}
TASK_PATH = f"/v1/tasks/{stub.ID}"
NEW_TASK = {
    "title": "Write the release notes",
    "description": "List what changed for clients",
    "priority": "high",
    "labels": ["docs", "release"],
    "project": "tracker",
    "due_at": "2027-01-31T10:30:00+01:00",
}
CHANGE = {"title": "Publish the release notes", "priority": "low"}
OPERATIONS = (
    Operation("get_one", 200, "GET", TASK_PATH, AUTHORIZATION),
    Operation("list_25", 200, "GET", f"/v1/tasks?limit={stub.PAGE}", AUTHORIZATION),
    Operation("post", 201, "POST", "/v1/tasks", POST_HEADERS, json.dumps(NEW_TASK)),
    Operation("patch", 200, "PATCH", TASK_PATH, PATCH_HEADERS, json.dumps(CHANGE)),
)


class Figures(NamedTuple):
    """The result of one stretch of load; CPU time is that of one request."""

    cpu_us: float
    rps: float
    p50_ms: float
    p99_ms: float


class Row(NamedTuple):
    """One system under one operation, as medians; latencies are at 16 connections, or at 64."""

    operation: str
    system: str
    cpu_us: float
    ratio_to_bare: float
    rps: float
    p50_ms: float
    p99_ms: float
    p99_ms_at_64: float


# The stretches of a system, an operation and a number of connections, one for each round.
Results = dict[tuple[str, str, int], list[Figures]]


@contextmanager
def started(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def command_for(system: str, port: int) -> list[str]:
    if system == "this app":
        return [sys.executable, "-m", "api"]
    factory = "tests.bench.peers:create"
    quiet = ["--no-access-log", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port), *quiet]


@contextmanager
def running(system: str, endpoint: str, logs: Path, key: str = "") -> Iterator[tuple[int, str]]:
    """Start a system and yield its process id and its URL; with an API key, this app needs it."""
    port = free_port()
    environment = {
        "PORT": str(port),
        "DYNAMODB_ENDPOINT": endpoint,
        # The stub has no record of the workspaces.
        "BACKLOG": "off",
        "AUTH": "on" if key else "off",
        # One client sends all requests: the limit counts them, and refuses none.
        "RATE_LIMIT": "1000000",
        "WORKSPACE_RATE_LIMIT": "1000000",
        "CURSOR_SECRET": "x" * 40,
        "LOG_FORMAT": "json",
        "PEER": system,
    }
    log = logs / f"{system.replace(' ', '-')}.log"
    with started(command_for(system, port), log, **environment) as process:
        if not wait_until_taken(port, process, START_SECONDS):
            sys.exit(f"{system} did not start; see {log}")
        yield process.pid, f"http://127.0.0.1:{port}"


def check_response(url: str, operation: Operation) -> None:
    """Check the exact status, because wrk counts errors only."""
    request = urllib.request.Request(
        url + operation.path, operation.body.encode() or None, operation.headers
    )
    request.method = operation.method
    with urllib.request.urlopen(request, timeout=10) as response:
        if response.status != operation.status:
            sys.exit(f"{operation.name} on {url}: status {response.status}")


def cpu_seconds(pid: int) -> float:
    """Read the CPU time that a process has used, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(pid: int, url: str, operation: Operation, connections: int, seconds: int) -> Figures:
    """Put load on a system for some seconds, after a short time that does not count."""
    _wrk(url, operation, connections, WARM_UP_SECONDS)
    # Requests that wrk left behind count as in flight until they have ended.
    time.sleep(SETTLE_SECONDS)
    before = cpu_seconds(pid)
    requests, failed, duration_us, p50_us, p99_us = _wrk(url, operation, connections, seconds)
    used = cpu_seconds(pid) - before
    if failed or not requests:
        sys.exit(f"{operation.name} on {url}: {failed} of {requests} requests failed")
    return Figures(
        cpu_us=used * 1e6 / requests,
        rps=requests * 1e6 / duration_us,
        p50_ms=p50_us / 1000,
        p99_ms=p99_us / 1000,
    )


def _wrk(url: str, operation: Operation, connections: int, seconds: int) -> list[int]:
    options = f"-t1 -c{connections} -d{seconds}s --timeout 30s -s tests/bench/load.lua".split()
    headers = [f"-H{name}: {value}" for name, value in operation.headers.items()]
    run = subprocess.run(
        ["wrk", *options, *headers, url + operation.path],
        cwd=ROOT,
        env=os.environ | {"LOAD_METHOD": operation.method, "LOAD_BODY": operation.body},
        capture_output=True,
        text=True,
        check=True,
    )
    (figures,) = [line for line in run.stdout.splitlines() if line.startswith("FIGURES")]
    return [int(figure) for figure in figures.split()[1:]]


def measure(rounds: int, seconds: int) -> Results:
    """Measure all systems in turn, several times, so that a slow minute affects all of them."""
    logs = ROOT / "build" / "bench-logs"
    logs.mkdir(parents=True, exist_ok=True)
    results: Results = {}
    with ExitStack() as stack:
        store_command = [sys.executable, "-m", "tests.bench.stub", "0", KEY]
        store = stack.enter_context(started(store_command, logs / "stub.log"))
        assert store.stdout
        endpoint = f"http://127.0.0.1:{store.stdout.readline().strip()}"
        addresses = {
            system: stack.enter_context(running(system, endpoint, logs, KEY)) for system in SYSTEMS
        }
        for _, url in addresses.values():
            for operation in OPERATIONS:
                check_response(url, operation)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            for operation, connections in itertools.product(OPERATIONS, CONNECTIONS):
                for system, (pid, url) in addresses.items():
                    stretch = seconds * LONGER.get(connections, 1)
                    figures = load(pid, url, operation, connections, stretch)
                    results.setdefault((system, operation.name, connections), []).append(figures)
    return results


def cpu_ratios(results: Results, system: str, other: str, operation: str) -> list[float]:
    """Return a system's CPU time as a multiple of another's, for each round, in order of size."""
    ours, others = (results[name, operation, CPU_CONNECTIONS] for name in (system, other))
    return sorted(a.cpu_us / b.cpu_us for a, b in zip(ours, others, strict=True))


def rows(results: Results) -> list[Row]:
    """Return the medians of each system under each operation."""
    return [
        Row(
            operation=operation,
            system=system,
            cpu_us=_median(stretches, "cpu_us"),
            ratio_to_bare=statistics.median(cpu_ratios(results, system, "bare", operation)),
            rps=_median(stretches, "rps"),
            p50_ms=_median(stretches, "p50_ms"),
            p99_ms=_median(stretches, "p99_ms"),
            p99_ms_at_64=_median(results[system, operation, 64], "p99_ms"),
        )
        for (system, operation, connections), stretches in results.items()
        if connections == CPU_CONNECTIONS
    ]


def _median(stretches: list[Figures], name: str) -> float:
    return float(statistics.median(getattr(figures, name) for figures in stretches))


def table(rows: list[Row]) -> str:
    lines = [
        "| operation | system | CPU us | to bare | req/s | p50 ms | p99 ms | p99 ms at 64 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.operation} | {row.system} | {row.cpu_us:.0f} | {row.ratio_to_bare:.2f} "
        f"| {row.rps:.0f} | {row.p50_ms:.1f} | {row.p99_ms:.1f} | {row.p99_ms_at_64:.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def requirements(results: Results) -> str:
    """Compare this app's CPU time with its requirements, with the spread over the rounds."""
    lines = [
        "| operation | to | median | least | most | at most | |",
        "|---|---|---|---|---|---|---|",
    ]
    for operation, (other, allowed) in itertools.product(OPERATIONS, MAX_RATIOS.items()):
        ratios = cpu_ratios(results, "this app", other, operation.name)
        ratio = statistics.median(ratios)
        lines.append(
            f"| {operation.name} | {other} | {ratio:.2f} | {ratios[0]:.2f} | {ratios[-1]:.2f} "
            f"| {allowed:.1f} | {'met' if ratio <= allowed else 'not met'} |"
        )
    return "\n".join(lines)


def write_into(document: Path, mark: str, text: str) -> None:
    """Replace the figures in a document between a mark and the next `end` mark."""
    before, _, rest = document.read_text().partition(f"<!-- {mark} -->\n")
    _, _, after = rest.partition("<!-- end -->")
    document.write_text(f"{before}<!-- {mark} -->\n{text}\n<!-- end -->{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each stretch of load")
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk makes the load: apt-get install wrk, or brew install wrk")
    results = measure(arguments.rounds, arguments.seconds)
    measured = rows(results)
    report = [row._asdict() for row in measured]
    (ROOT / "build" / "bench.json").write_text(json.dumps(report, indent=1) + "\n")
    # matplotlib is in the benchmark's own environment only.
    from tests.bench import chart

    chart.draw(measured, ROOT / "docs" / "images" / "bench.svg")
    figures = f"{table(measured)}\n\nThis app's requirements:\n\n{requirements(results)}"
    write_into(ROOT / "docs" / "performance.md", "figures", figures)
    print(figures)


if __name__ == "__main__":
    main()
