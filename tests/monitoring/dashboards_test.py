"""The dashboards and Grafana's provisioning match their sources, the metrics and each other."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.backlog.metrics import BacklogMetrics
from api.clock import system_clock
from api.local.processes import ROOT
from api.metrics import Metrics
from monitoring import RUNBOOK, local_stack
from monitoring.grafana import dashboards
from monitoring.grafana.panels import COLUMNS, DATASOURCE
from tests.support import promql_queries
from tests.support.promql_queries import DASHBOARDS, GRAFANA, Query

EACH_DASHBOARD = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
# Metrics of other programs; the stack test finds series for each selector.
FOREIGN = re.compile(r"node_\w+|prometheus_\w+|process_\w+|up|ALERTS")


def test_committed_dashboards_are_up_to_date() -> None:
    """`make dashboards` would not change them."""
    rendered = {f"{each.uid}.json": dashboards.render(each) for each in dashboards.DASHBOARDS}
    assert {path.name: path.read_text() for path in DASHBOARDS} == rendered


@EACH_DASHBOARD
def test_panels_do_not_overlap(path: Path) -> None:
    """Each panel has its own cells within the grid's columns."""
    places = [panel["gridPos"] for panel in promql_queries.dashboard(path)["panels"]]
    cells = [
        (place["x"] + column, place["y"] + row)
        for place in places
        for column in range(place["w"])
        for row in range(place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(column for column, _ in cells) < COLUMNS


@EACH_DASHBOARD
def test_descriptions_of_panels_name_runbook_entries(path: Path) -> None:
    """The description of a panel with an alert ends with the alert's entry."""
    headings = re.findall(r"^## (\w+)$", (ROOT / "monitoring/runbook.md").read_text(), re.MULTILINE)
    entries = {f"{RUNBOOK}#{heading.lower()}" for heading in headings}
    for panel in promql_queries.panels(path):
        assert set(re.findall(r"Runbook: (\S+)", panel["description"])) <= entries


@EACH_DASHBOARD
def test_the_link_to_other_dashboards_keeps_the_time_range(path: Path) -> None:
    """Otherwise the next dashboard would show another time."""
    assert [link["keepTime"] for link in promql_queries.dashboard(path)["links"]] == [True]


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"RUNBOOK_URL": "https://wiki.example/a?b=1&c=2"}, "https://wiki.example/a?b=1&c=2"),
        ({}, RUNBOOK),
    ],
    ids=["address", "none"],
)
def test_grafana_starts_with_the_runbooks_address(
    tmp_path: Path, settings: dict[str, str], address: str
) -> None:
    """start.sh fills it into a copy of the dashboards; without one they name the file."""
    script = (GRAFANA / "start.sh").read_text()
    run = tmp_path / "run.sh"
    run.write_text("#!/bin/sh\necho started")
    run.chmod(0o755)
    script = script.replace("/etc/grafana", str(GRAFANA)).replace("/run.sh", str(run))
    script = script.replace("/tmp/dashboards", f"{tmp_path}/dashboards")  # noqa: S108
    environment = {"PATH": os.environ["PATH"], **settings}
    output = subprocess.check_output(["sh", "-c", script], env=environment, text=True)
    assert output == "started\n"
    for source in DASHBOARDS:
        written = promql_queries.panels(tmp_path / "dashboards" / source.name)
        for before, after in zip(promql_queries.panels(source), written, strict=True):
            assert after["description"] == before["description"].replace(RUNBOOK, address)


def _rules_of_both_backends() -> list[dict[str, Any]]:
    files = set(local_stack.rule_files()) & set(promql_queries.amp_rule_files())
    return [rule for path in files for rule in promql_queries.rules(path)]


def _known_names() -> set[str]:
    """Name every series that the API exports or a rule records, with both backends."""
    metrics = Metrics("dev")
    backlog = BacklogMetrics(metrics.registry, system_clock)
    families = list(metrics.registry.collect())
    names = {sample.name for family in families for sample in family.samples}
    names |= {family.name for family in backlog.describe()}
    for family in families:
        names |= {f"{family.name}{suffix}" for suffix in ("_total", "_bucket", "_count", "_sum")}
    return names | {rule["record"] for rule in _rules_of_both_backends() if "record" in rule}


@pytest.mark.parametrize(
    "query", list(promql_queries.of_dashboards()), ids=lambda query: query.source
)
def test_a_query_parses_and_uses_existing_metrics(query: Query) -> None:
    """Each name is a metric or a recorded series, and the tests know every Grafana variable."""
    assert "$" not in query.expression
    names = set(promql_queries.selectors(query.expression).values())
    assert names
    assert {name for name in names if not FOREIGN.fullmatch(name)} <= _known_names()


PROVISIONING = sorted(GRAFANA.glob("provisioning*/*/*.yaml"))


def _prometheus(directory: str) -> dict[str, Any]:
    """Return the data source of the dashboards in a provisioning directory."""
    document = yaml.safe_load((GRAFANA / directory / "datasources/prometheus.yaml").read_text())
    (source,) = document["datasources"]
    found: dict[str, Any] = source
    return found


def test_the_environment_variables_of_the_provisioning_are_documented() -> None:
    """docs/monitoring.md has a row for each, for start.sh's and for the password."""
    used = {name for path in PROVISIONING for name in re.findall(r"\$(\w+)", path.read_text())}
    rows = re.findall(
        r"^\| `([A-Z_]+)` \|", (ROOT / "docs/monitoring.md").read_text(), re.MULTILINE
    )
    assert set(rows) == used | {"RUNBOOK_URL", "GF_SECURITY_ADMIN_PASSWORD"}


@pytest.mark.parametrize("directory", ["provisioning", "provisioning-amp"])
def test_panels_use_the_provisioned_data_source(directory: str) -> None:
    """Its address comes from the environment, its scrape interval is Prometheus'."""
    source = _prometheus(directory)
    assert source["uid"] == DATASOURCE["uid"]
    assert source["url"] == "$PROMETHEUS_URL"
    configuration = yaml.safe_load((local_stack.CONFIGURATION / "prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == configuration["global"]["scrape_interval"]


# The fields that Grafana's loaders read: pkg/services/provisioning, datasources/types.go and
# dashboards/types.go. They ignore all others.
FIELDS = {
    "datasources": "name uid type access url isDefault editable jsonData",
    "dashboards": "name folder type disableDeletion allowUiUpdates updateIntervalSeconds options",
}


@pytest.mark.parametrize("path", PROVISIONING, ids=str)
def test_provisioning_has_only_fields_that_grafana_reads(path: Path) -> None:
    """A misspelt field would be ignored without an error."""
    document = yaml.safe_load(path.read_text())
    assert document.pop("apiVersion") == 1
    (entries,) = document.values()
    for entry in entries:
        assert set(entry) <= set(FIELDS[path.parent.name].split())


def test_dashboards_are_checked_with_the_types_of_the_grafana_that_ships() -> None:
    """A new Grafana needs the schema of its version in tests/lint."""
    (version,) = re.findall(
        r"^FROM grafana/grafana:([\d.]+)@", (GRAFANA / "Dockerfile").read_text(), re.MULTILINE
    )
    packages = json.loads((ROOT / "tests/lint/package.json").read_text())["devDependencies"]
    assert packages["@grafana/schema"] == version


def test_grafana_downloads_nothing() -> None:
    """Otherwise its updater would remove the data source from a read-only image."""
    settings = (GRAFANA / "Dockerfile").read_text()
    assert "GF_PLUGINS_PREINSTALL_DISABLED=true" in settings
    (disabled,) = re.findall(r"GF_PLUGINS_DISABLE_PLUGINS=(\S+)", settings)
    types = {
        source["type"]
        for path in (GRAFANA / "provisioning/datasources").glob("*.yaml")
        for source in yaml.safe_load(path.read_text())["datasources"]
    }
    assert types == {"prometheus", "alertmanager"}
    assert not types & set(disabled.split(","))


def test_the_data_source_of_amp_differs_in_its_plugin_and_signature_only() -> None:
    """Dashboards find the same name, uid and settings; the image has the plugin, pinned."""
    sidecar, amp = _prometheus("provisioning"), _prometheus("provisioning-amp")
    plugin = amp.pop("type")
    settings = amp.pop("jsonData")
    assert settings == sidecar.pop("jsonData") | {
        "manageAlerts": False,
        "sigV4Auth": True,
        "sigV4AuthType": "default",
        "sigV4Region": "$AWS_REGION",
    }
    assert sidecar.pop("type") == "prometheus"
    assert amp == sidecar
    dockerfile = (GRAFANA / "Dockerfile").read_text()
    assert re.search(rf"plugins install {plugin} \d+\.\d+\.\d+$", dockerfile, re.MULTILINE)


@EACH_DASHBOARD
def test_stats_are_instant_queries(path: Path) -> None:
    """A stat shows the current value; a range query would return all earlier ones too."""
    for panel in promql_queries.panels(path):
        stat = panel["type"] == "stat"
        assert {target["instant"] for target in panel["targets"]} == {stat}
