"""The scripts beside Terraform: addresses and costs."""

import os
import subprocess
import sys

from tests.infra.conftest import Stack
from tests.infra.terraform import REGION
from tests.support.processes import ROOT

SCRIPTS = ROOT / "terraform" / "scripts"


def script(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPTS / name, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def addresses(stack: Stack) -> subprocess.CompletedProcess[str]:
    return script(
        "addresses.py",
        stack.outputs["cluster"],
        AWS_ENDPOINT_URL=stack.aws.url,
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_DEFAULT_REGION=REGION,
    )


def test_the_address_of_a_running_task_is_printed(stack: Stack) -> None:
    """By what runs, with its port; where nothing runs, that is said."""
    nothing = addresses(stack)
    assert nothing.returncode == 1
    assert "No task runs in task-tracker" in nothing.stderr
    ecs, ec2 = stack.aws.client("ecs"), stack.aws.client("ec2")
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
    # moto gives tasks no public address by itself.
    address = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=interface)
    try:
        assert addresses(stack).stdout == f"task=http://{address['PublicIp']}:8000\n"
    finally:
        ecs.stop_task(cluster="task-tracker", task=task["taskArn"])


def test_the_documented_costs_are_those_of_the_script() -> None:
    """No figure is written by hand."""
    assert script("cost.py").stdout in (ROOT / "docs/operations.md").read_text()
