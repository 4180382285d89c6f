"""Applies, changes and destroys the infrastructure once, for all tests of this directory."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
import trustme

from api.local.processes import ROOT
from tests.infra import terraform
from tests.infra.terraform import REGION, Terraform, TerraformError
from tests.support.require_tool import require_tool

ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/task-tracker"
FIRST_DIGEST, SECOND_DIGEST = ("sha256:" + letter * 64 for letter in "ab")
NEW_KEY = ROOT / "terraform/scripts/new_key.py"
CERTIFICATE = trustme.CA().issue_cert("tracker.example")
SECRETS = {
    "bootstrap_key": subprocess.check_output([sys.executable, NEW_KEY], text=True).strip(),
    "cursor_secret": "a-cursor-secret-for-this-test-only",
    "grafana_admin_password": "a-password-for-this-test-only",
    "alert_webhook_url": "https://alerts.example/for-this-test-only",
    "watchdog_webhook_url": "https://watchdog.example/for-this-test-only",
    "tls_certificate": CERTIFICATE.cert_chain_pems[0].bytes().decode(),
    "tls_key": CERTIFICATE.private_key_pem.bytes().decode(),
}
RUNBOOK_URL = "https://wiki.example/runbook?page=1&view=all"
COMMENT = "# A changed rule file.\n"
BOOTSTRAP_VARIABLES = [
    f"-var=region={REGION}",
    "-var=github_owner=owner",
    "-var=github_owner_id=1",
    "-var=github_repository=task-tracker",
    "-var=github_repository_id=2",
    # The provider waits a minute for the lifecycle rules of a bucket.
    "-var=expire_old_states=false",
]
MOTO_BACKEND = {
    "use_path_style": "true",
    "skip_credentials_validation": "true",
    "skip_requesting_account_id": "true",
}


class Aws:
    """boto3 clients of moto."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = boto3.Session("testing", "testing", region_name=REGION)

    def client(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self.url)  # type: ignore[call-overload]


class Stack(NamedTuple):
    """The applied stack, and what was recorded while it was applied."""

    aws: Aws
    tree: Path
    roots: dict[str, Terraform]
    outputs: dict[str, Any]
    second_plan: list[str]
    # The API's task definition before the image and a rule changed.
    first_definition: dict[str, Any]


class Destroyed(NamedTuple):
    """What was recorded while the stack was destroyed."""

    # The error while the table was protected, and the tables that were left then.
    error: str
    tables: list[str]
    left_over: list[str]


def variables(api_digest: str = FIRST_DIGEST, **changes: Any) -> list[str]:
    """Return the -var flags of a deployment."""
    values: dict[str, Any] = {
        "region": REGION,
        "api_image": f"{REGISTRY}/api@{api_digest}",
        "grafana_image": f"{REGISTRY}/grafana@{FIRST_DIGEST}",
        "api_cidrs": ["203.0.113.7/32"],
        "grafana_cidrs": ["203.0.113.7/32"],
        "alarm_email": "operators@example.com",
        "bootstrap_key_version": 1,
        "tls_version": 1,
        "runbook_url": RUNBOOK_URL,
        **SECRETS,
        **changes,
    }
    return [
        f"-var={name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in values.items()
    ]


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    require_tool("terraform")
    with terraform.emulated_aws() as url:
        yield Aws(url)


@pytest.fixture(scope="session")
def roots(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Terraform]:
    """The three root modules, initialised, with bootstrap applied."""
    tree = terraform.copy_tree(tmp_path_factory.mktemp("tree"))
    environment = terraform.environment(tmp_path_factory.mktemp("home"), aws.url)
    roots = {root: Terraform(tree, root, environment) for root in ("bootstrap", "", "preview")}
    roots["bootstrap"].init()
    roots["bootstrap"].apply(
        *BOOTSTRAP_VARIABLES,
    )
    bucket = roots["bootstrap"].outputs()["STATE_BUCKET"]
    # moto ignores the condition of this policy and denies every request.
    aws.client("s3").delete_bucket_policy(Bucket=bucket)
    backend = {"bucket": bucket, "region": REGION, **MOTO_BACKEND}
    roots[""].init(**backend, key="stack/production.tfstate")
    roots["preview"].init(**backend, key="preview/42.tfstate")
    return roots


@pytest.fixture(scope="session")
def stack(aws: Aws, roots: dict[str, Terraform]) -> Stack:
    """The stack, applied, planned again, and applied with another image and another rule."""
    root = roots[""]
    tree = root.directory.parent
    root.apply(*variables())
    second_plan = root.changes(*variables())
    first_definition = task_definition(aws, "task-tracker-task")
    rules = tree / "monitoring/prometheus/rules/store.yaml"
    rules.write_text(COMMENT + rules.read_text())
    root.apply(*variables(SECOND_DIGEST))
    return Stack(
        aws=aws,
        tree=tree,
        roots=roots,
        outputs=root.outputs(),
        second_plan=second_plan,
        first_definition=first_definition,
    )


@pytest.fixture(scope="session")
def destroyed(stack: Stack) -> Destroyed:
    """The stack after two destroys: one with the table protected, one without."""
    root = stack.roots[""]
    error = ""
    try:
        root.destroy(*variables(SECOND_DIGEST))
    except TerraformError as failed:
        error = str(failed)
    tables = stack.aws.client("dynamodb").list_tables()["TableNames"]
    unprotected = variables(SECOND_DIGEST, deletion_protection=False)
    root.apply(*unprotected)
    root.destroy(*unprotected)
    return Destroyed(error, tables, left_over(stack.aws))


@contextmanager
def ecs_task(aws: Aws) -> Iterator[str]:
    """Add an ECS task of the API, which moto does not run; yield its public address."""
    ecs, ec2 = aws.client("ecs"), aws.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    network = {"subnets": [subnet], "securityGroups": [], "assignPublicIp": "ENABLED"}
    (task,) = ecs.run_task(
        cluster="task-tracker",
        taskDefinition="task-tracker-task",
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
    )["tasks"]
    details = {each["name"]: each["value"] for each in task["attachments"][0]["details"]}
    interface = details["networkInterfaceId"]
    # moto assigns no public address to ECS tasks. Those that it has are loopback addresses.
    address = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=interface)
    try:
        yield str(address["PublicIp"])
    finally:
        ecs.stop_task(cluster="task-tracker", task=task["taskArn"])


def task_definition(aws: Aws, family: str) -> dict[str, Any]:
    """Return the newest revision, with its containers by name under `containers`."""
    found = aws.client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
    found["containers"] = {each["name"]: each for each in found["containerDefinitions"]}
    definition: dict[str, Any] = found
    return definition


def left_over(aws: Aws) -> list[str]:
    """Return the names of existing resources, except those of bootstrap."""
    groups = aws.client("ec2").describe_security_groups()["SecurityGroups"]
    roles = aws.client("iam").list_roles()["Roles"]
    return [
        *aws.client("dynamodb").list_tables()["TableNames"],
        *_active_clusters(aws.client("ecs")),
        *(each["Name"] for each in aws.client("ssm").describe_parameters()["Parameters"]),
        *(each["logGroupName"] for each in aws.client("logs").describe_log_groups()["logGroups"]),
        *(each["RoleName"] for each in roles if "github" not in each["RoleName"]),
        *(each["GroupName"] for each in groups if each["GroupName"] != "default"),
        *(each["TopicArn"] for each in aws.client("sns").list_topics()["Topics"]),
        *(each["Name"] for each in aws.client("servicediscovery").list_namespaces()["Namespaces"]),
        *_alarms(aws.client("cloudwatch")),
        *(each["FunctionName"] for each in aws.client("lambda").list_functions()["Functions"]),
    ]


def _alarms(cloudwatch: Any) -> list[str]:
    # moto leaves those that autoscaling made.
    names = [each["AlarmName"] for each in cloudwatch.describe_alarms()["MetricAlarms"]]
    return [name for name in names if not name.startswith("TargetTracking-")]


def _active_clusters(ecs: Any) -> list[str]:
    # ECS also describes clusters that were deleted.
    clusters = ecs.describe_clusters(clusters=ecs.list_clusters()["clusterArns"])["clusters"]
    return [each["clusterName"] for each in clusters if each["status"] == "ACTIVE"]
