"""Everything that rules, dashboards and Grafana's alerting ask Prometheus, as it is shipped."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser
import yaml

from tests.support import stack
from tests.support.processes import ROOT

GRAFANA = ROOT / "monitoring" / "grafana"
GRAFANA_RULES = GRAFANA / "provisioning" / "alerting" / "rules.yaml"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
# What Grafana puts into a query: four scrapes for the window of a rate, all values of a variable.
VARIABLES = {"$__rate_interval": "1m", "$route": ".*", "$operation": ".*"}


class Question(NamedTuple):
    """An expression, and where it stands."""

    place: str
    expression: str
    legend: str = ""


Rule = dict[str, Any]


def rules(path: Path) -> list[Rule]:
    """Read the rules of all groups in a file, Prometheus' or Grafana's."""
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def dashboard(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def of_panels() -> Iterator[Question]:
    """Ask what each panel asks, with Grafana's variables filled in."""
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel["targets"]:
                place = f"{path.stem}: {panel['title']}"
                yield Question(place, filled_in(target["expr"]), target["legendFormat"])


def of_annotations() -> Iterator[Question]:
    for path in DASHBOARDS:
        for annotation in dashboard(path)["annotations"]["list"]:
            yield Question(f"{path.stem}: {annotation['name']}", annotation["expr"])


def of_rules() -> Iterator[Question]:
    """Ask what each rule of the sidecar asks."""
    for path in stack.rule_files():
        for rule in rules(path):
            yield Question(rule.get("record") or rule["alert"], rule["expr"])


def of_grafana() -> Iterator[Question]:
    """Ask what Grafana's own alert rules ask."""
    for rule in rules(GRAFANA_RULES):
        for query in rule["data"]:
            yield Question(rule["title"], query["model"]["expr"])


def panels(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(path)["panels"] if panel["type"] != "row"]


def filled_in(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def selectors(expression: str) -> dict[str, str]:
    """Find every series that an expression asks for: the selector, and the name of its metric."""
    found: dict[str, str] = {}

    def note(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found[node.prettify()] = node.name or ""

    promql_parser.walk(promql_parser.parse(expression), note)
    return found
