"""What is lived with, each with its reason, and what is not."""

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

from tests.audit.service import NOT_OURS, Finding

SKIP = re.compile(r"#\s*checkov:skip=(\w+):(.*)")


class Accepted(NamedTuple):
    """A known vulnerability that is lived with until a day."""

    id: str
    package: str
    until: date
    reason: str

    def __str__(self) -> str:
        return f"{self.package}: {self.id} until {self.until}: {self.reason}"

    def covers(self, finding: Finding) -> bool:
        return self.package == finding.package and self.id in finding.ids


def read(path: Path) -> list[Accepted]:
    """Read the list; an entry with a key too many or too few is an error."""
    return [Accepted(**entry) for entry in tomllib.loads(path.read_text()).get("vulnerability", [])]


def complaints(findings: list[Finding], accepted: list[Accepted], today: date) -> Iterator[str]:
    """Say what is found and not accepted, and what is accepted for no reason any more."""
    for finding in findings:
        if not any(entry.covers(finding) for entry in accepted):
            yield f"{finding}. Upgrade, or say in accepted.toml why not"
    for entry in accepted:
        if not any(entry.covers(finding) for finding in findings):
            yield f"{entry.package}: {entry.id} is accepted and not found any more: take it out"
        elif entry.until < today:
            yield f"{entry.package}: {entry.id} was accepted until {entry.until}: look again"


def skips(root: Path) -> Iterator[str]:
    """List what checkov is told to leave out, where and why."""
    for path in sorted([*root.rglob("*.tf"), *root.rglob("Dockerfile")]):
        if NOT_OURS & set(path.relative_to(root).parts):
            continue
        for check, reason in SKIP.findall(path.read_text()):
            yield f"{path.relative_to(root)}: {check}: {reason}"
