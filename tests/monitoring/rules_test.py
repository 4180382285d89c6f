"""Prometheus' configuration and rules, checked with promtool."""

import re
import subprocess
from dataclasses import astuple
from pathlib import Path

import pytest
import yaml

from api.local.processes import ROOT
from monitoring import local_stack
from monitoring.prometheus import slo
from tests.support.promql_queries import Rule, amp_rule_files, rules
from tests.support.require_tool import require_tool

PARAMETER_BYTES = 4096  # the size limit of a standard SSM parameter
# Found by path, so that a file that the configuration does not load is tested too.
RULE_FILES = sorted(
    path
    for path in local_stack.CONFIGURATION.glob("*/*.yaml")
    if not path.name.endswith("_test.yaml")
)
RUNBOOK = (ROOT / "monitoring/runbook.md").read_text()
# Entries by heading; a heading with spaces is no alert's.
ENTRIES = dict(re.findall(r"^## (\w+)$(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
EACH_FILE = pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.stem)


def alerts(path: Path) -> list[Rule]:
    return [rule for rule in rules(path) if "alert" in rule]


ALERTS = [
    pytest.param(alert, id=f"{alert['alert']}-{alert['labels'].get('window', '')}")
    for path in RULE_FILES
    for alert in alerts(path)
]


def rule_test(path: Path) -> Path:
    return path.with_name(f"{path.stem}_test.yaml")


def promtool(*arguments: str | Path) -> str:
    """Run promtool, and fail with its output."""
    require_tool("promtool", package="prometheus")
    run = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    output = run.stdout + run.stderr
    assert run.returncode == 0, f"promtool {' '.join(map(str, arguments))}\n{output}"
    return output


def test_promtool_accepts_the_configuration() -> None:
    """The deployed configuration is valid, and so is each rule file that it loads."""
    output = promtool("check", "config", local_stack.CONFIGURATION / "prometheus.yml")
    assert f"{len(local_stack.rule_files())} rule files found" in output


@EACH_FILE
def test_rules_pass_their_rule_test(path: Path) -> None:
    """Alerts fire and stay silent as the promtool test next to the rules states."""
    promtool("check", "rules", path)
    promtool("test", "rules", rule_test(path))


def test_committed_slo_rules_are_up_to_date() -> None:
    """`make dashboards` would not change them."""
    assert {path: path.read_text() for path in slo.files()} == slo.files()


def test_every_rule_file_is_loaded_by_the_sidecar_or_amp() -> None:
    """Amazon Managed Service for Prometheus loads long-lived/, too, and nothing of itself."""
    sidecar, amp = set(local_stack.rule_files()), set(amp_rule_files())
    assert {path.parent.name for path in sidecar} == {"rules"}
    assert {path.parent.name for path in amp - sidecar} == {"long-lived"}
    assert {path.name for path in sidecar - amp} == {"sidecar.yaml"}
    assert sidecar | amp == set(RULE_FILES)


@EACH_FILE
def test_a_rule_file_has_one_group_with_its_name(path: Path) -> None:
    """CloudWatch names the group of a failing rule, and the alarm is on the file's name."""
    assert [group["name"] for group in yaml.safe_load(path.read_text())["groups"]] == [path.stem]


def test_only_rules_about_the_sidecar_use_its_rule_evaluation() -> None:
    """In AMP it would have no data, because the sidecar evaluates nothing."""
    using = {
        path.name
        for path in RULE_FILES
        for rule in rules(path)
        if "prometheus_rule_" in rule["expr"]
    }
    assert using == {"sidecar.yaml"}


@EACH_FILE
def test_a_rule_test_covers_firing_and_silence_of_every_alert(path: Path) -> None:
    """Each alert is expected to fire with its labels in one case, and not to fire in another."""
    cases = [
        (case["alertname"], expected.get("exp_labels"))
        for test in yaml.safe_load(rule_test(path).read_text())["tests"]
        for case in test.get("alert_rule_test", [])
        for expected in case["exp_alerts"] or [{}]
    ]
    for alert in alerts(path):
        name, labels = alert["alert"], alert["labels"].items()
        firing = [seen for tested, seen in cases if tested == name and seen]
        assert any(labels <= seen.items() for seen in firing), f"{name} never fires"
        assert (name, None) in cases or name == "Watchdog", f"{name} is never silent"


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_severity_texts_and_a_runbook_entry(alert: Rule) -> None:
    """The entry states the meaning, the impact, what to check and what to do."""
    assert alert["labels"]["severity"] in {"page", "ticket", "none"}
    assert {"summary", "description", "runbook_url"} == set(alert["annotations"])
    address, anchor = alert["annotations"]["runbook_url"].split("#")
    assert address == "{{ $externalLabels.runbook }}"
    assert anchor == alert["alert"].lower()
    parts = re.findall(r"^- \*\*(\w+):\*\*", ENTRIES[alert["alert"]], re.MULTILINE)
    assert parts == ["Meaning", "Impact", "Check", "Action"]


STATES = {"ApiDown", "TargetDown", "RuleFailing", "ContainerKilledForMemory", "Watchdog"}


@pytest.mark.parametrize("alert", ALERTS)
def test_a_summary_has_the_value(alert: Rule) -> None:
    """Except where the alert is about a state, whose value says nothing."""
    assert ("$value" in alert["annotations"]["summary"]) == (alert["alert"] not in STATES)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_page_keeps_firing_for_a_while(alert: Rule) -> None:
    """Otherwise what ends and begins again within minutes would page each time."""
    page = alert["labels"]["severity"] == "page"
    assert alert.get("keep_firing_for") == ("5m" if page else None)


def test_every_runbook_entry_belongs_to_an_alert() -> None:
    """Nothing else sends alerts."""
    assert set(ENTRIES) == {alert["alert"] for path in RULE_FILES for alert in alerts(path)}


def test_the_configuration_fits_into_ssm_parameters() -> None:
    """The configuration is stored as it is, each rule file compressed."""
    configuration = (local_stack.CONFIGURATION / "prometheus.yml").read_bytes()
    sizes = {"prometheus.yml": len(configuration)}
    sizes |= {path.name: len(local_stack.packed(path)) for path in local_stack.rule_files()}
    print(sizes)
    assert max(sizes.values()) <= PARAMETER_BYTES


def test_the_documented_burn_rates_are_those_of_the_rules() -> None:
    """docs/monitoring.md lists the windows, factors, minimum requests, waits and severities."""
    documented = re.findall(
        r"^\| (\d\w) \| (\d+\w) \| ([\d.]+) \| (\d+) \| (\d+\w) \| (\w+) \|",
        (ROOT / "docs/monitoring.md").read_text(),
        re.MULTILINE,
    )
    generated = [tuple(map(str, astuple(burn))) for burn in (*slo.SIDECAR, *slo.LONG_LIVED)]
    assert documented == generated
