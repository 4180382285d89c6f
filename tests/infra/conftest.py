"""One life of the infrastructure, on an AWS that moto plays, by Terraform's real provider."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest

from tests.infra import terraform
from tests.infra.terraform import REGION, Failed, Terraform
from tests.support.presence import need
from tests.support.processes import ROOT

ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/task-tracker"
FIRST, SECOND = ("sha256:" + letter * 64 for letter in "ab")
NEW_KEY = ROOT / "terraform/scripts/new_key.py"
SECRETS = {
    "bootstrap_key": subprocess.check_output([sys.executable, NEW_KEY], text=True).strip(),
    "cursor_secret": "a-cursor-secret-that-nobody-may-see",
    "grafana_admin_password": "a-password-that-nobody-may-see",
    "alert_webhook_url": "https://alerts.example/nobody-may-see",
    "watchdog_webhook_url": "https://watchdog.example/nobody-may-see",
}
COMMENT = "# Changed since.\n"


class Aws:
    """Clients of the emulated AWS."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = boto3.Session("testing", "testing", region_name=REGION)

    def client(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self.url)  # type: ignore[call-overload]


class Stack(NamedTuple):
    """What has been applied, and what was measured while it was."""

    aws: Aws
    tree: Path
    roots: dict[str, Terraform]
    outputs: dict[str, Any]
    resources: int
    second_plan: list[str]
    apply_seconds: float
    # The task definition before the image and a rule changed.
    first_task: dict[str, Any]


class End(NamedTuple):
    """What became of it all when it was destroyed."""

    refusal: str
    kept: list[str]
    seconds: float
    left_over: list[str]


def variables(api_digest: str = FIRST, **more: Any) -> list[str]:
    """Say what a deployment says."""
    said: dict[str, Any] = {
        "region": REGION,
        "api_image": f"{REGISTRY}/api@{api_digest}",
        "grafana_image": f"{REGISTRY}/grafana@{FIRST}",
        "api_cidrs": ["203.0.113.7/32"],
        "grafana_cidrs": ["203.0.113.7/32"],
        "alarm_email": "operators@example.com",
        "bootstrap_key_version": 1,
        **SECRETS,
        **more,
    }
    return [
        f"-var={name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in said.items()
    ]


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    need("terraform")
    with terraform.emulated_aws() as url:
        yield Aws(url)


@pytest.fixture(scope="session")
def roots(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Terraform]:
    """The three roots, in a copy of the tree, with bootstrap applied."""
    tree = terraform.copy_tree(tmp_path_factory.mktemp("tree"))
    environment = terraform.environment(tmp_path_factory.mktemp("home"), aws.url)
    made = {root: Terraform(tree, root, environment) for root in ("bootstrap", "", "preview")}
    made["bootstrap"].init()
    # The provider waits a minute to see that the rules of a bucket stay.
    made["bootstrap"].apply(*bootstrap_variables())
    bucket = made["bootstrap"].outputs()["STATE_BUCKET"]
    # moto refuses by this policy whatever its condition says.
    aws.client("s3").delete_bucket_policy(Bucket=bucket)
    backend = {
        "bucket": bucket,
        "region": REGION,
        "use_path_style": "true",
        "skip_credentials_validation": "true",
        "skip_requesting_account_id": "true",
    }
    made[""].init(**backend)
    made["preview"].init(**backend, key="preview/42.tfstate")
    return made


def bootstrap_variables() -> list[str]:
    return [
        f"-var=region={REGION}",
        "-var=github_subject_prefix=repo:owner-1/task-tracker-2",
        "-var=expire_old_states=false",
    ]


@pytest.fixture(scope="session")
def stack(aws: Aws, roots: dict[str, Terraform]) -> Stack:
    """The stack, applied, planned again, then with another image and another rule."""
    root = roots[""]
    tree = root.directory.parent
    seconds = root.apply(*variables())
    second_plan = root.changes(*variables())
    first_task = task_definition(aws, "task-tracker-task")
    rules = tree / "monitoring/prometheus/rules/store.yaml"
    rules.write_text(COMMENT + rules.read_text())
    root.apply(*variables(SECOND))
    return Stack(
        aws=aws,
        tree=tree,
        roots=roots,
        outputs=root.outputs(),
        resources=len(root.resources()),
        second_plan=second_plan,
        apply_seconds=seconds,
        first_task=first_task,
    )


@pytest.fixture(scope="session")
def end(stack: Stack, report: Callable[[str], None]) -> End:
    """Destroy it, once in vain and once after the protection is off."""
    root = stack.roots[""]
    refusal = ""
    try:
        root.destroy(*variables(SECOND))
    except Failed as failed:
        refusal = str(failed)
    kept = stack.aws.client("dynamodb").list_tables()["TableNames"]
    root.apply(*variables(SECOND, table_deletion_protection=False))
    seconds = root.destroy(*variables(SECOND, table_deletion_protection=False))
    ended = End(refusal, kept, seconds, left_over(stack.aws))
    figures = _as_json(stack, ended)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/infra.json").write_text(figures + "\n")
    report(figures)
    return ended


def task_definition(aws: Aws, family: str) -> dict[str, Any]:
    """Read the newest revision of a task definition, its containers by their names."""
    found = aws.client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
    found["containers"] = {each["name"]: each for each in found["containerDefinitions"]}
    definition: dict[str, Any] = found
    return definition


def left_over(aws: Aws) -> list[str]:
    """Name what is there that the stack and previews make; what bootstrap made stays."""
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
        *(each["AlarmName"] for each in aws.client("cloudwatch").describe_alarms()["MetricAlarms"]),
        *(each["FunctionName"] for each in aws.client("lambda").list_functions()["Functions"]),
    ]


def _active_clusters(ecs: Any) -> list[str]:
    # ECS remembers those that were deleted.
    clusters = ecs.describe_clusters(clusters=ecs.list_clusters()["clusterArns"])["clusters"]
    return [each["clusterName"] for each in clusters if each["status"] == "ACTIVE"]


def _as_json(stack: Stack, end: End) -> str:
    return json.dumps(
        {
            "resources": stack.resources,
            "second_plan_changes": len(stack.second_plan),
            "apply_seconds": round(stack.apply_seconds, 1),
            "destroy_seconds": round(end.seconds, 1),
            "left_over": len(end.left_over),
        }
    )
