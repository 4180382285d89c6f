"""The actions that calls need, and those that the policies of GitHub's roles allow."""

from typing import Any, NamedTuple, Self

from tests.infra.aws_proxy import Call

# The service as signatures name it, where IAM names it otherwise.
SERVICES = {"monitoring": "cloudwatch"}
# Actions whose name is not that of the call, in AWS's service authorization reference.
ACTIONS = {
    ("s3", "HeadObject"): "s3:GetObject",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
}
# Calls that need no permission.
FREE = {("sts", "GetCallerIdentity")}

# What no recorded call shows, by role, and where it comes from.
UNRECORDED = {
    "deploy": {
        # "Actions defined by AWS Cloud Map": CreatePrivateDnsNamespace and DeleteNamespace act on a
        # hosted zone of Route 53 and read the VPC and its region on behalf of the caller.
        "ec2:DescribeRegions",
        "route53:CreateHostedZone",
        "route53:DeleteHostedZone",
        "route53:GetHostedZone",
        "route53:ListHostedZonesByName",
        # "Actions defined by AWS Elastic Load Balancing V2": creating a load balancer.
        "ec2:DescribeAccountAttributes",
        "ec2:DescribeInternetGateways",
        # "Actions defined by AWS Certificate Manager": requesting a certificate with tags.
        "acm:AddTagsToCertificate",
        # Service-linked roles of ECS, its autoscaling and load balancers: the first in an account.
        "iam:CreateServiceLinkedRole",
        # Passing a role is a permission without a call.
        "iam:PassRole",
        # The VPC gets another route table. moto cannot delete the endpoint after that.
        "ec2:ModifyVpcEndpoint",
        # The provider removes the addresses of ECS tasks that have not stopped yet; moto has none.
        "servicediscovery:DeregisterInstance",
        # docker and skopeo push the images.
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
        # moto lacks budgets. "Actions defined by AWS Budget Service".
        "budgets:ListTagsForResource",
        "budgets:ModifyBudget",
        "budgets:TagResource",
        "budgets:UntagResource",
        "budgets:ViewBudget",
        # terraform/scripts/addresses.py prints the addresses.
        "ec2:DescribeNetworkInterfaces",
        "ecs:DescribeTasks",
        "ecs:ListTasks",
    },
    "drift": {
        # moto lacks budgets. The actions are those of the deploying role that read.
        "budgets:ListTagsForResource",
        "budgets:ViewBudget",
    },
    "preview": {
        "iam:PassRole",
        # make smoke signs its requests: a function URL needs both.
        "lambda:InvokeFunction",
        "lambda:InvokeFunctionUrl",
    },
}


def needed_by_terraform(role: str, calls: set[Call]) -> set[str]:
    """Return the actions that a role needs."""
    return {_action(call) for call in calls - FREE} | UNRECORDED[role]


def _action(call: Call) -> str:
    service, operation = call
    return ACTIONS.get(call, f"{SERVICES.get(service, service)}:{operation}")


class Policies(NamedTuple):
    """The statements of each role's inline policies."""

    statements: dict[str, list[dict[str, Any]]]

    @classmethod
    def read(cls, iam: Any) -> Self:
        return cls({role["RoleName"]: _statements(iam, role) for role in iam.list_roles()["Roles"]})

    def actions(self, role: str) -> set[str]:
        actions: set[str] = set()
        for statement in self.statements[role]:
            action = statement["Action"]
            actions.update([action] if isinstance(action, str) else action)
        return actions


def _statements(iam: Any, role: dict[str, Any]) -> list[dict[str, Any]]:
    names = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    return [
        statement
        for name in names
        for statement in iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)[
            "PolicyDocument"
        ]["Statement"]
    ]
