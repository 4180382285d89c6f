"""Plan, apply or destroy the stack of one environment: `stack.py production apply`.

The environment's name alone decides the key of the state and the files with variables:
environments/NAME.tfvars and, if it exists, NAME.local.tfvars. STATE_BUCKET and AWS_REGION come from
the environment, as do AWS credentials. Further arguments are passed to Terraform.

A destroy keeps the table unless --delete-table is given. The next apply finds and imports it.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import boto3

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / "environments"
TABLE = "module.tasks_table.aws_dynamodb_table.tasks"
# Required variables that a destroy ignores. Only their form is checked.
IGNORED = "written-nowhere-when-all-is-destroyed"
IGNORED_SECRETS = {
    "cursor_secret": IGNORED,
    "grafana_admin_password": IGNORED,
    "alert_webhook_url": "https://written-nowhere.invalid",
    "watchdog_webhook_url": "https://written-nowhere.invalid",
}
NO_DIGEST = "sha256:" + "0" * 64


class Stack(NamedTuple):
    """One environment, and where its state is."""

    environment: str
    bucket: str
    region: str

    @property
    def name(self) -> str:
        """Prefix of the names of all resources."""
        (name,) = re.findall(r'(?m)^name\s*=\s*"(.*)"', self._file().read_text())
        return str(name)

    def init(self) -> None:
        self._terraform(
            "init",
            "-input=false",
            "-reconfigure",
            # A provider with another hash than the lock file's is refused.
            "-lockfile=readonly",
            f"-backend-config=bucket={self.bucket}",
            f"-backend-config=region={self.region}",
            f"-backend-config=key=stack/{self.environment}.tfstate",
        )

    def plan(self, *arguments: str) -> None:
        self._adopt_table()
        self._terraform("plan", *self._variables(), *arguments)

    def apply(self, *arguments: str) -> None:
        self._adopt_table()
        self._terraform("apply", *self._variables(), *arguments)

    def destroy(self, *arguments: str, delete_table: bool) -> None:
        """Destroy everything, or everything but the table.

        Raises:
            SystemExit: the state is not empty afterwards.
        """
        if delete_table:
            self._unprotect_table()
        elif TABLE in self._addresses():
            self._terraform("state", "rm", TABLE)
            print(f"The table {self.name}-tasks is kept. The next apply imports it.", flush=True)
        self._unprotect_load_balancer()
        os.environ.update(self._ignored_variables() | os.environ)
        self._terraform("destroy", *self._variables(), *arguments)
        if left := self._addresses():
            sys.exit(f"The state still contains: {', '.join(left)}")

    def _adopt_table(self) -> None:
        """Import a table that an earlier destroy kept."""
        if TABLE not in self._addresses() and self._table_exists():
            self._terraform("import", *self._variables(), TABLE, f"{self.name}-tasks")

    def _table_exists(self) -> bool:
        dynamodb = self._client("dynamodb")
        try:
            dynamodb.describe_table(TableName=f"{self.name}-tasks")
        except dynamodb.exceptions.ResourceNotFoundException:
            return False
        return True

    def _unprotect_table(self) -> None:
        if self._table_exists():
            self._client("dynamodb").update_table(
                TableName=f"{self.name}-tasks", DeletionProtectionEnabled=False
            )

    def _unprotect_load_balancer(self) -> None:
        client = self._client("elbv2")
        attribute = {"Key": "deletion_protection.enabled", "Value": "false"}
        for arn in self._load_balancers():
            client.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[attribute])

    def _load_balancers(self) -> list[str]:
        client = self._client("elbv2")
        try:
            found = client.describe_load_balancers(Names=[self.name])["LoadBalancers"]
        except client.exceptions.LoadBalancerNotFoundException:
            return []
        return [each["LoadBalancerArn"] for each in found]

    def _ignored_variables(self) -> dict[str, str]:
        account = self._client("sts").get_caller_identity()
        suffix = "amazonaws.com.cn" if ":aws-cn:" in account["Arn"] else "amazonaws.com"
        image = f"{account['Account']}.dkr.ecr.{self.region}.{suffix}/none@{NO_DIGEST}"
        images = {"api_image": image, "grafana_image": image}
        ignored = IGNORED_SECRETS | images | {"api_cidrs": "[]"}
        return {f"TF_VAR_{name}": value for name, value in ignored.items()}

    def _addresses(self) -> list[str]:
        """Return the addresses of the resources in the state."""
        # Empty before the first apply, when `state list` would fail.
        state = json.loads(self._terraform("state", "pull", stdout=subprocess.PIPE).stdout or "{}")
        return [
            ".".join([*filter(None, [each.get("module")]), each["type"], each["name"]])
            for each in state.get("resources", [])
            if each["mode"] == "managed"
        ]

    def _file(self, kind: str = "") -> Path:
        return ENVIRONMENTS / f"{self.environment}{kind}.tfvars"

    def _variables(self) -> list[str]:
        files = [file for file in (self._file(), self._file(".local")) if file.exists()]
        return [f"-var-file={file}" for file in files]

    def _client(self, service: str) -> Any:
        return boto3.client(service, region_name=self.region)  # type: ignore[call-overload]

    def _terraform(
        self, *arguments: str, stdout: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(  # noqa: S603 - a fixed program, and no shell
            ["terraform", *arguments],  # noqa: S607 - of the PATH, as by hand
            cwd=ROOT,
            env=os.environ | {"TF_VAR_region": self.region},
            stdout=stdout,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(done.returncode)
        return done


def stack_of(environment: str) -> Stack:
    """Return the stack of an environment.

    Raises:
        SystemExit: there is no such environment, or something that is needed is not set.
    """
    known = {file.name.removesuffix(".tfvars") for file in ENVIRONMENTS.glob("*.tfvars")}
    known = {name for name in known if "." not in name}
    if environment not in known:
        sys.exit(f"{environment}: the environments are {', '.join(sorted(known))}.")
    for variable in ("STATE_BUCKET", "AWS_REGION"):
        if not os.environ.get(variable):
            sys.exit(f"Set {variable}: the bootstrap has an output of this name.")
    local = ENVIRONMENTS / f"{environment}.local.tfvars"
    if local.exists() and re.search(r"(?m)^\s*name\s*=", local.read_text()):
        sys.exit(f"Remove name from {local.name}: {environment}.tfvars has it.")
    return Stack(environment, os.environ["STATE_BUCKET"], os.environ["AWS_REGION"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("environment", help="a file of terraform/environments, for example dev")
    parser.add_argument("command", choices=["init", "plan", "apply", "destroy"])
    parser.add_argument("--delete-table", action="store_true", help="with destroy: also the table")
    options, arguments = parser.parse_known_args()
    stack = stack_of(options.environment)
    stack.init()
    if options.command == "plan":
        stack.plan(*arguments)
    elif options.command == "apply":
        stack.apply(*arguments)
    elif options.command == "destroy":
        stack.destroy(*arguments, delete_table=options.delete_table)


if __name__ == "__main__":
    main()
