"""Plan, apply, check or destroy the stack of one environment: `stack.py production apply`.

The environment's name alone decides the key of the state and the files with variables:
environments/NAME.tfvars and, if it exists, NAME.local.tfvars. STATE_BUCKET and AWS_REGION come from
the environment, as do AWS credentials. Further arguments are passed to Terraform.

A destroy keeps the table unless --delete-table is given. The next apply finds and imports it. With
another table_suffix, an apply leaves the table of the state alone and imports the one of that name.

`drift` plans with what is deployed, and exits with 2 if the plan has changes.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

# These scripts run by path, so the repository is not on Python's path.
sys.path.insert(0, str(Path(__file__).parents[2]))

from terraform.scripts import aws
from terraform.scripts.deployed import deployed_variables

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / "environments"
TABLE = "module.tasks_table.aws_dynamodb_table.tasks"
# Required variables that a destroy and a plan ignore. Only their form is checked.
IGNORED = "written-nowhere-when-all-is-destroyed"
IGNORED_SECRETS = {
    "cursor_secret": IGNORED,
    "grafana_admin_password": IGNORED,
    "alert_webhook_url": "https://written-nowhere.invalid",
    "bootstrap_key": f"tt_{'0' * 26}_{'0' * 64}_{'0' * 8}",
    "tls_certificate": "-----BEGIN CERTIFICATE-----",
    "tls_key": "-----BEGIN PRIVATE KEY-----",
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
        return self._setting("name")

    @property
    def table(self) -> str:
        return f"{self.name}-tasks{self._setting('table_suffix')}"

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

    def drift(self, *arguments: str) -> None:
        """Compare what is deployed with the files.

        Raises:
            SystemExit: with 2, there are differences.
        """
        deployed = deployed_variables(self._client("ecs"), self.name)
        deployed = {f"TF_VAR_{name}": value for name, value in deployed.items()}
        os.environ.update(self._ignored_variables() | deployed | os.environ)
        self._terraform(
            "plan",
            "-detailed-exitcode",
            "-input=false",
            # It only reads, and does not stop a deployment.
            "-lock=false",
            *self._variables(),
            *arguments,
        )

    def destroy(self, *arguments: str, delete_table: bool) -> None:
        """Destroy everything, or everything but the table.

        Raises:
            SystemExit: the state is not empty afterwards.
        """
        if delete_table:
            self._unprotect_table()
        elif TABLE in self._resources():
            self._terraform("state", "rm", TABLE)
            print(f"The table {self.table} is kept. The next apply imports it.", flush=True)
        self._unprotect_load_balancer()
        os.environ.update(self._ignored_variables() | os.environ)
        self._terraform("destroy", *self._variables(), *arguments)
        if left := self._resources():
            sys.exit(f"The state still contains: {', '.join(left)}")

    def _adopt_table(self) -> None:
        """Import a table that an earlier destroy kept, or that was restored under another name."""
        known = self._resources().get(TABLE, {}).get("name")
        if known == self.table or not self._table_exists():
            return
        if known:
            self._terraform("state", "rm", TABLE)
            print(f"The table {known} is left alone. {self.table} replaces it.", flush=True)
        self._terraform("import", *self._variables(), TABLE, self.table)

    def _table_exists(self) -> bool:
        dynamodb = self._client("dynamodb")
        try:
            dynamodb.describe_table(TableName=self.table)
        except dynamodb.exceptions.ResourceNotFoundException:
            return False
        return True

    def _unprotect_table(self) -> None:
        if self._table_exists():
            self._client("dynamodb").update_table(
                TableName=self.table, DeletionProtectionEnabled=False
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

    def _resources(self) -> dict[str, dict[str, Any]]:
        """Return the attributes of the first instance of each resource in the state."""
        # Empty before the first apply, when `state list` would fail.
        state = json.loads(self._terraform("state", "pull", stdout=subprocess.PIPE).stdout or "{}")
        return {
            ".".join([*filter(None, [each.get("module")]), each["type"], each["name"]]): (
                each["instances"][0]["attributes"]
            )
            for each in state.get("resources", [])
            if each["mode"] == "managed" and each["instances"]
        }

    def _setting(self, variable: str) -> str:
        """Return the text that the files set a variable to; the account's own file is the last."""
        text = "".join(file.read_text() for file in self._files())
        return next(reversed(re.findall(rf'(?m)^\s*{variable}\s*=\s*"(.*)"', text)), "")

    def _file(self, kind: str = "") -> Path:
        return ENVIRONMENTS / f"{self.environment}{kind}.tfvars"

    def _files(self) -> list[Path]:
        return [file for file in (self._file(), self._file(".local")) if file.exists()]

    def _variables(self) -> list[str]:
        return [f"-var-file={file}" for file in self._files()]

    def _client(self, service: str) -> Any:
        return aws.client(service, self.region)

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
    parser.add_argument("command", choices=["init", "plan", "apply", "drift", "destroy"])
    parser.add_argument("--delete-table", action="store_true", help="with destroy: also the table")
    options, arguments = parser.parse_known_args()
    stack = stack_of(options.environment)
    stack.init()
    if options.command == "plan":
        stack.plan(*arguments)
    elif options.command == "apply":
        stack.apply(*arguments)
    elif options.command == "drift":
        stack.drift(*arguments)
    elif options.command == "destroy":
        stack.destroy(*arguments, delete_table=options.delete_table)


if __name__ == "__main__":
    main()
