"""Counts of tried and broken promises.

Run as a program, it writes the counts of the last runs into docs/reliability.md.
"""

import json
import os
import platform
import re
from datetime import UTC, datetime
from typing import Any

from api.local.processes import ROOT

RESULTS = ROOT / "build" / "promises.json"
DOCUMENT = ROOT / "docs" / "reliability.md"
SOAK = bool(os.environ.get("SOAK"))

PROMISES = {
    "kills": "A kill -9 of the API loses no write that it acknowledged, and doubles none.",
    "bulk_kills": "A kill -9 during a bulk leaves no item undone or done twice once it is repeated "
    "under its idempotency key.",
    "restarts": "A rolling restart fails no request that could not be retried safely.",
    "faulted_writes": "Whatever happens to a call, no write is reported as a conflict with itself, "
    "and none takes effect twice.",
    "histories": "Each task is linearizable to concurrent clients while the store fails.",
    "known_bad_histories": "The history checker rejects histories that are known to be bad.",
    "cursor_forgeries": "No forged or foreign cursor opens a list.",
    "foreign_reaches": "No id, ETag, cursor or idempotency key reveals anything about another "
    "workspace.",
    "mirrors": "A mirror that is kept by the change feed equals the table.",
    "model_steps": "The API does what a dictionary would, step by step.",
}


def rounds(in_tests: int, in_soak: int) -> int:
    """Choose how often to try: few times in every test run, many times in a soak."""
    return in_soak if SOAK else in_tests


class Figures:
    """The counts of this run by promise: how often tried, how often broken."""

    def __init__(self) -> None:
        self.counts: dict[str, tuple[int, int]] = {}

    def count(self, promise: str, *, tried: int, failed: int) -> None:
        assert promise in PROMISES
        before = self.counts.get(promise, (0, 0))
        self.counts[promise] = (before[0] + tried, before[1] + failed)

    def lines(self) -> list[str]:
        return [
            f"{name:20} tried {tried:7}  failed {failed}"
            for name, (tried, failed) in sorted(self.counts.items())
        ]

    def save(self) -> None:
        """Write the counts to build/, beside those of other promises from earlier runs."""
        if self.counts:
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(read() | self.counts, indent=2))


def read() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def fill_in(text: str, counts: dict[str, tuple[int, int]], run: str) -> str:
    """Replace the counts in the rows of the document's table, and the description of the run."""
    for name, (tried, failed) in counts.items():
        row = rf"(?m)^(\| `{name}` \|.*\|) [\d ]+ \| [\d ]+ \|$"
        text, rows = re.subn(row, rf"\1 {tried:,} | {failed} |".replace(",", " "), text)
        assert rows == 1, f"{name} has {rows} rows"
    return re.sub(r"(?s)(the last soak)\n\(.*?\)", rf"\1\n({run})", text)


def main() -> None:
    today = datetime.now(UTC).date()
    run = f"{today}, Python {platform.python_version()}, {os.cpu_count()} cores"
    DOCUMENT.write_text(fill_in(DOCUMENT.read_text(), read(), run))
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
