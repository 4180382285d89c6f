"""The life of a stack with every option: deployed, changed, destroyed, and deployed again.

terraform/scripts/stack.py does it, as in the workflows. A proxy records each call by role, drops a
connection now and then, and refuses to delete a protected load balancer, as AWS does and moto not.
"""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.infra import terraform
from tests.infra.aws_proxy import AwsProxy
from tests.infra.conftest import (
    BOOTSTRAP_VARIABLES,
    CERTIFICATE,
    COMMENT,
    FIRST_DIGEST,
    MOTO_BACKEND,
    REGISTRY,
    SECOND_DIGEST,
    SECRETS,
    Aws,
    left_over,
    task_definition,
)
from tests.infra.permissions import Policies, needed_by_terraform
from tests.infra.terraform import REGION, Terraform, TerraformError, plain
from tests.support.packaging import make
from tests.support.require_tool import require_tool

TABLE = "task-tracker-tasks"
# Of the output of a failed command.
OUTPUT_LENGTH = 4000
# With a certificate of each kind.
OPTIONS = {
    "api_cidrs": ["0.0.0.0/0"],
    "grafana_cidrs": ["203.0.113.7/32"],
    "prometheus_cidrs": ["203.0.113.7/32"],
    "node_exporter_cidrs": ["203.0.113.7/32"],
    "dynamodb_endpoint": True,
    "monitoring_backend": "amp",
    "desired_count": 2,
    "max_tasks": 3,
    "alarm_email": "operators@example.com",
    "bootstrap_key_version": 1,
}
# What a later version of the files may change: tags, descriptions and settings of everything.
LATER_VERSION = """
provider "aws" {
  default_tags {
    tags = { project = "later", owner = "operations" }
  }
}
"""
LATER_STACK = """
resource "aws_vpc_security_group_ingress_rule" "api_from_load_balancer" {
  from_port = 8001
}
resource "aws_lb" "api" {
  idle_timeout = 61
}
resource "aws_lb_target_group" "api" {
  deregistration_delay = 21
  health_check {
    path     = "/livez"
    interval = 11
  }
}
resource "aws_lb_listener" "https" {
  ssl_policy = "ELBSecurityPolicy-TLS13-1-3-2021-06"

  routing_http_response_strict_transport_security_header_value = "max-age=1"
}
resource "aws_appautoscaling_policy" "cpu" {
  target_tracking_scaling_policy_configuration {
    target_value = 61
    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}
"""

LATER_PREVIEW = {
    "preview": LATER_VERSION,
    "tasks_table": """
resource "aws_dynamodb_table" "tasks" {
  deletion_protection_enabled = true
}
""",
}


class Operator:
    """Runs Terraform as one of GitHub's roles, or as a person; the access key tells which."""

    def __init__(self, tree: Path, home: Path, proxy: AwsProxy, role: str) -> None:
        self.tree = tree
        self.environment = terraform.environment(home, proxy.url) | {
            "AWS_ACCESS_KEY_ID": role,
            "TF_CLI_ARGS_init": " ".join(
                f"-backend-config={name}={value}" for name, value in MOTO_BACKEND.items()
            ),
            **{f"TF_VAR_{name}": value for name, value in SECRETS.items()},
        }

    def root(self, root: str) -> Terraform:
        return Terraform(self.tree, root, self.environment)

    def stack(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run stack.py for the environment production."""
        return subprocess.run(
            [sys.executable, self.tree / "terraform/scripts/stack.py", "production", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def change(self, *arguments: str) -> str:
        done = self.stack(*arguments, "-auto-approve", "-input=false")
        assert done.returncode == 0, plain(done.stdout + done.stderr)[-OUTPUT_LENGTH:]
        return plain(done.stdout)


class Life(NamedTuple):
    """What was recorded while the stack lived."""

    aws: Aws
    proxy: AwsProxy
    policies: Policies
    # Of the first destroy: its output, and what was left.
    destroyed: str
    kept: list[str]
    # Of the deployment after it: its output, and the items of the table.
    deployed_again: str
    items: list[dict[str, Any]]
    next_plan: subprocess.CompletedProcess[str]
    # A look for drift, and another one after a change by hand.
    no_drift: subprocess.CompletedProcess[str]
    drift: subprocess.CompletedProcess[str]
    # The deployment of a restored table, its items, and the table that the API then has.
    repointed: str
    restored_items: list[dict[str, Any]]
    table_of_the_api: str
    # The error of a plan of dev over the state of production.
    refused: str
    left_over: list[str]


def settings(tree: Path, **values: Any) -> None:
    """Write the file with the account's own settings."""
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in values.items()]
    (tree / "terraform/environments/production.local.tfvars").write_text("".join(lines))


def images(digest: str) -> dict[str, str]:
    return {
        "api_image": f"{REGISTRY}/api@{digest}",
        "grafana_image": f"{REGISTRY}/grafana@{digest}",
    }


@pytest.fixture(scope="module")
def proxy() -> Iterator[AwsProxy]:
    require_tool("terraform")
    with terraform.emulated_aws() as url, AwsProxy(url).running() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def hosted_zone(proxy: AwsProxy) -> str:
    """The id of a zone of the account."""
    route53 = Aws(proxy.url).client("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]
    return str(zone["Id"].rpartition("/")[2])


@pytest.fixture(scope="module")
def deploy(proxy: AwsProxy, hosted_zone: str, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """The deploying role, after a person applied the bootstrap."""
    tree = terraform.copy_tree(tmp_path_factory.mktemp("tree"))
    home = tmp_path_factory.mktemp("home")
    person = Operator(tree, home, proxy, "person").root("bootstrap")
    person.run("init", "-input=false")
    person.apply(*BOOTSTRAP_VARIABLES, f"-var=hosted_zone_id={hosted_zone}")
    bucket = person.outputs()["STATE_BUCKET"]
    # moto ignores the condition of this policy and denies every request.
    Aws(proxy.url).client("s3").delete_bucket_policy(Bucket=bucket)
    operator = Operator(tree, home, proxy, "deploy")
    operator.environment["STATE_BUCKET"] = bucket
    operator.root("")
    return operator


@pytest.fixture(scope="module")
def life(
    deploy: Operator, proxy: AwsProxy, hosted_zone: str, tmp_path_factory: pytest.TempPathFactory
) -> Life:
    """Deploy with every option, change, destroy, deploy with none, destroy with the table."""
    aws = Aws(proxy.url)
    settings(deploy.tree, **OPTIONS, **images(FIRST_DIGEST), certificate_arn=certificate(aws))
    deploy.change("apply")
    later_version(deploy.tree)
    domain = {"domain_name": "tracker.example.com", "hosted_zone_id": hosted_zone}
    settings(deploy.tree, **OPTIONS, **domain, **images(SECOND_DIGEST), rate_limit=20)
    deploy.change("apply")
    weekly = drift_operator(deploy, proxy, tmp_path_factory.mktemp("drift"))
    # Only for its calls: moto does not return every value of these options.
    weekly.stack("drift")
    earlier_version(deploy.tree)
    deploy.change("apply")
    aws.client("dynamodb").put_item(TableName=TABLE, Item={"pk": {"S": "a"}, "sk": {"S": "b"}})
    destroyed = deploy.change("destroy")
    kept = left_over(aws)
    closed = {"api_cidrs": ["203.0.113.7/32"], **images(FIRST_DIGEST)}
    settings(deploy.tree, **closed)
    deployed_again = deploy.change("apply")
    next_plan = deploy.stack("plan", "-input=false")
    settings(deploy.tree, api_cidrs=closed["api_cidrs"])
    no_drift = weekly.stack("drift")
    logs = aws.client("logs")
    logs.put_retention_policy(logGroupName="/task-tracker/api", retentionInDays=1)
    drift = weekly.stack("drift")
    settings(deploy.tree, **closed)
    refused = plan_of_dev(deploy)
    items = aws.client("dynamodb").scan(TableName=TABLE)["Items"]
    restore(deploy, TABLE, f"{TABLE}-restored")
    settings(deploy.tree, table_suffix="-restored", **closed)
    repointed = deploy.change("apply")
    api = task_definition(aws, "task-tracker-task")["containers"]["api"]
    environment = {each["name"]: each["value"] for each in api["environment"]}
    restored_items = aws.client("dynamodb").scan(TableName=f"{TABLE}-restored")["Items"]
    deploy.change("destroy", "--delete-table")
    preview(deploy, proxy, tmp_path_factory)
    return Life(
        aws=aws,
        proxy=proxy,
        policies=Policies.read(aws.client("iam")),
        destroyed=destroyed,
        kept=kept,
        deployed_again=deployed_again,
        items=items,
        next_plan=next_plan,
        no_drift=no_drift,
        drift=drift,
        repointed=repointed,
        restored_items=restored_items,
        table_of_the_api=environment["TABLE_NAME"],
        refused=refused,
        left_over=left_over(aws),
    )


def drift_operator(deploy: Operator, proxy: AwsProxy, home: Path) -> Operator:
    """The role of the workflow drift, which has no secrets."""
    operator = Operator(deploy.tree, home, proxy, "drift")
    given = operator.environment | {"STATE_BUCKET": deploy.environment["STATE_BUCKET"]}
    operator.environment = {
        name: value for name, value in given.items() if not name.startswith("TF_VAR_")
    }
    return operator


def restore(deploy: Operator, table: str, new_table: str) -> None:
    """Restore a table as an operator does."""
    subprocess.run(
        [sys.executable, deploy.tree / "terraform/scripts/restore.py", table, new_table],
        env=deploy.environment | {"AWS_ACCESS_KEY_ID": "person"},
        check=True,
    )


def plan_of_dev(deploy: Operator) -> str:
    """Return the error of a plan with production's state and the variables of dev."""
    environments = deploy.tree / "terraform/environments"
    files = [
        f"-var-file={environments}/{name}" for name in ("production.local.tfvars", "dev.tfvars")
    ]
    try:
        return deploy.root("").run("plan", "-input=false", f"-var=region={REGION}", *files)
    except TerraformError as error:
        return str(error)


def certificate(aws: Aws) -> str:
    imported = aws.client("acm").import_certificate(
        Certificate=CERTIFICATE.cert_chain_pems[0].bytes(),
        PrivateKey=CERTIFICATE.private_key_pem.bytes(),
    )
    return str(imported["CertificateArn"])


def later_version(tree: Path) -> None:
    for changed in ("prometheus/rules/store.yaml", "alertmanager/message.tmpl"):
        path = tree / "monitoring" / changed
        path.write_text(COMMENT + path.read_text())
    (tree / "terraform/later_override.tf").write_text(LATER_VERSION + LATER_STACK)


def earlier_version(tree: Path) -> None:
    (tree / "terraform/later_override.tf").unlink()


def preview(deploy: Operator, proxy: AwsProxy, paths: pytest.TempPathFactory) -> None:
    """Apply, change and destroy a preview, as its role does."""
    operator = Operator(deploy.tree, paths.mktemp("home"), proxy, "preview")
    root = operator.root("preview")
    root.init(bucket=deploy.environment["STATE_BUCKET"], region=REGION, key="preview/42.tfstate")
    package = make("arm64", paths.mktemp("package"))
    flags = [f"-var=region={REGION}", "-var=pull_request=42", f"-var=package={package}"]
    root.apply(*flags)
    later = [deploy.tree / f"terraform/{module}/later_override.tf" for module in LATER_PREVIEW]
    for file, text in zip(later, LATER_PREVIEW.values(), strict=True):
        file.write_text(text)
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr("later.py", "")
    root.apply(*flags, f"-var=bootstrap_key={SECRETS['bootstrap_key'][:-8]}00000000")
    for file in later:
        file.unlink()
    root.apply(*flags)
    root.destroy(*flags)


def test_dropped_connections_are_retried(life: Life) -> None:
    """By the provider with the tests' settings, by the backend and by the scripts."""
    assert life.proxy.dropped > 5


def test_a_destroy_keeps_the_table_only(life: Life) -> None:
    """The protected load balancer goes; the table stays, and the output names it."""
    assert life.kept == [TABLE]
    assert f"The table {TABLE} is kept" in life.destroyed


def test_a_later_deployment_adopts_the_kept_table(life: Life) -> None:
    """It finds and imports the table by itself, with its items, and the next plan is empty."""
    assert "Import successful" in life.deployed_again
    assert life.items == [{"pk": {"S": "a"}, "sk": {"S": "b"}}]
    assert "No changes." in plain(life.next_plan.stdout)


def test_another_environment_over_a_state_is_refused(life: Life) -> None:
    """No plan of dev is possible over the state of production, whatever chose the two."""
    assert "This state is that of task-tracker, and these variables are those of" in life.refused


def test_a_restored_table_replaces_the_first_one(life: Life) -> None:
    """A deployment with its table_suffix imports it, and leaves the first one alone."""
    assert f"The table {TABLE} is left alone. {TABLE}-restored replaces it." in life.repointed
    assert life.table_of_the_api == f"{TABLE}-restored"
    assert life.restored_items == life.items


def test_a_destroy_can_delete_the_table(life: Life) -> None:
    """Only the resources of bootstrap are left, and the table that another one replaced."""
    assert life.left_over == [TABLE]


def test_drift_is_found_without_secrets(life: Life) -> None:
    """A stack as it was deployed has none; a change by hand is named, and the status is 2."""
    assert (life.no_drift.returncode, "No changes." in plain(life.no_drift.stdout)) == (0, True)
    assert life.drift.returncode == 2
    assert 'aws_cloudwatch_log_group.this["api"] will be updated' in plain(life.drift.stdout)


@pytest.mark.parametrize("role", ["deploy", "drift", "preview"])
def test_a_role_has_the_permissions_that_it_needs(life: Life, role: str) -> None:
    """The policy allows every call of Terraform and its state, and nothing that no option uses."""
    needed = needed_by_terraform(role, life.proxy.calls[role])
    allowed = life.policies.actions(f"task-tracker-github-{role}")
    assert {"missing": sorted(needed - allowed), "unused": sorted(allowed - needed)} == {
        "missing": [],
        "unused": [],
    }


@pytest.mark.parametrize("role", ["deploy", "drift", "preview"])
def test_a_role_holds_its_policy(life: Life, role: str) -> None:
    """IAM limits the inline policies of a role to 10 240 characters without whitespace."""
    statements = life.policies.statements[f"task-tracker-github-{role}"]
    assert len(json.dumps(statements, separators=(",", ":"))) < 10_200
