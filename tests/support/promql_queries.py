"""The PromQL of rules and dashboards, as deployed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser
import yaml

from api.local.processes import ROOT
from monitoring import local_stack

GRAFANA = ROOT / "monitoring" / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
# Grafana's variables: the window of a rate is four scrapes, a filter selects all values.
VARIABLES = {"$__rate_interval": "1m", "$route": ".*", "$operation": ".*"}


class Query(NamedTuple):
    """An expression and its source."""

    source: str
    expression: str


Rule = dict[str, Any]


def amp_rule_files() -> list[Path]:
    """Return the rule files that Amazon Managed Service for Prometheus evaluates."""
    return sorted(
        path
        for path in local_stack.CONFIGURATION.glob("*/*.yaml")
        if not path.name.endswith("_test.yaml") and path.name != "sidecar.yaml"
    )


def rules(path: Path) -> list[Rule]:
    """Read the rules of all groups in a rule file."""
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def dashboard(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def panels(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(path)["panels"] if panel["type"] != "row"]


def of_dashboards() -> Iterator[Query]:
    """Return the queries of panels and annotations."""
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel["targets"]:
                yield Query(f"{path.stem}: {panel['title']}", filled_in(target["expr"]))
        for annotation in dashboard(path)["annotations"]["list"]:
            yield Query(f"{path.stem}: {annotation['name']}", annotation["expr"])


def of_rules() -> Iterator[Query]:
    """Return the expressions of the sidecar's rules."""
    for path in local_stack.rule_files():
        for rule in rules(path):
            yield Query(rule.get("record") or rule["alert"], rule["expr"])


def filled_in(expression: str) -> str:
    """Replace Grafana's variables."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def selectors(expression: str) -> dict[str, str]:
    """Map each selector of an expression to its metric name."""
    found: dict[str, str] = {}

    def collect(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found[node.prettify()] = node.name or ""

    promql_parser.walk(promql_parser.parse(expression), collect)
    return found
