"""`make audit`: what is lived with, the bill of what ships, and what is known against packages."""

import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from tests.audit import accepted, bill, service
from tests.support.processes import ROOT


def main(root: Path, osv_url: str) -> int:
    """Print it all, and return the status to end with."""
    entries = accepted.read(root / "tests/audit/accepted.toml")
    _print("Left out of checkov's checks, with the reason", accepted.skips(root))
    _print("Known vulnerabilities that are accepted", entries)
    _print("Bills of what ships", (str(path.relative_to(root)) for path in bill.write(root)))
    try:
        answer = service.ask(root, osv_url)
    except service.Unasked as unasked:
        return _unasked(unasked)
    today = datetime.now(UTC).date()
    found = list(accepted.complaints(answer.findings, entries, today))
    _print("Found", found)
    where = f"{len(service.locks(root))} locks"
    print(f"OSV was asked about {answer.packages} packages in {where}: {len(found)} to be mended.")
    return 1 if found else 0


def _unasked(unasked: service.Unasked) -> int:
    """Say that nothing is known; it is no success where somebody relies on it."""
    print(f"NOT AUDITED: OSV could not be asked what is known against the packages.\n  {unasked}")
    if os.environ.get("CI"):
        return 1
    print("  Neither a finding nor their absence can be told here; in CI this is a failure.")
    return 0


def _print(title: str, lines: Iterable[object]) -> None:
    print(f"{title}:", *(list(lines) or ["none"]), sep="\n  ")


if __name__ == "__main__":
    sys.exit(main(ROOT, os.environ.get("OSV_URL", service.OSV_URL)))
