"""Runs Terraform with its real AWS provider against moto."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api.local.processes import ROOT
from tests.support.ports import free_port, wait_until_taken

REGION = "eu-central-1"
START_SECONDS = 60
# A command that hangs must end before the run of all tests does.
COMMAND_SECONDS = 600
# moto needs buckets in the path. Four attempts survive dropped connections, also if two of them are
# those of one call; with the default of 25, the provider retries operations that moto lacks for
# minutes.
PROVIDER_OVERRIDE = """
provider "aws" {
  s3_use_path_style = true
  max_retries       = 4
}
"""
# moto drops the description of a security group rule that references another group.
RULE_OVERRIDE = """
resource "aws_vpc_security_group_{kind}_rule" "{name}" {{
  lifecycle {{
    ignore_changes = [description]
  }}
}}
"""
RULES = (
    ("egress", "grafana_to_prometheus"),
    ("egress", "task_to_alertmanager"),
    ("ingress", "alertmanager_from_task"),
    ("ingress", "prometheus_from_grafana"),
)


class TerraformError(AssertionError):
    """A command failed; the message is its output."""


class Terraform:
    """One root module in a copy of the repository, so that a run leaves nothing in the sources."""

    def __init__(self, tree: Path, root: str, environment: dict[str, str]) -> None:
        self.directory = tree / "terraform" / root
        self._environment = environment
        rules = () if root else RULES
        overrides = [RULE_OVERRIDE.format(kind=kind, name=name) for kind, name in rules]
        (self.directory / "override.tf").write_text("".join([PROVIDER_OVERRIDE, *overrides]))

    def init(self, **backend: str) -> None:
        flags = [f"-backend-config={name}={value}" for name, value in backend.items()]
        self.run("init", "-input=false", "-reconfigure", *flags)

    def apply(self, *arguments: str) -> None:
        self.run("apply", "-input=false", "-auto-approve", *arguments)

    def destroy(self, *arguments: str) -> None:
        self.run("destroy", "-input=false", "-auto-approve", *arguments)

    def changes(self, *arguments: str) -> list[str]:
        """Return the addresses of the resources that a plan would change."""
        self.run("plan", "-input=false", "-out=plan", *arguments)
        plan = json.loads(self.run("show", "-json", "plan"))
        return [
            change["address"]
            for change in plan.get("resource_changes", [])
            if change["change"]["actions"] not in (["no-op"], ["read"])
        ]

    def resources(self) -> list[str]:
        addresses = self.run("state", "list").split()
        return [address for address in addresses if not re.search(r"(^|\.)data\.", address)]

    def outputs(self) -> dict[str, Any]:
        outputs = json.loads(self.run("output", "-json"))
        return {name: output["value"] for name, output in outputs.items()}

    def state(self) -> str:
        """Return the state as it is stored."""
        return self.run("state", "pull")

    def run(self, *arguments: str) -> str:
        """Run a command, and return its output.

        Raises:
            TerraformError: it failed.
        """
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        if done.returncode:
            raise TerraformError(f"terraform {arguments[0]}\n{plain(done.stdout + done.stderr)}")
        return done.stdout


def plain(output: str) -> str:
    """Remove colours, frames and line breaks from Terraform's output."""
    without_colours = re.sub(r"\x1b\[[0-9;]*m", "", output)
    return re.sub(r"\s*\n[│╵╷ ]*", " ", without_colours)


def copy_tree(to: Path) -> Path:
    """Copy the files that Terraform reads."""
    ignore = shutil.ignore_patterns(".terraform", "*.tfstate*", "__pycache__")
    for name in ("terraform", "monitoring"):
        shutil.copytree(ROOT / name, to / name, ignore=ignore)
    return to


def environment(home: Path, endpoint: str = "http://127.0.0.1:9") -> dict[str, str]:
    """Return Terraform's environment; TF_PLUGIN_MIRROR names a directory with the provider."""
    configuration = home / "terraform.rc"
    mirror = os.environ.get("TF_PLUGIN_MIRROR")
    configuration.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
        if mirror
        else ""
    )
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "TF_IN_AUTOMATION": "1",
        "TF_CLI_CONFIG_FILE": str(configuration),
    }


@contextmanager
def emulated_aws() -> Iterator[str]:
    """Run moto's server, and provide its URL."""
    port = free_port()
    # Without it the ECS tasks of a service stay pending, and an apply waits for them.
    settings = os.environ | {"MOTO_ECS_SERVICE_RUNNING": "1", "MOTO_ACM_VALIDATION_WAIT": "1"}
    command = [str(Path(sys.executable).with_name("moto_server")), "-p", str(port)]
    with subprocess.Popen(
        command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            assert wait_until_taken(port, server, START_SECONDS), "moto did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
