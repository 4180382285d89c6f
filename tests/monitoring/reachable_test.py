"""The alerts on saturation can fire with the ECS task's size in each environment of Terraform."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from api.local.processes import ROOT
from monitoring import local_stack
from tests.monitoring.rules_test import promtool
from tests.support.promql_queries import rules

TERRAFORM = ROOT / "terraform"
RULES = local_stack.CONFIGURATION / "rules" / "saturation.yaml"
ENVIRONMENTS = sorted((TERRAFORM / "environments").glob("*.tfvars"))
# What Prometheus and node-exporter may need of a CPU; `make stack-test` compares it with their use.
SIDECAR_CPUS = 0.03
MINUTES = 30


class Size(NamedTuple):
    """The size of the ECS task, with its memory in MiB."""

    vcpus: float
    memory: float

    @classmethod
    def of(cls, environment: Path) -> "Size":
        """Read an environment's size: its own values, or the variables' defaults."""
        values = _defaults() | dict(
            re.findall(r"^(\w+)\s*=\s*(.+)$", environment.read_text(), re.MULTILINE)
        )
        return cls(float(values["task_vcpus"]), float(values["task_memory_mib"]))

    def series(self, share: float) -> dict[str, str]:
        """Return the series of an ECS task that uses a share of what it has."""
        used_cpus, used_memory = share * self.vcpus, share * self.memory
        api_cpus = share * min(1, self.vcpus - SIDECAR_CPUS)
        return {
            'task_cpu_limit_cores{job="api"}': f"{self.vcpus}x{MINUTES}",
            'task_memory_limit_bytes{job="api"}': f"{self.memory}x{MINUTES}",
            'process_cpu_seconds_total{job="api"}': f"0+{60 * api_cpus}x{MINUTES}",
            # The host is four times as large.
            'node_cpu_seconds_total{job="node", mode="user"}': f"0+{60 * used_cpus}x{MINUTES}",
            'node_memory_MemTotal_bytes{job="node"}': f"{4 * self.memory}x{MINUTES}",
            'node_memory_MemAvailable_bytes{job="node"}': (
                f"{4 * self.memory - used_memory}x{MINUTES}"
            ),
        }


def _defaults() -> dict[str, str]:
    text = (TERRAFORM / "variables.tf").read_text()
    return dict(
        re.findall(r'^variable "(\w+)" \{\n(?:.+\n)*?  default +=\ (.+)$', text, re.MULTILINE)
    )


def _alerts_on_size() -> set[str]:
    """Name the alerts whose expression, or what it records, refers to the ECS task's size."""
    recorded = {rule["record"]: rule["expr"] for rule in rules(RULES) if "record" in rule}
    sized = {name for name, expression in recorded.items() if "_limit_" in expression}
    return {
        rule["alert"]
        for rule in rules(RULES)
        if "alert" in rule and any(name in rule["expr"] for name in sized)
    }


def _rule_test(size: Size, share: float, firing: set[str]) -> dict[str, Any]:
    """Return a test that exactly these alerts fire while a share of the size is in use."""
    return {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": name, "values": values}
                    for name, values in size.series(share).items()
                ],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": f"{MINUTES - 5}m",
                        "exp_samples": [
                            {"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing
                        ],
                    }
                ],
            }
        ],
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda path: path.stem)
@pytest.mark.parametrize(("share", "fire"), [(1, True), (0.7, False)])
def test_the_alerts_on_size_fire_at_the_limit_and_not_at_70_percent(
    environment: Path, share: float, fire: bool, tmp_path: Path
) -> None:
    """Also with the CPU that the sidecars leave to the API."""
    firing = _alerts_on_size() if fire else set()
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(_rule_test(Size.of(environment), share, firing)))
    promtool("test", "rules", path)


def test_the_sizes_and_the_alerts_are_found() -> None:
    """Dev has a size of its own, production the defaults."""
    sizes = {path.stem: Size.of(path) for path in ENVIRONMENTS}
    assert sizes == {"dev": Size(0.25, 1024), "production": Size(0.5, 1024)}
    assert _alerts_on_size() == {"TaskCPUHigh", "TaskMemoryHigh", "EventLoopBusy"}
