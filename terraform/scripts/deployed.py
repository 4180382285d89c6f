"""The variables whose values only the last deployment knew, read from what ECS runs."""

from typing import Any

VERSIONS = ("secrets_version", "bootstrap_key_version", "tls_version")


def deployed_variables(ecs: Any, name: str) -> dict[str, str]:
    """Return images, versions of secrets and the runbook's address of the stack of this name."""
    task = _containers(ecs, name, "task")
    versions = _value(task["api"], "SECRETS_VERSION").split(".")
    return {
        "api_image": task["api"]["image"],
        "grafana_image": _containers(ecs, name, "grafana")["grafana"]["image"],
        "runbook_url": _value(task["prometheus"], "RUNBOOK_URL"),
        **dict(zip(VERSIONS, versions, strict=True)),
    }


def _containers(ecs: Any, name: str, service: str) -> dict[str, dict[str, Any]]:
    """Return the containers that a service runs, by name."""
    found = ecs.describe_services(cluster=name, services=[f"{name}-{service}"])["services"]
    definition = ecs.describe_task_definition(taskDefinition=found[0]["taskDefinition"])
    containers = definition["taskDefinition"]["containerDefinitions"]
    return {each["name"]: each for each in containers}


def _value(container: dict[str, Any], variable: str) -> str:
    values = {each["name"]: each["value"] for each in container["environment"]}
    return str(values[variable])
