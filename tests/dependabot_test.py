"""Dependabot is told of everything that is pinned."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.processes import ROOT

UPDATES: list[dict[str, Any]] = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())[
    "updates"
]
NOT_OURS = {".git", ".terraform", ".venv", "build", "node_modules"}


def directories(ecosystem: str) -> set[str]:
    return {
        directory
        for update in UPDATES
        if update["package-ecosystem"] == ecosystem
        for directory in update.get("directories") or [update["directory"]]
    }


def holders(pattern: str) -> Iterator[str]:
    """Name the directories that hold such a file, from the root on."""
    for path in ROOT.rglob(pattern):
        inside: Path = path.relative_to(ROOT)
        if not NOT_OURS & set(inside.parts):
            yield f"/{inside.parent}".removesuffix(".")


@pytest.mark.parametrize(
    ("ecosystem", "pattern"),
    [
        ("pip", "requirements*.txt"),
        ("npm", "package-lock.json"),
        ("docker", "Dockerfile"),
        ("docker-compose", "compose.yaml"),
        ("terraform", ".terraform.lock.hcl"),
    ],
)
def test_every_lock_is_kept_up_to_date(ecosystem: str, pattern: str) -> None:
    """Dependabot looks into each directory with something pinned, and into no other."""
    assert directories(ecosystem) == set(holders(pattern))


def test_the_workflows_are_kept_up_to_date() -> None:
    """Their actions are pinned by commit, which nobody would move by hand."""
    assert directories("github-actions") == {"/"}


def test_a_release_waits_before_it_is_taken() -> None:
    """For a week: one that was taken over is mostly noticed by then."""
    assert {update["cooldown"]["default-days"] for update in UPDATES} == {7}
