"""What the load tests came to, as tables; as a program it writes them into docs/overload.md."""

import json
import os
import platform
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tests.bench.bench import write_into
from tests.support.processes import ROOT

RESULTS = ROOT / "build" / "load.json"
DOCUMENT = ROOT / "docs" / "overload.md"


class Stretch(NamedTuple):
    """A stretch of open-loop load; rates in requests a second, times in seconds."""

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


class Crowd(NamedTuple):
    """A good client beside a crowd of slow ones; times in seconds."""

    silent: int
    trickling: int
    p99_quiet: float
    p99_beside: float
    grown_bytes: int

    @property
    def bytes_each(self) -> float:
        return self.grown_bytes / (self.silent + self.trickling)


def save(name: str, found: Any) -> None:
    """Keep what a test found beside what the others did."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(known | {name: found}, indent=1))


def middle(stretches: list[Stretch]) -> list[Stretch]:
    """Take of each multiple the stretch of middling goodput."""
    rounds: dict[int, list[Stretch]] = {}
    for one in stretches:
        rounds.setdefault(one.multiple, []).append(one)
    return [sorted(same, key=lambda one: one.goodput)[len(same) // 2] for same in rounds.values()]


def stretch_table(stretches: list[Stretch]) -> str:
    best = max(one.goodput for one in stretches)
    lines = [
        (
            "| times the capacity | offered req/s | served req/s | of the best | shed | failed "
            "| unsent | p99 ms served | shed | /livez | /readyz |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in stretches:
        times = (one.served_p99, one.shed_p99, one.livez_p99, one.readyz_p99)
        lines.append(
            f"| {one.multiple} | {one.offered:.0f} | {one.goodput:.0f} | {one.goodput / best:.0%} "
            f"| {one.shed:.0%} | {one.failed} | {one.unsent} | "
            + " | ".join(f"{1000 * seconds:.0f}" for seconds in times)
            + " |"
        )
    return "\n".join(lines)


def crowd_text(crowd: Crowd) -> str:
    return (
        f"Beside {crowd.trickling} clients that send a byte a second and {crowd.silent} that send "
        f"none, a good\nclient's p99 is {crowd.p99_beside / crowd.p99_quiet:.2f} times its quiet "
        f"value; each of them takes {crowd.bytes_each / 1024:.1f} KiB of memory."
    )


def main() -> None:
    found = json.loads(RESULTS.read_text())
    text = (
        f"{datetime.now(UTC).date()}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        "clients and store on the same machine:\n\n"
        f"{stretch_table([Stretch(*one) for one in found['stretches']])}\n\n"
        f"{crowd_text(Crowd(*found['crowd']))}"
    )
    write_into(DOCUMENT, "figures", text)
    print(text)


if __name__ == "__main__":
    main()
