"""The scripts in terraform/scripts: addresses, costs and new keys."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from api.local.processes import ROOT
from tests.infra.conftest import Stack, ecs_task
from tests.infra.terraform import REGION
from tests.support import builders

SCRIPTS = ROOT / "terraform" / "scripts"


def run_script(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPTS / name, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def addresses(stack: Stack) -> subprocess.CompletedProcess[str]:
    return run_script(
        "addresses.py",
        stack.outputs["cluster"],
        AWS_ENDPOINT_URL=stack.aws.url,
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_REGION=REGION,
    )


def test_addresses_of_running_ecs_tasks_are_printed(stack: Stack) -> None:
    """The script prints service and URL of each ECS task, and fails if none is running.

    The URL is https where the API serves TLS.
    """
    stopped = addresses(stack)
    assert stopped.returncode == 1
    assert "No ECS task is running in cluster task-tracker" in stopped.stderr
    with ecs_task(stack.aws) as address:
        assert addresses(stack).stdout == f"task=https://{address}:8000\n"


@pytest.mark.parametrize(
    ("environment", "variables", "message"),
    [
        ("staging", {}, "staging: the environments are dev, production."),
        ("dev", {"STATE_BUCKET": ""}, "Set STATE_BUCKET: the bootstrap has an output"),
        ("dev", {"AWS_REGION": ""}, "Set AWS_REGION: the bootstrap has an output"),
        ("production", {}, "Remove name from production.local.tfvars"),
    ],
    ids=["unknown", "no-bucket", "no-region", "two-names"],
)
def test_stack_refuses_what_is_unclear(
    environment: str, variables: dict[str, str], message: str, tmp_path: Path
) -> None:
    """An unknown environment, a missing setting, or a name that belongs to another state."""
    for directory in ("scripts", "environments"):
        shutil.copytree(ROOT / "terraform" / directory, tmp_path / "terraform" / directory)
    (tmp_path / "terraform/environments/production.local.tfvars").write_text(
        'name = "task-tracker-dev"\n'
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "terraform/scripts/stack.py", environment, "plan"],
        env=os.environ | {"STATE_BUCKET": "states", "AWS_REGION": REGION} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr


def test_documented_costs_come_from_the_script() -> None:
    """docs/operations.md contains the printed table."""
    assert run_script("cost.py").stdout in (ROOT / "docs/operations.md").read_text()


def test_new_keys_are_valid_and_differ() -> None:
    """The API and both Terraform roots, which have the same pattern, accept a new key."""
    files = [*(ROOT / "terraform").glob("*.tf"), *(ROOT / "terraform/preview").glob("*.tf")]
    text = "".join(map(Path.read_text, files))
    (pattern,) = set(re.findall(r'regex\("(\^tt_.*?\$)", var', text))
    keys = {run_script("new_key.py").stdout.removesuffix("\n") for _ in range(2)}
    assert len(keys) == 2
    for key in keys:
        assert re.fullmatch(pattern, key)
        builders.settings("http://127.0.0.1:9", bootstrap_key=key)
