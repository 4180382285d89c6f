"""`make bench`: this app with everything on, beside its peers, in one interleaved run.

Prints a table with ratios to bare FastAPI, writes build/bench.json, and puts the table and a chart
into docs/.
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
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench import stub
from tests.support.processes import ROOT, free_port

SYSTEMS = ("this app", "bare", "pynamodb-threads", "boto3-threads", "aiobotocore", "aiodynamo")
CONNECTIONS = (1, 16, 64)
# The number of connections at which CPU is counted: enough that none of it is waiting.
CPU_CONNECTIONS = 16
WARM_UP_SECONDS = 1
# Where many connections begin at once, the first answers come late; in a longer stretch they are
# fewer than one in a hundred.
LONGER = {64: 3}
TICKS = os.sysconf("SC_CLK_TCK")


class Operation(NamedTuple):
    """A request that wrk repeats."""

    name: str
    method: str
    path: str
    content_type: str = ""
    body: str = ""


NEW_TASK = {
    "title": "Write it down",
    "description": "Before it is forgotten",
    "priority": "high",
    "labels": ["paper", "pen"],
    "project": "memory",
    "due_at": "2027-01-31T10:30:00+01:00",
}
OPERATIONS = (
    Operation("get_one", "GET", f"/v1/tasks/{stub.ID}"),
    Operation("list_25", "GET", f"/v1/tasks?limit={stub.PAGE}"),
    Operation("post", "POST", "/v1/tasks", "application/json", json.dumps(NEW_TASK)),
    Operation(
        "patch",
        "PATCH",
        f"/v1/tasks/{stub.ID}",
        "application/merge-patch+json",
        json.dumps({"title": "Written", "priority": "low"}),
    ),
)


class Plan(NamedTuple):
    """What to measure: each system under each operation with each number of connections."""

    systems: tuple[str, ...]
    operations: tuple[Operation, ...]
    connections: tuple[int, ...]


class Figures(NamedTuple):
    """What one stretch of load came to."""

    cpu_us: float
    rps: float
    p50_ms: float
    p99_ms: float


@dataclass
class Measured:
    """All stretches of one system under one operation, by number of connections."""

    stretches: dict[int, list[Figures]] = field(default_factory=dict)

    def median(self, name: str, connections: int) -> float:
        return float(statistics.median(getattr(f, name) for f in self.stretches[connections]))


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
def running(system: str, endpoint: str, logs: Path) -> Iterator[tuple[int, str]]:
    """Start a system, its log in a file, and give its process id and its address."""
    port = free_port()
    environment = {
        "PORT": str(port),
        "DYNAMODB_ENDPOINT": endpoint,
        "AUTH": "off",
        "CURSOR_SECRET": "x" * 40,
        "LOG_FORMAT": "json",
        "PEER": system,
    }
    log = logs / f"{system.replace(' ', '-')}.log"
    with started(command_for(system, port), log, **environment) as process:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/v1/tasks?limit={stub.PAGE}", log)
        yield process.pid, url


def _wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError as error:
            sys.exit(f"{url} answered {error.code}; see {log}")
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{url} did not come up; see {log}")


def cpu_seconds(pid: int) -> float:
    """Read the CPU time that a process has used, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(pid: int, url: str, operation: Operation, connections: int, seconds: int) -> Figures:
    """Put load on a system for some seconds, after a short one that does not count."""
    _wrk(url, operation, connections, WARM_UP_SECONDS)
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
    arguments = f"-t1 -c{connections} -d{seconds}s --timeout 30s -s tests/bench/load.lua"
    run = subprocess.run(
        ["wrk", *arguments.split(), url + operation.path],
        cwd=ROOT,
        env=os.environ
        | {
            "LOAD_METHOD": operation.method,
            "LOAD_BODY": operation.body,
            "LOAD_CONTENT_TYPE": operation.content_type,
            "LOAD_IF_MATCH": stub.ETAG,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    (figures,) = [line for line in run.stdout.splitlines() if line.startswith("FIGURES")]
    return [int(figure) for figure in figures.split()[1:]]


Results = dict[tuple[str, str], Measured]


def measure(plan: Plan, rounds: int, seconds: int) -> Results:
    """Measure all systems in turn, several times over, so that a slow minute hits them all."""
    logs = ROOT / "build" / "bench-logs"
    logs.mkdir(parents=True, exist_ok=True)
    results: Results = {}
    with ExitStack() as stack:
        store = stack.enter_context(
            started([sys.executable, "-m", "tests.bench.stub", "0"], logs / "stub.log")
        )
        assert store.stdout
        endpoint = f"http://127.0.0.1:{store.stdout.readline().strip()}"
        addresses = {
            system: stack.enter_context(running(system, endpoint, logs)) for system in plan.systems
        }
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            for operation, connections in itertools.product(plan.operations, plan.connections):
                for system, (pid, url) in addresses.items():
                    stretch = seconds * LONGER.get(connections, 1)
                    figures = load(pid, url, operation, connections, stretch)
                    measured = results.setdefault((system, operation.name), Measured())
                    measured.stretches.setdefault(connections, []).append(figures)
    return results


def cpu(results: Results, system: str, operation: str) -> float:
    return results[system, operation].median("cpu_us", CPU_CONNECTIONS)


def rows(results: Results) -> list[dict[str, Any]]:
    """Put the medians into rows, with each system's CPU as a ratio to bare FastAPI's."""
    return [
        {
            "system": system,
            "operation": operation,
            "cpu_us": round(cpu(results, system, operation), 1),
            "ratio_to_bare": round(
                cpu(results, system, operation) / cpu(results, "bare", operation), 2
            ),
            **{
                name: {str(n): round(measured.median(name, n), 2) for n in CONNECTIONS}
                for name in ("rps", "p50_ms", "p99_ms")
            },
        }
        for (system, operation), measured in results.items()
    ]


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| operation | system | CPU us | to bare | req/s | p50 ms | p99 ms at 1 | at 16 | at 64 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['operation']} | {row['system']} | {row['cpu_us']:.0f} "
        f"| {row['ratio_to_bare']:.2f} | {row['rps']['16']:.0f} | {row['p50_ms']['16']:.1f} "
        f"| {row['p99_ms']['1']:.1f} | {row['p99_ms']['16']:.1f} | {row['p99_ms']['64']:.1f} |"
        for operation in OPERATIONS
        for row in rows
        if row["operation"] == operation.name
    ]
    return "\n".join(lines)


def middleware(rounds: int, seconds: int) -> dict[str, float]:
    """Measure what counting a request costs, alone on bare FastAPI, in microseconds of CPU."""
    systems = ("bare", "bare-metrics", "bare-instrumentator")
    results = measure(Plan(systems, OPERATIONS[:1], (CPU_CONNECTIONS,)), rounds, seconds)
    alone = cpu(results, "bare", "get_one")
    return {
        name: round(cpu(results, system, "get_one") - alone, 1)
        for name, system in (("own", systems[1]), ("instrumentator", systems[2]))
    }


# What each depth adds to the one before.
LAYERS = {
    "bare": "routing, models and the answer: bare FastAPI",
    "layer-middleware": "request id, limit, metrics, log line",
    "layer-http": "a request to the store and its answer",
    "layer-send": "credentials, signature, JSON, checksum, retry budget",
    "layer-bridge": "the greenlet",
    "this app": "PynamoDB, the repository, the service, the call's metrics",
}


def layers(rounds: int, seconds: int) -> dict[str, float]:
    """Measure a read by layers, in microseconds of CPU: each in its place, as the one above it."""
    plan = Plan(tuple(LAYERS), OPERATIONS[:1], (CPU_CONNECTIONS,))
    results = measure(plan, rounds, seconds)
    depths = [cpu(results, system, "get_one") for system in LAYERS]
    added = [here - above for above, here in itertools.pairwise([0.0, *depths])]
    return {name: round(us, 1) for name, us in zip(LAYERS.values(), added, strict=True)}


def layer_table(layers: dict[str, float]) -> str:
    rows = [f"| {name} | {us:.0f} |" for name, us in layers.items()]
    return "\n".join(["| layer of a read | CPU us |", "|---|---|", *rows])


def write_into(document: Path, mark: str, text: str) -> None:
    """Put figures into a document, between a mark and the end of what it marks."""
    before, _, rest = document.read_text().partition(f"<!-- {mark} -->\n")
    _, _, after = rest.partition("<!-- end -->")
    document.write_text(f"{before}<!-- {mark} -->\n{text}\n<!-- end -->{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="of each stretch of load")
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk makes the load: apt-get install wrk, or brew install wrk")
    everything = Plan(SYSTEMS, OPERATIONS, CONNECTIONS)
    measured = rows(measure(everything, arguments.rounds, arguments.seconds))
    counting = middleware(2 * arguments.rounds + 1, arguments.seconds)
    by_layer = layers(arguments.rounds, arguments.seconds)
    report = {"rows": measured, "middleware_cpu_us": counting, "layers_cpu_us": by_layer}
    (ROOT / "build" / "bench.json").write_text(json.dumps(report, indent=1) + "\n")
    # matplotlib is in the benchmark's own environment only.
    from tests.bench import chart

    chart.draw(measured, ROOT / "docs" / "images" / "bench.svg")
    figures = (
        f"{table(measured)}\n\nCounting a request costs {counting['own']:.0f} us of CPU; "
        f"prometheus-fastapi-instrumentator takes {counting['instrumentator']:.0f} us."
    )
    performance = ROOT / "docs" / "performance.md"
    write_into(performance, "figures", figures)
    write_into(performance, "layers", layer_table(by_layer))
    print(f"{figures}\n\n{layer_table(by_layer)}")


if __name__ == "__main__":
    main()
