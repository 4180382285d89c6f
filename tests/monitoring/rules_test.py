"""Prometheus' configuration and rules: what promtool says, and what a rule must have."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support import stack
from tests.support.presence import need
from tests.support.processes import ROOT
from tests.support.questions import Rule, rules

# What a standard parameter of SSM holds.
PARAMETER_BYTES = 4096
# The tests find out themselves what is a rule file, whether anything names it or not.
RULE_FILES = sorted(
    path for path in stack.CONFIGURATION.glob("*/*.yaml") if not path.name.endswith("_test.yaml")
)
RUNBOOK = (ROOT / "monitoring/runbook.md").read_text()
SEVERITIES = {"page", "ticket", "none"}


def alerts(path: Path) -> list[Rule]:
    return [rule for rule in rules(path) if "alert" in rule]


ALERTS = [
    pytest.param(alert, id=f"{alert['alert']}-{alert['labels'].get('window', '')}")
    for path in RULE_FILES
    for alert in alerts(path)
]


def twin(path: Path) -> Path:
    return path.with_name(f"{path.stem}_test.yaml")


def promtool(*arguments: str | Path) -> str:
    """Run promtool, and fail with its own words."""
    need("promtool", package="prometheus")
    run = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    output = run.stdout + run.stderr
    assert run.returncode == 0, f"promtool {' '.join(map(str, arguments))}\n{output}"
    return output


def test_prometheus_takes_the_configuration() -> None:
    """The shipped file with the rules that it names."""
    output = promtool("check", "config", stack.CONFIGURATION / "prometheus.yml")
    assert f"{len(stack.rule_files())} rule files found" in output


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.stem)
def test_rules_do_what_their_twin_says(path: Path) -> None:
    """What fires and what stays silent, on series that were made up for it."""
    promtool("check", "rules", path)
    promtool("test", "rules", twin(path))


def test_a_broken_rule_is_named_in_promtools_words(tmp_path: Path) -> None:
    """File, rule and reason: nobody has to guess."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("groups: [{name: g, rules: [{alert: A, expr: 'rate(x)'}]}]")
    with pytest.raises(AssertionError, match=r"broken\.yaml[\s\S]*expected type range vector"):
        promtool("check", "rules", broken)


def test_every_rule_file_is_the_sidecars_or_the_long_lived_backends() -> None:
    """A file that nothing loads would never fire."""
    sidecar = set(stack.rule_files())
    assert {path.parent.name for path in sidecar} == {"rules"}
    assert {path.parent.name for path in set(RULE_FILES) - sidecar} == {"long-lived"}


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.stem)
def test_the_twin_tries_both_sides_of_every_alert(path: Path) -> None:
    """Each is seen firing, by its labels, and each is seen silent."""
    tried = [
        (case["alertname"], expected.get("exp_labels"))
        for test in yaml.safe_load(twin(path).read_text())["tests"]
        for case in test.get("alert_rule_test", [])
        for expected in case["exp_alerts"] or [{}]
    ]
    for alert in alerts(path):
        labels = alert["labels"].items()
        firing = [seen for name, seen in tried if name == alert["alert"] and seen]
        assert any(labels <= seen.items() for seen in firing), f"{alert['alert']} never fires"
        silent = (alert["alert"], None) in tried or alert["alert"] == "Watchdog"
        assert silent, f"{alert['alert']} is never silent"


def test_recordings_over_several_windows_differ_in_nothing_else() -> None:
    """The tests of one window are tests of all."""
    families: dict[str, set[str]] = {}
    for path in RULE_FILES:
        for rule in rules(path):
            if match := re.fullmatch(r"job:slo_.*rate(\d+[mhd])", rule.get("record", "")):
                window = rf"(rate|\[){match[1]}\b"
                name = re.sub(window, r"\1W", rule["record"])
                expression = re.sub(window, r"\1W", rule["expr"])
                families.setdefault(name, set()).add(expression)
    assert {len(expressions) for expressions in families.values()} == {1}
    assert len(families) == 4


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_is_wrong_and_what_to_do(alert: Rule) -> None:
    """Severity, summary, description, and a heading of the runbook."""
    assert alert["labels"]["severity"] in SEVERITIES
    assert {"summary", "description", "runbook_url"} == set(alert["annotations"])
    address, anchor = alert["annotations"]["runbook_url"].split("#")
    assert address.endswith("/monitoring/runbook.md")
    assert anchor == alert["alert"].lower()
    assert f"\n## {alert['alert']}\n" in RUNBOOK


def test_the_runbook_has_no_heading_for_what_is_no_alert() -> None:
    """An alert that went away takes its heading along."""
    headings = set(re.findall(r"^## ([A-Z]\w+)$", RUNBOOK, re.MULTILINE))
    named = {alert["alert"] for path in RULE_FILES for alert in alerts(path)}
    assert headings == named | {"PrometheusUnreachable"}


def test_the_configuration_fits_into_parameters() -> None:
    """As it is, and each rule file as its parameter holds it."""
    configuration = (stack.CONFIGURATION / "prometheus.yml").read_bytes()
    sizes = {"prometheus.yml": len(configuration)}
    sizes |= {path.name: len(stack.packed(path)) for path in stack.rule_files()}
    print(sizes)
    assert max(sizes.values()) <= PARAMETER_BYTES


def budgets() -> list[tuple[str, ...]]:
    """Read the documented windows, factors, guards and waits."""
    table = (ROOT / "docs/monitoring.md").read_text()
    return re.findall(
        r"^\| (\d\w) \| (\d+\w) \| ([\d.]+) \| (\d+) \| (\d+\w) \| (\w+) \|", table, re.MULTILINE
    )


SECONDS = {"1h": 3600, "6h": 21600, "1d": 86400, "3d": 259200}


def test_the_documented_burn_rates_are_the_rules() -> None:
    """Long and short window, factor, least requests, wait and severity, for both objectives."""
    written = {
        (alert["alert"], alert["labels"]["window"]): alert
        for path in RULE_FILES
        for alert in alerts(path)
        if "window" in alert["labels"]
    }
    assert len(written) == 2 * len(budgets()) == 8
    for long, short, factor, requests, wait, severity in budgets():
        for name, ratio, rate, budget in (
            ("ErrorBudgetBurn", "slo_errors", "slo_requests", "0.001"),
            ("LatencyBudgetBurn", "slo_slow", "slo_answers", "0.01"),
        ):
            alert = written[name, long]
            assert alert["expr"].split("\nand ")[:2] == [
                f"job:{ratio}:ratio_rate{long} > {factor} * {budget}",
                f"job:{ratio}:ratio_rate{short} > {factor} * {budget}",
            ]
            assert f"job:{rate}:rate{long} > {requests} / {SECONDS[long]}" in alert["expr"]
            assert (alert["for"], alert["labels"]["severity"]) == (wait, severity)
