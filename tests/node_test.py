"""Node.js for the linters and generators that come from npm."""

import subprocess
from pathlib import Path

import pytest

from api.local.processes import ROOT

NPM = ROOT / "tests/lint/npm.sh"


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ("v18.19.0", "Node.js is v18.19.0, and 20.19.0 is needed; `make node` installs it"),
        ("v20.9.0", "Node.js is v20.9.0, and 20.19.0 is needed; `make node` installs it"),
        ("v20.19.0", ""),
        ("v24.1.0", ""),
        (None, "npm is not installed; `make node` installs it"),
    ],
)
def test_a_node_that_cannot_be_used_is_named_with_the_command_that_helps(
    tmp_path: Path, version: str | None, problem: str
) -> None:
    for tool in ("sort", "head"):
        (tmp_path / tool).symlink_to(Path("/usr/bin") / tool)
    if version:
        for name in ("node", "npm"):
            (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\n")
            (tmp_path / name).chmod(0o755)
    checked = subprocess.run(
        ["/bin/bash", "-c", f"source {NPM}; check_node"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert checked.stdout.removesuffix(" into build/\n") == problem
