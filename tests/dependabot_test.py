"""Dependabot updates everything that is pinned."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.local.processes import ROOT

UPDATES: list[dict[str, Any]] = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())[
    "updates"
]
IGNORED = {".git", ".terraform", ".venv", "build", "node_modules"}


def directories(ecosystem: str) -> set[str]:
    return {
        directory
        for update in UPDATES
        if update["package-ecosystem"] == ecosystem
        for directory in update.get("directories") or [update["directory"]]
    }


def directories_with(pattern: str) -> Iterator[str]:
    """Return the directories with such a file, in Dependabot's form."""
    for path in ROOT.rglob(pattern):
        inside: Path = path.relative_to(ROOT)
        if not IGNORED & set(inside.parts):
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
def test_dependabot_lists_every_directory_with_pinned_versions(
    ecosystem: str, pattern: str
) -> None:
    """And no other directory."""
    assert directories(ecosystem) == set(directories_with(pattern))


def test_dependabot_updates_the_actions_of_workflows() -> None:
    """They are pinned by commit."""
    assert directories("github-actions") == {"/"}


def test_a_new_release_waits_a_week() -> None:
    """Most compromised releases are discovered within days."""
    assert {update["cooldown"]["default-days"] for update in UPDATES} == {7}
