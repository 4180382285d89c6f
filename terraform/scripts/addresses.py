"""Print where the running tasks answer: `addresses.py CLUSTER`, with AWS credentials.

A task's public address changes with every deployment, so it is looked up, not remembered.
"""

import sys
from collections.abc import Iterator
from typing import Any

import boto3

PORTS = {"task": 8000, "grafana": 3000}


def addresses(cluster: str, session: Any) -> Iterator[tuple[str, str]]:
    """Find each running task's family, without the cluster's name, and its public address."""
    ecs, ec2 = session.client("ecs"), session.client("ec2")
    arns = ecs.list_tasks(cluster=cluster, desiredStatus="RUNNING")["taskArns"]
    tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    for task in tasks:
        family = task["taskDefinitionArn"].rpartition("/")[2].partition(":")[0]
        for interface in _interfaces(task):
            yield family.removeprefix(f"{cluster}-"), _public_address(ec2, interface)


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
    found = sorted(addresses(sys.argv[1], boto3.Session()))
    if not found:
        sys.exit(f"No task runs in {sys.argv[1]}.")
    for family, address in found:
        print(f"{family}=http://{address}:{PORTS[family]}")


if __name__ == "__main__":
    main()
