"""The results of the load tests as Markdown; as a program it writes them into docs/overload.md."""

import json
import os
import platform
from datetime import UTC, datetime
from typing import Any, NamedTuple

from api.local.processes import ROOT
from tests.bench.bench import write_into

RESULTS = ROOT / "build" / "load.json"
DOCUMENT = ROOT / "docs" / "overload.md"
COLUMNS = (
    "times the capacity",
    "offered req/s",
    "served req/s",
    "of the best",
    "shed",
    "failed",
    "unsent",
    "p99 ms served",
    "shed",
    "/livez",
    "/readyz",
)


class Step(NamedTuple):
    """The results of one offered rate; rates in requests a second, times in seconds."""

    multiple: int
    offered: float
    goodput: float
    shed: float
    failed: int
    unsent: int
    served_p99: float
    shed_p99: float
    livez_p99: float
    readyz_p99: float
    unhealthy: int
    calls: float
    served: int

    def row(self, best: float) -> str:
        times = (self.served_p99, self.shed_p99, self.livez_p99, self.readyz_p99)
        cells = (
            *(f"{self.multiple}", f"{self.offered:.0f}", f"{self.goodput:.0f}"),
            *(f"{self.goodput / best:.0%}", f"{self.shed:.0%}", f"{self.failed}", f"{self.unsent}"),
            *(f"{1000 * seconds:.0f}" for seconds in times),
        )
        return f"| {' | '.join(cells)} |"


class SlowClients(NamedTuple):
    """A normal client's latency beside slow clients; times in seconds."""

    silent: int
    trickling: int
    p99_alone: float
    p99_beside: float
    grown_bytes: int

    @property
    def bytes_each(self) -> float:
        return self.grown_bytes / (self.silent + self.trickling)

    def text(self) -> str:
        return (
            f"Beside {self.trickling} clients that send a byte a second and {self.silent} that "
            f"send nothing, a normal\nclient's p99 is {self.p99_beside / self.p99_alone:.2f} times "
            f"its p99 without them; each of them takes {self.bytes_each / 1024:.1f} KiB of memory."
        )


class Flood(NamedTuple):
    """A flood, and what it did to others."""

    name: str
    sent: int
    tenant_share: float
    growth_mib: float
    livez_seconds: float

    def row(self) -> str:
        livez = f"{1000 * self.livez_seconds:.0f} ms"
        return (
            f"| {self.name} | {self.sent} | {self.tenant_share:.0%} | {self.growth_mib:.1f} MiB "
            f"| {livez} |"
        )


class Waiting(NamedTuple):
    """What clients that wait for a change cost while there is none; times in seconds."""

    clients: int
    seconds: int
    requests: int
    queries: float
    cpu_seconds: float
    create_seconds: float
    delivery_seconds: float

    def text(self) -> str:
        return (
            f"{self.clients} clients over five keys and addresses wait for a change: in "
            f"{self.seconds} s without one, {self.requests} requests\nand {self.queries:.0f} "
            f"queries, {self.cpu_seconds:.2f} s of CPU. A create takes "
            f"{1000 * self.create_seconds:.0f} ms beside them;\nall have it after "
            f"{self.delivery_seconds:.1f} s."
        )


class Memory(NamedTuple):
    """The peak memory of the process under an attack."""

    name: str
    peak_mib: float


def floods_table(floods: list[Flood], memory: list[Memory]) -> str:
    head = [
        "| flood | requests or connections | tenant served | memory grew | longest `/livez` |",
        "|---|---|---|---|---|",
    ]
    peaks = "; ".join(f"{one.name}: {one.peak_mib:.0f} MiB" for one in memory)
    rows = "\n".join(head + [flood.row() for flood in floods])
    return f"{rows}\n\nPeak memory of the process: {peaks}."


def add(name: str, found: Any) -> None:
    """Add one result to a list of this run's results."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    others = [one for one in known.get(name, []) if one[0] != found[0]]
    save(name, [*others, found])


def save(name: str, found: Any) -> None:
    """Write one result to build/load.json, beside the others."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(known | {name: found}, indent=1))


def medians(steps: list[Step]) -> list[Step]:
    """Return for each multiple the step with the median goodput."""
    rounds: dict[int, list[Step]] = {}
    for step in steps:
        rounds.setdefault(step.multiple, []).append(step)
    return [sorted(same, key=lambda step: step.goodput)[len(same) // 2] for same in rounds.values()]


def table(steps: list[Step]) -> str:
    best = max(step.goodput for step in steps)
    head = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    return "\n".join(head + [step.row(best) for step in steps])


def main() -> None:
    found = json.loads(RESULTS.read_text())
    floods = [Flood(*flood) for flood in found["floods"]]
    memory = [Memory(*attack) for attack in found["memory"]]
    text = (
        f"{datetime.now(UTC).date()}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        "clients and store on the same machine:\n\n"
        f"{table([Step(*step) for step in found['steps']])}\n\n"
        f"{SlowClients(*found['slow_clients']).text()}\n\n"
        f"{floods_table(floods, memory)}\n\n"
        f"{Waiting(*found['waiting']).text()}"
    )
    write_into(DOCUMENT, "figures", text)
    print(text)


if __name__ == "__main__":
    main()
