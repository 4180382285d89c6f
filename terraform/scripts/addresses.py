"""Print the public addresses of the running ECS tasks: `addresses.py CLUSTER`.

It needs AWS credentials and .venv/bin/python. The addresses change with every deployment.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# These scripts run by path, so the repository is not on Python's path.
sys.path.insert(0, str(Path(__file__).parents[2]))

from terraform.scripts import aws

PORTS = {"task": 8000, "grafana": 3000}


def addresses(cluster: str) -> Iterator[tuple[str, str]]:
    """Find the family, without the cluster's name, and the URL of each running ECS task."""
    ecs, ec2 = aws.client("ecs"), aws.client("ec2")
    arns = ecs.list_tasks(cluster=cluster, desiredStatus="RUNNING")["taskArns"]
    tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    for task in tasks:
        family = task["taskDefinitionArn"].rpartition("/")[2].partition(":")[0]
        name = family.removeprefix(f"{cluster}-")
        scheme = _scheme(ecs, task)
        for interface in _interfaces(task):
            yield name, f"{scheme}://{_public_address(ec2, interface)}:{PORTS[name]}"


def _scheme(ecs: Any, task: dict[str, Any]) -> str:
    """Return https if a container receives a certificate."""
    found = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])
    containers = found["taskDefinition"]["containerDefinitions"]
    secrets = [secret["name"] for each in containers for secret in each.get("secrets", [])]
    return "https" if "TLS_CERTIFICATE" in secrets else "http"


def _interfaces(task: dict[str, Any]) -> Iterator[str]:
    for attachment in task["attachments"]:
        for detail in attachment["details"]:
            if detail["name"] == "networkInterfaceId":
                yield detail["value"]


def _public_address(ec2: Any, interface: str) -> str:
    (found,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    address: str = found["Association"]["PublicIp"]
    return address


def main() -> None:
    found = sorted(addresses(sys.argv[1]))
    if not found:
        sys.exit(f"No ECS task is running in cluster {sys.argv[1]}.")
    for name, url in found:
        print(f"{name}={url}")


if __name__ == "__main__":
    main()
