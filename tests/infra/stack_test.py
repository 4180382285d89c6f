"""The infrastructure as a client of AWS would find it: read back, used, and gone again."""

import base64
import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from api.__main__ import GRACEFUL_STOP_SECONDS
from api.main import create_app
from tests.infra.conftest import (
    COMMENT,
    FIRST,
    REGISTRY,
    SECOND,
    SECRETS,
    Aws,
    End,
    Stack,
    task_definition,
    variables,
)
from tests.infra.terraform import REGION, Failed
from tests.support import builders
from tests.support.packaging import make
from tests.support.presence import need
from tests.support.processes import ROOT, free_port
from tests.support.server import serving
from tests.support.stack import rule_groups

TABLE = "task-tracker-tasks"
# Where AWS takes no resource, or ids are not known before what has them is made.
ANYTHING = {"SignInToEcr", "WhatHasNoNameBefore", "ReadLists"}


def policies(aws: Aws) -> dict[str, list[dict[str, Any]]]:
    """Read the statements of every role's policies."""
    iam = aws.client("iam")
    found: dict[str, list[dict[str, Any]]] = {}
    for role in iam.list_roles()["Roles"]:
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            policy = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)
            found[role["RoleName"]] = policy["PolicyDocument"]["Statement"]
    return found


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_a_second_plan_changes_nothing(stack: Stack) -> None:
    """What was applied is what was asked for."""
    assert stack.second_plan == []


# The task


def test_the_task_has_three_containers_of_which_one_is_essential(stack: Stack) -> None:
    """A crash of Prometheus or node-exporter is mended, and does not stop the API."""
    task = task_definition(stack.aws, "task-tracker-task")
    containers = task["containers"]
    assert set(containers) == {"api", "node-exporter", "prometheus"}
    assert {name for name, each in containers.items() if each["essential"]} == {"api"}
    for name in ("node-exporter", "prometheus"):
        assert containers[name]["restartPolicy"]["enabled"]
    assert task["networkMode"] == "awsvpc"
    assert task["runtimePlatform"]["cpuArchitecture"] == "ARM64"


@pytest.mark.parametrize("family", ["task-tracker-task", "task-tracker-grafana"])
def test_a_container_is_nobody_with_a_limit_on_what_it_cannot_change(
    stack: Stack, family: str
) -> None:
    """A number for a user, read-only files, no capabilities, its own memory, a health check."""
    task = task_definition(stack.aws, family)
    for container in task["containers"].values():
        assert int(container["user"]) > 0
        assert container["readonlyRootFilesystem"]
        assert container["linuxParameters"]["capabilities"]["drop"] == ["ALL"]
        assert container["healthCheck"]["command"][0] == "CMD"
        assert container["stopTimeout"] <= 120
        assert re.search(r"@sha256:[0-9a-f]{64}$", container["image"])
        assert container["logConfiguration"]["options"]["mode"] == "non-blocking"
    limits = sum(container["memory"] for container in task["containers"].values())
    assert limits <= int(task["memory"])


def test_go_programs_know_their_limit(stack: Stack) -> None:
    """Each below the container's own, for they would see the machine's."""
    containers = task_definition(stack.aws, "task-tracker-task")["containers"]
    for name in ("node-exporter", "prometheus"):
        environment = {each["name"]: each["value"] for each in containers[name]["environment"]}
        limit = int(environment["GOMEMLIMIT"].removesuffix("MiB"))
        assert limit < containers[name]["memory"]


def test_the_task_stops_after_its_requests(stack: Stack) -> None:
    """ECS waits for longer than uvicorn does, and stops Prometheus last."""
    api = task_definition(stack.aws, "task-tracker-task")["containers"]["api"]
    assert api["stopTimeout"] > GRACEFUL_STOP_SECONDS
    assert api["dependsOn"] == [{"containerName": "prometheus", "condition": "START"}]


def test_node_exporter_has_the_flags_that_it_has_everywhere(stack: Stack) -> None:
    """The file's, byte for byte."""
    flags = (ROOT / "monitoring/node-exporter/flags").read_text().splitlines()
    containers = task_definition(stack.aws, "task-tracker-task")["containers"]
    assert containers["node-exporter"]["command"] == flags


def test_a_new_image_and_a_changed_rule_roll_out(stack: Stack) -> None:
    """Another revision each: what is injected is read at start only."""
    before = stack.first_task["containers"]
    after = task_definition(stack.aws, "task-tracker-task")["containers"]
    assert before["api"]["image"] == f"{REGISTRY}/api@{FIRST}"
    assert after["api"]["image"] == f"{REGISTRY}/api@{SECOND}"
    assert before["prometheus"]["environment"] != after["prometheus"]["environment"]
    (service,) = stack.aws.client("ecs").describe_services(
        cluster="task-tracker", services=["task-tracker-task"]
    )["services"]
    assert service["taskDefinition"].endswith(":2")
    network = service["networkConfiguration"]["awsvpcConfiguration"]
    assert network["assignPublicIp"] == "ENABLED"


# Configuration and secrets


def parameter(aws: Aws, arn: str) -> str:
    name = arn.partition(":parameter")[2]
    found = aws.client("ssm").get_parameter(Name=name, WithDecryption=True)
    value: str = found["Parameter"]["Value"]
    return value


def injected(aws: Aws, container: dict[str, Any]) -> dict[str, str]:
    """Fill a container's environment in as ECS does."""
    plain = {each["name"]: each["value"] for each in container.get("environment", [])}
    return plain | {
        each["name"]: parameter(aws, each["valueFrom"]) for each in container["secrets"]
    }


def test_the_parameters_hold_the_files_byte_for_byte(stack: Stack) -> None:
    """The configuration as it is, each rule file gzipped."""
    prometheus = task_definition(stack.aws, "task-tracker-task")["containers"]["prometheus"]
    environment = injected(stack.aws, prometheus)
    directory = stack.tree / "monitoring/prometheus"
    assert environment["PROMETHEUS_CONFIG"] == (directory / "prometheus.yml").read_text()
    for name in yaml.safe_load((directory / "prometheus.yml").read_text())["rule_files"]:
        path = directory / name
        packed = environment[f"PROMETHEUS_RULES_{path.stem.upper()}"]
        assert gzip.decompress(base64.b64decode(packed)) == path.read_bytes()
        assert len(packed) <= 4096


def test_the_injected_configuration_runs(stack: Stack, tmp_path: Path) -> None:
    """The task's own command, in busybox, from an empty volume, ends in a Prometheus that runs."""
    for program in ("busybox", "prometheus", "promtool"):
        need(program)
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
    environment = injected(stack.aws, container) | {
        "PATH": str(tools),
        "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/0123456789abcdef-1234",
    }
    listen = f"--web.listen-address=127.0.0.1:{port}"
    with subprocess.Popen(
        [tools / "sh", flag, *container["command"], "start", listen],
        cwd=volume,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            groups = rule_groups(port)
        finally:
            process.terminate()
    assert {group["name"] for group in groups} == {
        "availability",
        "latency",
        "saturation",
        "store",
        "targets",
    }
    assert (volume / "conf/rules/store.yaml").read_text().startswith(COMMENT)


def test_secrets_are_injected_and_are_in_no_state(stack: Stack) -> None:
    """In the parameter store they are; neither state nor task definition has a trace of them."""
    containers = {
        **task_definition(stack.aws, "task-tracker-task")["containers"],
        **task_definition(stack.aws, "task-tracker-grafana")["containers"],
    }
    values = {
        **injected(stack.aws, containers["api"]),
        **injected(stack.aws, containers["grafana"]),
    }
    assert set(SECRETS.values()) <= set(values.values())
    assert values["BOOTSTRAP_KEY"] == SECRETS["bootstrap_key"]
    state = stack.roots[""].state()
    for secret in SECRETS.values():
        assert secret not in state
        assert secret not in json.dumps(containers, default=str)


def test_nobody_is_believed_about_addresses(stack: Stack) -> None:
    """Without a load balancer, whoever says for whom a request was forwarded is a caller."""
    api = task_definition(stack.aws, "task-tracker-task")["containers"]["api"]
    assert {"name": "TRUSTED_HOPS", "value": "0"} in api["environment"]


def test_grafana_gets_what_its_provisioning_asks_for(stack: Stack) -> None:
    """Each variable of the provisioning files, and the name by which Prometheus is found."""
    used = {
        name
        for path in (ROOT / "monitoring/grafana/provisioning").rglob("*.yaml")
        for name in re.findall(r"\$(\w+)", path.read_text())
    }
    grafana = task_definition(stack.aws, "task-tracker-grafana")["containers"]["grafana"]
    environment = injected(stack.aws, grafana)
    assert used | {"GF_SECURITY_ADMIN_PASSWORD"} <= set(environment)
    assert environment["PROMETHEUS_URL"] == "http://task.task-tracker.internal:9090"


# The table


def described(aws: Aws, table: str) -> dict[str, Any]:
    """Read what must be the same: keys, attributes, indexes and their projections, billing."""
    found = aws.client("dynamodb").describe_table(TableName=table)["Table"]
    return {
        "keys": found["KeySchema"],
        "attributes": sorted(each["AttributeName"] for each in found["AttributeDefinitions"]),
        "indexes": {
            index["IndexName"]: (index["KeySchema"], index["Projection"])
            for index in found["GlobalSecondaryIndexes"]
        },
        "billing": found["BillingModeSummary"]["BillingMode"],
    }


def test_the_table_is_the_one_that_the_app_would_make(stack: Stack) -> None:
    """Keys, indexes and projections; and it expires items by the same attribute."""
    settings = builders.settings(stack.aws.url, table_name="made-by-the-app", aws_region=REGION)
    with serving(create_app(settings)) as url:
        while httpx.get(f"{url}/readyz").status_code != 200:
            pass
    dynamodb = stack.aws.client("dynamodb")
    try:
        assert described(stack.aws, TABLE) == described(stack.aws, "made-by-the-app")
        expiry = [
            dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
            for table in (TABLE, "made-by-the-app")
        ]
        assert expiry[0] == expiry[1]
    finally:
        dynamodb.delete_table(TableName="made-by-the-app")


def test_the_table_is_protected(stack: Stack) -> None:
    """Against a deletion, and against what somebody writes into it by mistake."""
    dynamodb = stack.aws.client("dynamodb")
    assert dynamodb.describe_table(TableName=TABLE)["Table"]["DeletionProtectionEnabled"]
    backups = dynamodb.describe_continuous_backups(TableName=TABLE)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_the_api_runs_on_the_table(stack: Stack) -> None:
    """Create, list, change and delete, with the environment that the task gives it."""
    api = task_definition(stack.aws, "task-tracker-task")["containers"]["api"]
    environment = injected(stack.aws, api)
    settings = builders.settings(
        stack.aws.url,
        table_name=environment["TABLE_NAME"],
        aws_region=environment["AWS_REGION"],
        cursor_secret=environment["CURSOR_SECRET"],
        task_vcpus=environment["TASK_VCPUS"],
        task_memory_mib=environment["TASK_MEMORY_MIB"],
    )
    with serving(create_app(settings)) as url, builders.Client(base_url=url) as client:
        while client.get("/readyz").status_code != 200:
            pass
        task = client.create("Deployed", project="infra")
        assert client.titles(project="infra") == ["Deployed"]
        task = client.changed(task, status="done")
        gone = client.delete(f"/v1/tasks/{task['id']}", headers={"If-Match": task["etag"]})
        assert gone.status_code == 204
        assert "task_memory_limit_bytes 1.073741824e+09" in client.get("/metrics").text


# Roles


def test_the_task_may_do_what_pynamodb_does_and_nothing_else(stack: Stack) -> None:
    """Items of its table, and queries of its indexes."""
    table = f"arn:aws:dynamodb:{REGION}:123456789012:table/{TABLE}"
    allowed = {
        (action, resource)
        for statement in policies(stack.aws)["task-tracker-task"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }
    assert allowed == {
        ("dynamodb:GetItem", table),
        ("dynamodb:PutItem", table),
        ("dynamodb:UpdateItem", table),
        ("dynamodb:Query", f"{table}/index/*"),
    }


def test_no_policy_has_a_wildcard_that_aws_does_not_force(stack: Stack) -> None:
    """No action with a star; everything as a resource only where it is said why."""
    found = policies(stack.aws)
    assert len(found) == 4
    for statements in found.values():
        for statement in statements:
            assert not [action for action in listed(statement["Action"]) if "*" in action]
            if "*" in listed(statement["Resource"]):
                assert statement["Sid"] in ANYTHING


def test_only_this_accounts_tasks_take_the_roles(stack: Stack) -> None:
    """ECS is one service for everybody: the role asks whose task it is."""
    iam = stack.aws.client("iam")
    for role in ("task-tracker-task", "task-tracker-execution"):
        trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        (statement,) = trust["Statement"]
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}


def test_github_takes_a_role_by_its_subject(stack: Stack) -> None:
    """The deployment's environment, or a pull request; no pattern lets others in."""
    iam = stack.aws.client("iam")
    subjects = {}
    for role in ("deploy", "preview"):
        found = iam.get_role(RoleName=f"task-tracker-github-{role}")["Role"]
        (statement,) = found["AssumeRolePolicyDocument"]["Statement"]
        assert set(statement["Condition"]) == {"StringEquals"}
        subjects[role] = statement["Condition"]["StringEquals"][
            "token.actions.githubusercontent.com:sub"
        ]
    assert subjects == {
        "deploy": "repo:owner-1/task-tracker-2:environment:production",
        "preview": "repo:owner-1/task-tracker-2:pull_request",
    }


# Who may connect


def test_ports_are_open_to_whom_the_variables_name(stack: Stack) -> None:
    """8000 and 3000 to the operator's network, 9090 to Grafana alone, 9100 to nobody."""
    ec2 = stack.aws.client("ec2")
    groups = {
        each["GroupId"]: each["GroupName"]
        for each in ec2.describe_security_groups()["SecurityGroups"]
    }
    ours = [group for group, name in groups.items() if name.startswith("task-tracker")]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": ours}])
    entries = {
        (rule["FromPort"], rule.get("CidrIpv4") or groups[rule["ReferencedGroupInfo"]["GroupId"]])
        for rule in rules["SecurityGroupRules"]
        if not rule["IsEgress"]
    }
    assert entries == {
        (8000, "203.0.113.7/32"),
        (3000, "203.0.113.7/32"),
        (9090, "task-tracker-grafana"),
    }


def test_somebody_is_told_when_no_task_runs(stack: Stack) -> None:
    """An alarm that takes silence for a failure, and mail."""
    alarms = stack.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    by_name = {alarm["AlarmName"]: alarm for alarm in alarms}
    assert set(by_name) == {
        "task-tracker-task-not-running",
        "task-tracker-grafana-not-running",
        "task-tracker-table-failing",
    }
    assert by_name["task-tracker-task-not-running"]["TreatMissingData"] == "breaching"
    (mail,) = stack.aws.client("sns").list_subscriptions()["Subscriptions"]
    assert (mail["Protocol"], mail["Endpoint"]) == ("email", "operators@example.com")


# What goes wrong


def test_a_lock_says_who_holds_it(stack: Stack) -> None:
    """An apply that finds another at work changes nothing, and names it."""
    bucket = stack.roots["bootstrap"].outputs()["STATE_BUCKET"]
    lock = {
        "ID": "1f0c5e1a-0000-4000-8000-000000000000",
        "Operation": "OperationTypeApply",
        "Who": "ada@laptop",
        "Version": "1.11.4",
        "Created": "2026-11-25T00:00:00Z",
        "Path": f"{bucket}/stack.tfstate",
    }
    s3 = stack.aws.client("s3")
    s3.put_object(Bucket=bucket, Key="stack.tfstate.tflock", Body=json.dumps(lock))
    try:
        with pytest.raises(Failed, match=r"state lock.*ada@laptop"):
            stack.roots[""].apply(*variables(SECOND))
    finally:
        s3.delete_object(Bucket=bucket, Key="stack.tfstate.tflock")


# Previews


def preview_variables(package: Path) -> list[str]:
    return [
        f"-var=region={REGION}",
        "-var=pull_request=42",
        f"-var=package={package}",
        f"-var=bootstrap_key={SECRETS['bootstrap_key']}",
    ]


def test_a_preview_comes_and_goes(stack: Stack, tmp_path: Path) -> None:
    """Function, address, table and role of its own; after it there is nothing."""
    package = make("arm64", tmp_path)
    preview = stack.roots["preview"]
    said = preview_variables(package)
    preview.apply(*said)
    assert preview.changes(*said) == []
    functions = stack.aws.client("lambda")
    function = functions.get_function(FunctionName="task-tracker-preview-42")["Configuration"]
    address = functions.get_function_url_config(FunctionName="task-tracker-preview-42")
    environment = function["Environment"]["Variables"]
    assert environment["TABLE_NAME"] == "task-tracker-preview-42"
    assert environment["BOOTSTRAP_KEY"] == SECRETS["bootstrap_key"]
    assert environment["AUTH"] == "on"
    assert function["Architectures"] == ["arm64"]
    assert address["AuthType"] == "AWS_IAM"
    assert described(stack.aws, "task-tracker-preview-42") == described(stack.aws, TABLE)
    role = stack.aws.client("iam").get_role(RoleName="task-tracker-preview-42")["Role"]
    boundary = role["PermissionsBoundary"]["PermissionsBoundaryArn"]
    assert boundary.endswith(":policy/task-tracker-preview-boundary")
    preview.destroy(*said)
    assert preview.resources() == []
    assert functions.list_functions()["Functions"] == []


def test_a_public_preview_asks_for_keys(stack: Stack, tmp_path: Path) -> None:
    """Its address needs no signature, and the app asks as ever; the other one stays signed."""
    package = make("arm64", tmp_path)
    preview = stack.roots["preview"]
    said = [*preview_variables(package), "-var=public=true"]
    preview.apply(*said)
    assert preview.changes(*said) == []
    functions = stack.aws.client("lambda")
    function = functions.get_function(FunctionName="task-tracker-preview-42")["Configuration"]
    assert function["Environment"]["Variables"]["AUTH"] == "on"
    (api,) = stack.aws.client("apigatewayv2").get_apis()["Items"]
    assert preview.outputs()["url"].startswith(f"https://{api['ApiId']}.")
    address = functions.get_function_url_config(FunctionName="task-tracker-preview-42")
    assert address["AuthType"] == "AWS_IAM"
    preview.destroy(*said)
    assert stack.aws.client("apigatewayv2").get_apis()["Items"] == []


# The end


def test_a_protected_table_is_not_destroyed(end: End) -> None:
    """Until an apply of its own has said so."""
    assert "DeletionProtectionEnabled" in end.refusal
    assert end.kept == [TABLE]


def test_nothing_is_left_over(end: End) -> None:
    """But what bootstrap made."""
    assert end.left_over == []
