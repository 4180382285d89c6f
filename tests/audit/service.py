"""What is known against packages in the locks: pip-audit asks OSV, which collects all sources."""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.processes import ROOT

BIN = Path(os.environ.get("AUDIT_BIN", ROOT / "build/audit-venv/bin"))
OSV_URL = "https://api.osv.dev/v1/query"
NOT_OURS = {".git", ".venv", "build", "node_modules"}


class Unasked(Exception):  # noqa: N818 - it is what became of a question
    """Nothing is known of a lock, good or bad; the message says why."""


class Finding(NamedTuple):
    """Something known against a package at the version that a lock pins."""

    lock: str
    package: str
    version: str
    ids: frozenset[str]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        fixed = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "not fixed yet"
        return f"{self.lock}: {self.package} {self.version}: {' '.join(sorted(self.ids))}, {fixed}"


class Answer(NamedTuple):
    """How many packages were asked about, and what was found."""

    packages: int
    findings: list[Finding]


def locks(root: Path) -> list[Path]:
    """Find every lock of Python packages, so that a new one is asked about at once."""
    found = root.rglob("requirements*.txt")
    return sorted(path for path in found if not NOT_OURS & set(path.relative_to(root).parts))


def ask(root: Path, osv_url: str = OSV_URL) -> Answer:
    """Ask about all locks.

    Raises:
        Unasked: there was no answer about at least one package.
    """
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda lock: _ask(root, lock, osv_url), locks(root)))
    findings = [finding for answer in answers for finding in answer.findings]
    return Answer(sum(answer.packages for answer in answers), findings)


def _ask(root: Path, lock: Path, osv_url: str) -> Answer:
    name = str(lock.relative_to(root))
    command: list[str | Path] = [
        *(BIN / "pip-audit", "--vulnerability-service", "osv", "--osv-url", osv_url),
        *("--disable-pip", "--require-hashes", "--progress-spinner", "off"),
        *("--format", "json", "--requirement", lock),
    ]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if not asked.stdout:
        # It ends with the same status as when it has found something.
        raise Unasked(f"{name}: {(asked.stderr.splitlines() or ['no word'])[-1]}")
    packages = json.loads(asked.stdout)["dependencies"]
    for package in packages:
        if reason := package.get("skip_reason"):
            raise Unasked(f"{name}: {reason}")
    return Answer(len(packages), list(_findings(name, packages)))


def _findings(lock: str, packages: list[dict[str, Any]]) -> Iterator[Finding]:
    for package in packages:
        for known in package["vulns"]:
            ids = frozenset([known["id"], *known["aliases"]])
            fixed_in = tuple(known["fix_versions"])
            yield Finding(lock, package["name"], package["version"], ids, fixed_in)
