"""The applied infrastructure, read back from moto: containers, secrets, table, roles, previews."""

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.limits import GRACEFUL_STOP_SECONDS
from api.local.processes import ROOT
from api.main import create_app
from api.serving.tls import server_context
from monitoring import local_stack
from tests.infra.conftest import (
    ACCOUNT,
    COMMENT,
    FIRST_DIGEST,
    REGISTRY,
    RUNBOOK_URL,
    SECOND_DIGEST,
    SECRETS,
    Aws,
    Destroyed,
    Stack,
    task_definition,
    variables,
)
from tests.infra.terraform import REGION, TerraformError
from tests.support import builders
from tests.support.packaging import make
from tests.support.ports import free_port, wait_until_taken
from tests.support.require_tool import require_tool, skip_or_fail
from tests.support.rule_groups import rule_groups
from tests.support.server import serving

TABLE = "task-tracker-tasks"
PREVIEW = "task-tracker-preview-42"
READY_SECONDS = 30
# Statements that need "*" as resource; the reason stands beside each in the Terraform files.
UNLIMITED_STATEMENTS = {"SignInToEcr", "ManageResourcesWithUnknownIds", "ReadLists"}


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def wait_until_ready(client: builders.Client) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline


def test_a_second_plan_has_no_changes(stack: Stack) -> None:
    """Every argument is read back from AWS as it was applied."""
    assert stack.second_plan == []


# ECS task definitions


def test_only_the_api_is_essential(stack: Stack) -> None:
    """A crashed Prometheus or node-exporter is restarted and does not stop the API."""
    definition = task_definition(stack.aws, "task-tracker-task")
    containers = definition["containers"]
    assert {name for name, each in containers.items() if each["essential"]} == {"api"}
    for name in set(containers) - {"api"}:
        assert containers[name]["restartPolicy"]["enabled"]
    assert definition["networkMode"] == "awsvpc"
    assert definition["runtimePlatform"]["cpuArchitecture"] == "ARM64"


@pytest.mark.parametrize("family", ["task-tracker-task", "task-tracker-grafana"])
def test_containers_are_restricted(stack: Stack, family: str) -> None:
    """A numeric user, a read-only root, no capabilities, a memory limit and a health check."""
    definition = task_definition(stack.aws, family)
    for container in definition["containers"].values():
        assert int(container["user"].partition(":")[0]) > 0
        assert container["readonlyRootFilesystem"]
        assert container["linuxParameters"]["capabilities"]["drop"] == ["ALL"]
        assert container["healthCheck"]["command"][0] == "CMD"
        assert container["stopTimeout"] <= 120
        assert re.search(r"@sha256:[0-9a-f]{64}$", container["image"])
        assert container["logConfiguration"]["options"]["mode"] == "non-blocking"
    limits = sum(container["memory"] for container in definition["containers"].values())
    assert limits <= int(definition["memory"])


def test_sidecars_have_their_flags_and_limits(stack: Stack) -> None:
    """node-exporter has the flags of monitoring/; Go's memory limits are below the containers'."""
    containers = task_definition(stack.aws, "task-tracker-task")["containers"]
    flags = (ROOT / "monitoring/node-exporter/flags").read_text().splitlines()
    assert containers["node-exporter"]["command"] == flags
    containers |= task_definition(stack.aws, "task-tracker-grafana")["containers"]
    for name in ("node-exporter", "prometheus", "alertmanager"):
        environment = {each["name"]: each["value"] for each in containers[name]["environment"]}
        limit = int(environment["GOMEMLIMIT"].removesuffix("MiB"))
        assert limit < containers[name]["memory"]


def test_the_api_can_stop_gracefully(stack: Stack) -> None:
    """ECS waits longer than uvicorn does, and stops Prometheus after the API."""
    api = task_definition(stack.aws, "task-tracker-task")["containers"]["api"]
    assert api["stopTimeout"] > GRACEFUL_STOP_SECONDS
    assert api["dependsOn"] == [{"containerName": "prometheus", "condition": "START"}]


def test_a_new_image_and_a_changed_rule_are_deployed(stack: Stack) -> None:
    """Both change the task definition, because parameters are read only at start."""
    before = stack.first_definition["containers"]
    after = task_definition(stack.aws, "task-tracker-task")["containers"]
    assert before["api"]["image"] == f"{REGISTRY}/api@{FIRST_DIGEST}"
    assert after["api"]["image"] == f"{REGISTRY}/api@{SECOND_DIGEST}"
    assert before["prometheus"]["environment"] != after["prometheus"]["environment"]
    (service,) = stack.aws.client("ecs").describe_services(
        cluster="task-tracker", services=["task-tracker-task"]
    )["services"]
    assert service["taskDefinition"].endswith(":2")
    network = service["networkConfiguration"]["awsvpcConfiguration"]
    assert network["assignPublicIp"] == "ENABLED"


# Parameters and secrets


def parameter(aws: Aws, arn: str) -> str:
    name = arn.partition(":parameter")[2]
    found = aws.client("ssm").get_parameter(Name=name, WithDecryption=True)
    value: str = found["Parameter"]["Value"]
    return value


def container_environment(aws: Aws, container: dict[str, Any]) -> dict[str, str]:
    """Return the environment with the values of its secrets, as ECS sets it."""
    plain = {each["name"]: each["value"] for each in container.get("environment", [])}
    return plain | {
        each["name"]: parameter(aws, each["valueFrom"]) for each in container["secrets"]
    }


def test_prometheus_runs_with_the_parameters(stack: Stack, tmp_path: Path) -> None:
    """The container's command, run in busybox, starts a Prometheus with the files of monitoring/.

    The configuration differs in the scheme of the API, which serves TLS; rule files are gzipped.
    """
    for program in ("busybox", "prometheus", "promtool"):
        require_tool(program)
    tools = tmp_path / "bin"
    tools.mkdir()
    subprocess.run(["busybox", "--install", "-s", tools], check=True)
    for program in ("prometheus", "promtool"):
        (tools / program).symlink_to(str(shutil.which(program)))
    volume = tmp_path / "prometheus"
    volume.mkdir()
    container = task_definition(stack.aws, "task-tracker-task")["containers"]["prometheus"]
    shell, flag = container["entryPoint"]
    assert shell == "/bin/sh"
    port = free_port()
    environment = container_environment(stack.aws, container)
    listen = f"--web.listen-address=127.0.0.1:{port}"
    with subprocess.Popen(
        [tools / "sh", flag, *container["command"], "start", listen],
        cwd=volume,
        env=environment
        | {
            "PATH": str(tools),
            "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/0123456789abcdef-1234",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            groups = rule_groups(port)
        finally:
            process.terminate()
    sources = stack.tree / "monitoring/prometheus"
    configuration = (sources / "prometheus.yml").read_text()
    assert environment["PROMETHEUS_CONFIG"] == configuration.replace(
        "scheme: http\n", "scheme: https\n"
    )
    assert environment["PROMETHEUS_CONFIG"] == local_stack.environment("https")["PROMETHEUS_CONFIG"]
    rule_files = yaml.safe_load(configuration)["rule_files"]
    sources_of_rules = {name: (sources / name).read_bytes() for name in rule_files}
    for name, source in sources_of_rules.items():
        packed = environment[f"PROMETHEUS_RULES_{Path(name).stem.upper()}"]
        assert gzip.decompress(base64.b64decode(packed)) == source
        assert (volume / "conf" / name).read_bytes() == source
    assert [group["name"] for group in groups] == [
        group["name"]
        for source in sources_of_rules.values()
        for group in yaml.safe_load(source)["groups"]
    ]
    assert (sources / "rules/store.yaml").read_text().startswith(COMMENT)


def test_alertmanager_runs_with_the_parameters(stack: Stack, tmp_path: Path) -> None:
    """The container's command, run in busybox, calls the webhooks in the parameters.

    Prometheus has its private DNS name, and the address that alerts name as their runbook.
    """
    for program in ("busybox", "prometheus-alertmanager", "amtool"):
        require_tool(program)
    tools = tmp_path / "bin"
    tools.mkdir()
    subprocess.run(["busybox", "--install", "-s", tools], check=True)
    (tools / "alertmanager").symlink_to(str(shutil.which("prometheus-alertmanager")))
    volume = tmp_path / "alertmanager"
    volume.mkdir()
    container = task_definition(stack.aws, "task-tracker-grafana")["containers"]["alertmanager"]
    shell, flag = container["entryPoint"]
    assert shell == "/bin/sh"
    port = free_port()
    with subprocess.Popen(
        [tools / "sh", flag, *container["command"], "start", f"--web.listen-address=:{port}"],
        cwd=volume,
        env=container_environment(stack.aws, container) | {"PATH": str(tools)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert wait_until_taken(port, process, READY_SECONDS)
        finally:
            process.terminate()
    written = volume / "alertmanager.yml"
    assert written.stat().st_mode & 0o077 == 0
    receivers = yaml.safe_load(written.read_text())["receivers"]
    assert {each["name"]: each["webhook_configs"][0]["url"] for each in receivers} == {
        "operators": SECRETS["alert_webhook_url"],
        "watchdog": SECRETS["watchdog_webhook_url"],
    }
    prometheus = task_definition(stack.aws, "task-tracker-task")["containers"]["prometheus"]
    environment = container_environment(stack.aws, prometheus)
    assert environment["ALERTMANAGER"] == "alertmanager.task-tracker.internal:9093"
    assert environment["RUNBOOK_URL"] == RUNBOOK_URL


def test_secrets_are_only_in_the_parameter_store(stack: Stack) -> None:
    """Containers receive every secret; neither state nor task definitions contain one.

    The API can serve TLS with what it receives.
    """
    containers = {
        **task_definition(stack.aws, "task-tracker-task")["containers"],
        **task_definition(stack.aws, "task-tracker-grafana")["containers"],
    }
    values = {
        **container_environment(stack.aws, containers["api"]),
        **container_environment(stack.aws, containers["grafana"]),
        **container_environment(stack.aws, containers["alertmanager"]),
    }
    assert set(SECRETS.values()) <= set(values.values())
    assert values["BOOTSTRAP_KEY"] == SECRETS["bootstrap_key"]
    tls = {name.lower(): value for name, value in values.items() if name.startswith("TLS_")}
    assert server_context(builders.settings(stack.aws.url, **tls))
    state = stack.roots[""].state()
    for secret in SECRETS.values():
        # The second line of PEM text, because JSON escapes line breaks.
        line = secret.splitlines()[:2][-1]
        assert line not in state
        assert line not in json.dumps(containers, default=str)


def test_grafana_has_the_variables_of_its_provisioning(stack: Stack) -> None:
    """Every variable in the provisioning files is set, and Prometheus has a private DNS name."""
    used = {
        name
        for path in (ROOT / "monitoring/grafana/provisioning").rglob("*.yaml")
        for name in re.findall(r"\$(\w+)", path.read_text())
    }
    grafana = task_definition(stack.aws, "task-tracker-grafana")["containers"]["grafana"]
    environment = container_environment(stack.aws, grafana)
    assert used | {"GF_SECURITY_ADMIN_PASSWORD", "RUNBOOK_URL"} <= set(environment)
    assert environment["PROMETHEUS_URL"] == "http://task.task-tracker.internal:9090"
    assert environment["ALERTMANAGER_URL"] == "http://localhost:9093"


# The table


def table_schema(aws: Aws, table: str) -> dict[str, Any]:
    """Return keys, attributes, indexes with projections, billing mode and TTL of a table."""
    dynamodb = aws.client("dynamodb")
    found = dynamodb.describe_table(TableName=table)["Table"]
    return {
        "keys": found["KeySchema"],
        "attributes": sorted(each["AttributeName"] for each in found["AttributeDefinitions"]),
        "indexes": {
            index["IndexName"]: (index["KeySchema"], index["Projection"])
            for index in found["GlobalSecondaryIndexes"]
        },
        "billing": found["BillingModeSummary"]["BillingMode"],
        "ttl": dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"],
    }


def test_the_table_is_as_the_api_defines_it(stack: Stack) -> None:
    """Terraform's table has the schema of the table that the API creates for development."""
    settings = builders.settings(stack.aws.url, table_name="created-by-api", aws_region=REGION)
    with serving(create_app(settings)) as url, builders.Client(base_url=url) as client:
        wait_until_ready(client)
    try:
        assert table_schema(stack.aws, TABLE) == table_schema(stack.aws, "created-by-api")
    finally:
        stack.aws.client("dynamodb").delete_table(TableName="created-by-api")


def test_the_table_is_protected(stack: Stack) -> None:
    """Deletion protection and point-in-time recovery are on."""
    dynamodb = stack.aws.client("dynamodb")
    assert dynamodb.describe_table(TableName=TABLE)["Table"]["DeletionProtectionEnabled"]
    backups = dynamodb.describe_continuous_backups(TableName=TABLE)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_the_api_works_with_the_deployed_table(stack: Stack) -> None:
    """With the container's environment, the API creates, lists, changes and deletes a task.

    Terraform has the API's own defaults.
    """
    api = task_definition(stack.aws, "task-tracker-task")["containers"]["api"]
    environment = container_environment(stack.aws, api)
    settings = builders.settings(
        stack.aws.url,
        table_name=environment["TABLE_NAME"],
        aws_region=environment["AWS_REGION"],
        cursor_secret=environment["CURSOR_SECRET"],
        task_vcpus=environment["TASK_VCPUS"],
        task_memory_mib=environment["TASK_MEMORY_MIB"],
        board=environment["BOARD"],
        docs=environment["DOCS"],
        rate_limit=environment["RATE_LIMIT"],
        workspace_rate_limit=environment["WORKSPACE_RATE_LIMIT"],
        cors_origins=environment["CORS_ORIGINS"] or None,
    )
    for name in ("board", "docs", "rate_limit", "workspace_rate_limit", "cors_origins"):
        assert getattr(settings, name) == type(settings).model_fields[name].default
    with serving(create_app(settings)) as url, builders.Client(base_url=url) as client:
        wait_until_ready(client)
        task = client.create("Deployed", project="infra")
        assert client.titles(project="infra") == ["Deployed"]
        task = client.changed(task, status="done")
        deleted = client.delete(f"/v1/tasks/{task['id']}", headers={"If-Match": task["etag"]})
        assert deleted.status_code == 204
        assert "task_memory_limit_bytes 1.073741824e+09" in client.get("/metrics").text


# Roles


def policies(aws: Aws) -> dict[str, list[dict[str, Any]]]:
    """Return the policy statements of each role."""
    iam = aws.client("iam")
    found: dict[str, list[dict[str, Any]]] = {}
    for role in iam.list_roles()["Roles"]:
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            policy = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)
            found[role["RoleName"]] = policy["PolicyDocument"]["Statement"]
    return found


def trust_conditions(aws: Aws, role: str) -> dict[str, Any]:
    found = aws.client("iam").get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    (statement,) = found["Statement"]
    conditions: dict[str, Any] = statement["Condition"]
    return conditions


def test_the_task_role_allows_only_what_the_api_calls(stack: Stack) -> None:
    """Item operations on the table, and queries of it and of its indexes."""
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE}"
    allowed = {
        (action, resource)
        for statement in policies(stack.aws)["task-tracker-task"]
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }
    assert allowed == {
        ("dynamodb:ConditionCheckItem", table),
        ("dynamodb:GetItem", table),
        ("dynamodb:PutItem", table),
        ("dynamodb:UpdateItem", table),
        ("dynamodb:Query", table),
        ("dynamodb:Query", f"{table}/index/*"),
    }


def test_policies_have_no_avoidable_wildcards(stack: Stack) -> None:
    """No action contains a wildcard, and only listed statements apply to all resources."""
    found = policies(stack.aws)
    assert len(found) == 5
    for statement in (each for statements in found.values() for each in statements):
        assert not [action for action in as_list(statement["Action"]) if "*" in action]
        if "*" in as_list(statement["Resource"]):
            assert statement["Sid"] in UNLIMITED_STATEMENTS


def test_policies_agree_with_awss_reference(stack: Stack) -> None:
    """Each action exists, and supports the resources of its statement."""
    checkov = shutil.which(os.environ.get("CHECKOV", "checkov"))
    if checkov is None:
        skip_or_fail("checkov, whose environment has the reference, is not installed")
    done = subprocess.run(
        [Path(checkov).with_name("python"), ROOT / "tests/infra/reference.py"],
        input=json.dumps(policies(stack.aws)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""


def test_only_ecs_tasks_of_this_account_assume_the_roles(stack: Stack) -> None:
    """The trust policy names the account, because the principal is the same for all accounts."""
    for role in ("task-tracker-task", "task-tracker-execution"):
        conditions = trust_conditions(stack.aws, role)
        assert conditions["StringEquals"] == {"aws:SourceAccount": ACCOUNT}


def test_each_github_role_trusts_exactly_one_subject(stack: Stack) -> None:
    """Deployments come from main and the environment production, previews from pull requests."""
    claims = {
        "deploy": {
            "ref": "refs/heads/main",
            "sub": "repo:owner@1/task-tracker@2:environment:production",
        },
        "preview": {"sub": "repo:owner@1/task-tracker@2:pull_request"},
    }
    for role, expected in claims.items():
        conditions = trust_conditions(stack.aws, f"task-tracker-github-{role}")
        expected |= {"aud": "sts.amazonaws.com", "repository_id": "2"}
        assert conditions == {
            "StringEquals": {
                f"token.actions.githubusercontent.com:{claim}": value
                for claim, value in expected.items()
            }
        }


def test_the_boundary_allows_what_the_stacks_roles_may(stack: Stack) -> None:
    """Every role of the stack has it, and it takes nothing from their policies."""
    iam = stack.aws.client("iam")
    arn = f"arn:aws:iam::{ACCOUNT}:policy/task-tracker-boundary"
    document = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    allowed = {
        (action, resource)
        for statement in document["Statement"]
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }
    for role, statements in policies(stack.aws).items():
        if "github" in role:
            continue
        boundary = iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"]
        assert boundary["PermissionsBoundaryArn"] == arn
        for statement in statements:
            for action in as_list(statement["Action"]):
                for resource in as_list(statement["Resource"]):
                    assert any(
                        action == allowed_action and fnmatchcase(resource, pattern)
                        for allowed_action, pattern in allowed
                    ), (role, action, resource)


def test_the_deploying_role_grants_only_within_the_boundary(stack: Stack) -> None:
    """It can create a role, or give one a policy, only under the stack's boundary."""
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/task-tracker-boundary"
    granting = {
        statement["Sid"]: statement
        for statement in policies(stack.aws)["task-tracker-github-deploy"]
        if {"iam:CreateRole", "iam:PutRolePolicy"} & set(as_list(statement["Action"]))
    }
    assert set(granting) == {"GrantWithinBoundary"}
    condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    assert granting["GrantWithinBoundary"]["Condition"] == condition


# Network and alarms


def test_ports_are_open_only_to_the_given_networks(stack: Stack) -> None:
    """8000 and 3000 are open to the given networks, 9090 to Grafana, 9093 to the API's ECS task."""
    ec2 = stack.aws.client("ec2")
    groups = {
        each["GroupId"]: each["GroupName"]
        for each in ec2.describe_security_groups()["SecurityGroups"]
    }
    ids = [group for group, name in groups.items() if name.startswith("task-tracker")]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": ids}])
    ingress = {
        (rule["FromPort"], rule.get("CidrIpv4") or groups[rule["ReferencedGroupInfo"]["GroupId"]])
        for rule in rules["SecurityGroupRules"]
        if not rule["IsEgress"]
    }
    assert ingress == {
        (8000, "203.0.113.7/32"),
        (3000, "203.0.113.7/32"),
        (9090, "task-tracker-grafana"),
        (9093, "task-tracker-task"),
    }


def test_alarms_are_sent_by_mail(stack: Stack) -> None:
    """The alarm on running ECS tasks also fires without data; the topic has one subscriber."""
    alarms = stack.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    missing_data = {alarm["AlarmName"]: alarm["TreatMissingData"] for alarm in alarms}
    assert missing_data == {
        "task-tracker-task-not-running": "breaching",
        "task-tracker-grafana-not-running": "breaching",
        "task-tracker-deployment-failed": "notBreaching",
        "task-tracker-deployment-slow": "notBreaching",
        "task-tracker-table-failing": "notBreaching",
    }
    (mail,) = stack.aws.client("sns").list_subscriptions()["Subscriptions"]
    assert (mail["Protocol"], mail["Endpoint"]) == ("email", "operators@example.com")


# State lock


def test_a_held_lock_stops_an_apply(stack: Stack) -> None:
    """The error names the holder of the lock."""
    bucket = stack.roots["bootstrap"].outputs()["STATE_BUCKET"]
    lock = {
        "ID": "1f0c5e1a-0000-4000-8000-000000000000",
        "Operation": "OperationTypeApply",
        "Who": "ada@laptop",
        "Version": "1.11.4",
        "Created": "2026-11-25T00:00:00Z",
        "Path": f"{bucket}/stack/production.tfstate",
    }
    s3 = stack.aws.client("s3")
    s3.put_object(Bucket=bucket, Key="stack/production.tfstate.tflock", Body=json.dumps(lock))
    try:
        with pytest.raises(TerraformError, match=r"state lock.*ada@laptop"):
            stack.roots[""].apply(*variables(SECOND_DIGEST))
    finally:
        s3.delete_object(Bucket=bucket, Key="stack/production.tfstate.tflock")


# Previews


def test_a_preview_is_created_published_and_destroyed(stack: Stack, tmp_path: Path) -> None:
    """It has its own function, table and role, and always requires API keys.

    With public = true, an HTTP API serves it without AWS signatures; the function URL still needs
    them. A destroy leaves nothing.
    """
    preview = stack.roots["preview"]
    flags = [
        f"-var=region={REGION}",
        "-var=pull_request=42",
        f"-var=package={make('arm64', tmp_path)}",
        f"-var=bootstrap_key={SECRETS['bootstrap_key']}",
    ]
    functions = stack.aws.client("lambda")
    gateways = stack.aws.client("apigatewayv2")
    preview.apply(*flags)
    assert preview.changes(*flags) == []
    assert gateways.get_apis()["Items"] == []
    assert table_schema(stack.aws, PREVIEW) == table_schema(stack.aws, TABLE)
    role = stack.aws.client("iam").get_role(RoleName=PREVIEW)["Role"]
    boundary = role["PermissionsBoundary"]["PermissionsBoundaryArn"]
    assert boundary.endswith(":policy/task-tracker-preview-boundary")

    public = [*flags, "-var=public=true"]
    preview.apply(*public)
    assert preview.changes(*public) == []
    (gateway,) = gateways.get_apis()["Items"]
    assert preview.outputs()["url"].startswith(f"https://{gateway['ApiId']}.")
    function_url = functions.get_function_url_config(FunctionName=PREVIEW)
    assert function_url["AuthType"] == "AWS_IAM"
    function = functions.get_function(FunctionName=PREVIEW)["Configuration"]
    assert function["Architectures"] == ["arm64"]
    environment = function["Environment"]["Variables"]
    assert environment["TABLE_NAME"] == PREVIEW
    assert environment["BOOTSTRAP_KEY"] == SECRETS["bootstrap_key"]
    assert environment["AUTH"] == "on"

    preview.destroy(*public)
    assert preview.resources() == []
    assert functions.list_functions()["Functions"] == []
    assert gateways.get_apis()["Items"] == []


# Destroy. These tests must be the last: they destroy the stack.


def test_a_protected_table_survives_a_destroy(destroyed: Destroyed) -> None:
    """A destroy fails while deletion protection is on."""
    assert "DeletionProtectionEnabled" in destroyed.error
    assert destroyed.tables == [TABLE]


def test_a_destroy_leaves_nothing(destroyed: Destroyed) -> None:
    """Only the resources of bootstrap are left."""
    assert destroyed.left_over == []
