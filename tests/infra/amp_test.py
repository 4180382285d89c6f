"""Two ECS tasks with Amazon Managed Service for Prometheus: applied, read back and destroyed.

moto lacks its alert manager, which amp_stub.py answers for. What AMP would run is run here: its
rules by promtool, its alert manager definition by Alertmanager, with moto's SNS.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from api.local.processes import ROOT
from api.main import create_app
from tests.infra import amp_servers, terraform
from tests.infra.amp_servers import MAX_WAIT_SECONDS, Workspace
from tests.infra.aws_proxy import AwsProxy
from tests.infra.conftest import (
    ACCOUNT,
    MOTO_BACKEND,
    RUNBOOK_URL,
    Aws,
    left_over,
    task_definition,
    variables,
)
from tests.infra.terraform import REGION, Terraform
from tests.support import builders, promql_queries
from tests.support.promql_queries import amp_rule_files
from tests.support.require_tool import require_tool
from tests.support.server import serving
from tests.support.wait import wait_until

BUCKET = "states"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:task-tracker-alarms"
TABLE = "task-tracker-tasks"
RULE_FAILURES = {"ecs-task: Rule failures"}
VARIABLES = variables(
    monitoring_backend="amp",
    desired_count=2,
    max_tasks=4,
    alert_webhook_url="",
    watchdog_webhook_url="",
    tls_version=0,
    deletion_protection=False,
)


class TwoTasks(NamedTuple):
    """The applied stack, and what was recorded."""

    aws: Aws
    workspace: dict[str, Any]
    second_plan: list[str]

    def environment(self, service: str, container: str) -> dict[str, str]:
        """Return the environment of a container, without its secrets."""
        definition = task_definition(self.aws, f"task-tracker-{service}")
        return {
            each["name"]: each["value"]
            for each in definition["containers"][container]["environment"]
        }


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    require_tool("terraform")
    with terraform.emulated_aws() as url, AwsProxy(url).running() as proxy:
        yield Aws(proxy.url)


@pytest.fixture(scope="module")
def root(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    tree = terraform.copy_tree(tmp_path_factory.mktemp("tree"))
    aws.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    root = Terraform(tree, "", terraform.environment(tmp_path_factory.mktemp("home"), aws.url))
    root.init(bucket=BUCKET, region=REGION, key="stack/production.tfstate", **MOTO_BACKEND)
    return root


@pytest.fixture(scope="module")
def stack(aws: Aws, root: Terraform) -> TwoTasks:
    root.apply(*VARIABLES)
    second_plan = root.changes(*VARIABLES)
    (workspace,) = aws.client("amp").list_workspaces()["workspaces"]
    return TwoTasks(aws, workspace, second_plan)


def test_a_second_plan_has_no_changes(stack: TwoTasks) -> None:
    """Every argument is read back from AWS as it was applied."""
    assert stack.second_plan == []


def test_two_ecs_tasks_run_and_autoscaling_adds_more(stack: TwoTasks) -> None:
    """The API's service has two, and can have four; Grafana's has one."""
    services = stack.aws.client("ecs").describe_services(
        cluster="task-tracker", services=["task-tracker-task", "task-tracker-grafana"]
    )["services"]
    assert [service["desiredCount"] for service in services] == [2, 1]
    scaling = stack.aws.client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 4)


def rules_in_amp(stack: TwoTasks) -> dict[str, str]:
    """Return the rule files in the workspace, by namespace."""
    amp, workspace = stack.aws.client("amp"), stack.workspace["workspaceId"]
    names = [
        each["name"]
        for each in amp.list_rule_groups_namespaces(workspaceId=workspace)["ruleGroupsNamespaces"]
    ]
    return {
        name: amp.describe_rule_groups_namespace(workspaceId=workspace, name=name)[
            "ruleGroupsNamespace"
        ]["data"].decode()
        for name in names
    }


def test_amp_evaluates_all_rules_but_those_about_the_sidecar(
    stack: TwoTasks, tmp_path: Path
) -> None:
    """They pass promtool, and their alerts name the runbook's address."""
    require_tool("promtool", package="prometheus")
    rules = rules_in_amp(stack)
    assert set(rules) == {path.stem for path in amp_rule_files()}
    for name, text in rules.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        subprocess.run(["promtool", "check", "rules", path], check=True, capture_output=True)
        assert "$externalLabels" not in text
        addresses = re.findall(r"runbook_url: [\"']?(.*?)#", text)
        assert set(addresses) == {RUNBOOK_URL}


def test_the_sidecar_evaluates_nothing(stack: TwoTasks) -> None:
    """It has no rules and sends no alerts; it sends series."""
    prometheus = task_definition(stack.aws, "task-tracker-task")["containers"]["prometheus"]
    (secret,) = prometheus["secrets"]
    assert secret["name"] == "PROMETHEUS_CONFIG"
    configuration = yaml.safe_load(prometheus_config(stack))
    assert configuration["rule_files"] == []
    assert "alerting" not in configuration
    (remote,) = configuration["remote_write"]
    assert remote["url"] == f"{endpoint(stack)}/api/v1/remote_write"


def prometheus_config(stack: TwoTasks) -> str:
    found = stack.aws.client("ssm").get_parameter(Name="/task-tracker/prometheus/config")
    return str(found["Parameter"]["Value"])


def endpoint(stack: TwoTasks) -> str:
    """Return the workspace's address, without the slash at its end."""
    workspace = stack.aws.client("amp").describe_workspace(
        workspaceId=stack.workspace["workspaceId"]
    )["workspace"]
    return str(workspace["prometheusEndpoint"]).rstrip("/")


@pytest.fixture(scope="module")
def monitored(stack: TwoTasks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace that has received the series of two ECS tasks."""
    home = tmp_path_factory.mktemp("monitored")
    app = create_app(builders.settings(stack.aws.url, table_name=TABLE, backlog="on"))
    with (
        amp_servers.workspace(home / "amp", rules_in_amp(stack)) as workspace,
        amp_servers.node_exporter(home / "node") as node,
        serving(app) as url,
    ):
        targets = {"localhost:9100": node, "localhost:8000": url.removeprefix("http://")}
        send = partial(
            amp_servers.ecs_task,
            configuration=prometheus_config(stack),
            to=workspace,
            targets=targets,
        )
        with send(home / "one"), send(home / "two"):
            wait_until(lambda: empty_panels(workspace) == RULE_FAILURES, MAX_WAIT_SECONDS)
            yield workspace


def empty_panels(workspace: Workspace) -> set[str]:
    """Return the panels and annotations that show no data; a query that fails raises an error."""
    return {
        query.source
        for query in promql_queries.of_dashboards()
        if not workspace.query(query.expression)
    }


def test_two_ecs_tasks_send_different_series(monitored: Workspace) -> None:
    """Their instances are the ids of the ECS tasks, because localhost is the same in both."""
    series = monitored.query("up == 1")
    assert {(each["job"], each["instance"], each["task"]) for each in series} == {
        (job, task, task) for job in ("api", "node", "prometheus") for task in ("one", "two")
    }


def test_panels_have_data_from_two_ecs_tasks(monitored: Workspace) -> None:
    """All but one: the sidecars evaluate no rules that could fail."""
    assert empty_panels(monitored) == RULE_FAILURES


def test_all_rules_work_with_two_ecs_tasks(monitored: Workspace) -> None:
    """None fails, for instance for two series where one is expected, and none fires."""
    wait_until(
        lambda: all(rule["health"] != "unknown" for rule in monitored.rules()), MAX_WAIT_SECONDS
    )
    rules = monitored.rules()
    assert {rule["name"] for rule in rules if rule["health"] != "ok"} == set()
    assert {rule["name"] for rule in rules if rule.get("state") == "firing"} == set()


def definition(stack: TwoTasks) -> str:
    """Return the alert manager definition in the workspace."""
    found = stack.aws.client("amp").describe_alert_manager_definition(
        workspaceId=stack.workspace["workspaceId"]
    )
    return str(found["alertManagerDefinition"]["data"].decode())


def test_amtool_accepts_the_alert_manager_definition(stack: TwoTasks, tmp_path: Path) -> None:
    """It groups as the Alertmanager of the sidecars does, and has no watchdog."""
    require_tool("amtool", package="prometheus-alertmanager")
    document = yaml.safe_load(definition(stack))
    assert set(document) == {"alertmanager_config"}
    file = tmp_path / "alertmanager.yml"
    file.write_text(document["alertmanager_config"])
    subprocess.run(["amtool", "check-config", file], check=True, capture_output=True)
    shipped = yaml.safe_load((ROOT / "monitoring/alertmanager/alertmanager.yml").read_text())
    del shipped["route"]["routes"]
    assert yaml.safe_load(file.read_text())["route"] == shipped["route"]


def test_an_alert_and_its_end_are_published_as_sentences(stack: TwoTasks, tmp_path: Path) -> None:
    """They have what happens, how bad it is, since when, where, and the runbook's address."""
    alert = {
        "labels": {"alertname": "TaskMemoryHigh", "severity": "page", "task": "0123456789abcdef"},
        "annotations": {
            "summary": "The ECS task uses 95 % of its memory",
            "description": "Above 90 % for 5 minutes.",
            "runbook_url": f"{RUNBOOK_URL}#taskmemoryhigh",
        },
        "startsAt": "2026-01-02T08:00:00Z",
    }
    rest = (
        "The ECS task uses 95 % of its memory.\n"
        "Above 90 % for 5 minutes. ECS task: 0123456789abcdef.\n"
        f"{RUNBOOK_URL}#taskmemoryhigh"
    )
    with amp_servers.alertmanager(definition(stack), TOPIC, stack.aws, tmp_path) as amp:
        amp.send(alert)
        firing = amp.next_notification()
        amp.send(alert | {"endsAt": "2026-01-02T08:30:00Z"})
        resolved = amp.next_notification()
    assert firing["Subject"] == "firing: TaskMemoryHigh (page)"
    assert firing["Message"].strip() == (
        f"page: TaskMemoryHigh is firing since 2026-01-02T08:00:00Z. {rest}"
    )
    assert resolved["Subject"] == "resolved: TaskMemoryHigh (page)"
    assert resolved["Message"].strip() == (
        "page: TaskMemoryHigh ended at 2026-01-02T08:30:00Z. "
        f"It was firing since 2026-01-02T08:00:00Z. {rest}"
    )


def statements(policy: str | dict[str, Any]) -> list[dict[str, Any]]:
    document = json.loads(policy) if isinstance(policy, str) else policy
    found: list[dict[str, Any]] = document["Statement"]
    return found


def test_grafana_queries_the_workspace_with_a_role_of_its_own(stack: TwoTasks) -> None:
    """The role can query this workspace and nothing else, within the boundary."""
    iam = stack.aws.client("iam")
    definition = task_definition(stack.aws, "task-tracker-grafana")
    assert definition["taskRoleArn"].endswith(":role/task-tracker-grafana")
    policy = iam.get_role_policy(RoleName="task-tracker-grafana", PolicyName="series")
    (statement,) = statements(policy["PolicyDocument"])
    assert set(statement["Action"]) == {
        "aps:GetLabels",
        "aps:GetMetricMetadata",
        "aps:GetSeries",
        "aps:QueryMetrics",
    }
    assert statement["Resource"] == stack.workspace["arn"]
    role = iam.get_role(RoleName="task-tracker-grafana")["Role"]
    boundary = role["PermissionsBoundary"]["PermissionsBoundaryArn"]
    assert boundary.endswith(":policy/task-tracker-boundary")


def test_grafana_has_the_variables_of_its_provisioning(stack: TwoTasks) -> None:
    """The image has the plugin and the data source at the paths that are set."""
    environment = stack.environment("grafana", "grafana")
    source = (ROOT / "monitoring/grafana/provisioning-amp/datasources/prometheus.yaml").read_text()
    assert set(re.findall(r"\$(\w+)", source)) <= set(environment)
    assert environment["PROMETHEUS_URL"] == endpoint(stack)
    assert f"type: {environment['GF_AWS_FORWARD_SETTINGS_TO_PLUGINS']}\n" in source
    dockerfile = (ROOT / "monitoring/grafana/Dockerfile").read_text()
    for name in ("GF_PATHS_PLUGINS", "GF_PATHS_PROVISIONING"):
        assert re.search(rf"^COPY .* {environment[name]}$", dockerfile, re.MULTILINE)


def test_no_container_alerts_beside_amp(stack: TwoTasks) -> None:
    """There is no Alertmanager, nothing reaches its port, and it needs no webhooks."""
    assert set(task_definition(stack.aws, "task-tracker-grafana")["containers"]) == {"grafana"}
    rules = stack.aws.client("ec2").describe_security_group_rules()["SecurityGroupRules"]
    assert 9093 not in {rule["FromPort"] for rule in rules}
    parameters = stack.aws.client("ssm").describe_parameters()["Parameters"]
    assert [each["Name"] for each in parameters if "webhook" in each["Name"]] == []


def test_the_topic_lets_cloudwatch_and_this_workspace_publish(stack: TwoTasks) -> None:
    """For this account only."""
    attributes = stack.aws.client("sns").get_topic_attributes(TopicArn=TOPIC)["Attributes"]
    conditions = {
        statement["Principal"]["Service"]: statement["Condition"]
        for statement in statements(attributes["Policy"])
    }
    account = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert conditions == {
        "cloudwatch.amazonaws.com": account,
        "aps.amazonaws.com": {
            **account,
            "ArnEquals": {"aws:SourceArn": stack.workspace["arn"]},
        },
    }


def test_alarms_take_the_place_of_the_watchdog(stack: TwoTasks) -> None:
    """They tell that series, rules or messages are missing, and that a group of rules fails."""
    alarms = {
        alarm["AlarmName"].removeprefix("task-tracker-amp-"): alarm
        for alarm in stack.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
        if alarm["AlarmName"].startswith("task-tracker-amp-")
    }
    missing = {name for name, alarm in alarms.items() if alarm["TreatMissingData"] == "breaching"}
    assert missing == {"series-missing", "rules-not-evaluated"}
    failing = {f"rules-failing-{name}".replace("_", "-") for name in rules_in_amp(stack)}
    assert set(alarms) - missing == failing | {"alerts-not-sent"}
    assert f"AMP_ALARMS = {len(alarms)}\n" in (ROOT / "terraform/scripts/cost.py").read_text()
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [TOPIC]
        assert alarm["AlarmDescription"].endswith(f". {RUNBOOK_URL}#amp-alarms")
        assert stack.workspace["workspaceId"] in {each["Value"] for each in alarm["Dimensions"]}


# Destroy. This test must be the last: it destroys the stack.


def test_a_destroy_leaves_nothing(stack: TwoTasks, root: Terraform) -> None:
    """Neither the workspace nor its roles and alarms."""
    root.destroy(*VARIABLES)
    assert left_over(stack.aws) == []
    assert stack.aws.client("amp").list_workspaces()["workspaces"] == []
