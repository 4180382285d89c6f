"""What the proofs of reliability came to: each promise, how often tried, how often broken.

Run as a program it writes the last figures into docs/reliability.md.
"""

import json
import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT

RESULTS = ROOT / "build" / "reliability.json"
DOCUMENT = ROOT / "docs" / "reliability.md"
# `make soak` sets it: the same proofs, tried many more times.
SOAKING = bool(os.environ.get("SOAK"))

PROMISES = {
    "kills": "A kill -9 of the API loses no write that it acknowledged, and doubles none.",
    "restarts": "A rolling restart fails no request that could not be retried safely.",
    "faulted_writes": "Whatever happens to a call, no write is reported as a conflict with itself, "
    "and none takes effect twice.",
    "histories": "Each task is linearizable to concurrent clients while the store fails.",
    "known_bad_histories": "The history checker rejects histories that are known to be bad.",
    "cursor_forgeries": "No forged or foreign cursor opens a list.",
    "foreign_reaches": "No id, tag, key or cursor of one workspace tells another anything.",
    "model_steps": "The API does what a dictionary would, step by step.",
    "defences": "The tests notice each defence that is taken away.",
    "mutants": "The tests notice a fault wherever it is put into the code of a write.",
}


def rounds(bounded: int, soak: int) -> int:
    """Choose how often to try: a little in every test run, a lot in a soak."""
    return soak if SOAKING else bounded


class Figures:
    """Counts of this run; those of promises that it did not try are kept from earlier ones."""

    def __init__(self) -> None:
        self.counts: dict[str, tuple[int, int]] = {}

    def count(self, promise: str, *, tried: int, failed: int) -> None:
        """Add to what is known of one promise."""
        assert promise in PROMISES
        before = self.counts.get(promise, (0, 0))
        self.counts[promise] = (before[0] + tried, before[1] + failed)

    def lines(self) -> list[str]:
        return [
            f"{name:20} tried {tried:7}  failed {failed}"
            for name, (tried, failed) in sorted(self.counts.items())
        ]

    def save(self, path: Path = RESULTS) -> None:
        if not self.counts:
            return
        kept = {entry["id"]: entry for entry in read(path)}
        for name, (tried, failed) in self.counts.items():
            kept[name] = {
                "id": name,
                "promise": PROMISES[name],
                "tried": tried,
                "failed": failed,
            }
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"promises": [kept[name] for name in sorted(kept)]}, indent=2))


def read(path: Path = RESULTS) -> list[dict[str, Any]]:
    """Read what the last runs came to."""
    if not path.exists():
        return []
    entries: list[dict[str, Any]] = json.loads(path.read_text())["promises"]
    return entries


def write_down(text: str, entries: list[dict[str, Any]], run: str) -> str:
    """Put the figures into the rows of a document's table, and say of which run they are."""
    for entry in entries:
        row = rf"(?m)^(\| `{entry['id']}` \|.*\|) [\d ]+ \| [\d ]+ \|$"
        tried, failed = f"{entry['tried']:,}".replace(",", " "), entry["failed"]
        text, rows = re.subn(row, rf"\1 {tried} | {failed} |", text)
        assert rows == 1, f"{entry['id']} has {rows} rows"
    return re.sub(r"(?s)(the last soak)\n\(.*?\)", rf"\1\n({run})", text)


def main() -> None:
    today = datetime.now(UTC).date()
    run = f"{today}, Python {platform.python_version()}, {os.cpu_count()} cores"
    DOCUMENT.write_text(write_down(DOCUMENT.read_text(), read(), run))


if __name__ == "__main__":
    main()
