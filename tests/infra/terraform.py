"""Terraform with its real provider, against an AWS that moto plays."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT, free_port, wait_until_taken

REGION = "eu-central-1"
START_SECONDS = 60
# What only moto needs: buckets by path, and no minutes of retries where it lacks an operation.
OVERRIDE = """
provider "aws" {
  s3_use_path_style = true
  max_retries       = 1
}
"""
# moto forgets the description of a rule that names another group.
RULE_OVERRIDE = """
resource "aws_vpc_security_group_{kind}_rule" "{name}" {{
  lifecycle {{
    ignore_changes = [description]
  }}
}}
"""
FORGOTTEN = (("egress", "grafana_to_prometheus"), ("ingress", "prometheus_from_grafana"))


class Failed(AssertionError):  # noqa: N818 - it is what a run can be
    """Terraform said no; its words are the message."""


class Terraform:
    """One root in a copy of the tree, so that nothing of a run is left in the sources."""

    def __init__(self, tree: Path, root: str, environment: dict[str, str]) -> None:
        self.directory = tree / "terraform" / root
        self._environment = environment
        rules = () if root else FORGOTTEN
        overrides = [RULE_OVERRIDE.format(kind=kind, name=name) for kind, name in rules]
        (self.directory / "override.tf").write_text("".join([OVERRIDE, *overrides]))

    def init(self, **backend: str) -> None:
        flags = [f"-backend-config={name}={value}" for name, value in backend.items()]
        self.run("init", "-input=false", "-reconfigure", *flags)

    def apply(self, *arguments: str) -> float:
        """Apply, and tell how many seconds it took."""
        began = time.monotonic()
        self.run("apply", "-input=false", "-auto-approve", *arguments)
        return time.monotonic() - began

    def destroy(self, *arguments: str) -> float:
        began = time.monotonic()
        self.run("destroy", "-input=false", "-auto-approve", *arguments)
        return time.monotonic() - began

    def changes(self, *arguments: str) -> list[str]:
        """Name what a plan would change."""
        self.run("plan", "-input=false", "-out=plan", *arguments)
        plan = json.loads(self.run("show", "-json", "plan"))
        return [
            change["address"]
            for change in plan.get("resource_changes", [])
            if change["change"]["actions"] not in (["no-op"], ["read"])
        ]

    def resources(self) -> list[str]:
        listed = self.run("state", "list").split()
        return [address for address in listed if not re.search(r"(^|\.)data\.", address)]

    def outputs(self) -> dict[str, Any]:
        outputs = json.loads(self.run("output", "-json"))
        return {name: output["value"] for name, output in outputs.items()}

    def state(self) -> str:
        """Read the whole state as it is stored."""
        return self.run("state", "pull")

    def run(self, *arguments: str) -> str:
        """Run a command, and give what it printed.

        Raises:
            Failed: it ended with an error.
        """
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(f"terraform {arguments[0]}\n{plain(done.stdout + done.stderr)}")
        return done.stdout


def plain(output: str) -> str:
    """Take the frames and line ends out of what Terraform prints for people."""
    without_colours = re.sub(r"\x1b\[[0-9;]*m", "", output)
    return re.sub(r"\s*\n[│╵╷ ]*", " ", without_colours)


def copy_tree(to: Path) -> Path:
    """Copy what Terraform reads."""
    left_out = shutil.ignore_patterns(".terraform", "*.tfstate*", "__pycache__")
    for name in ("terraform", "monitoring"):
        shutil.copytree(ROOT / name, to / name, ignore=left_out)
    return to


def environment(home: Path, endpoint: str = "http://127.0.0.1:9") -> dict[str, str]:
    """Make Terraform's environment: an AWS on this machine, and a mirror of providers if named."""
    made = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "TF_IN_AUTOMATION": "1",
    }
    configuration = home / "terraform.rc"
    configuration.write_text("")
    if mirror := os.environ.get("TF_PLUGIN_MIRROR"):
        configuration.write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
        )
    return made | {"TF_CLI_CONFIG_FILE": str(configuration)}


@contextmanager
def emulated_aws() -> Iterator[str]:
    """Serve moto's AWS, with tasks that run as soon as they are wanted."""
    port = free_port()
    # moto sets an ECS service's tasks to running only where it is told to.
    settings = os.environ | {"MOTO_ECS_SERVICE_RUNNING": "1"}
    command = [str(Path(sys.executable).with_name("moto_server")), "-p", str(port)]
    with subprocess.Popen(
        command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            assert wait_until_taken(port, server, START_SECONDS), "moto did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
