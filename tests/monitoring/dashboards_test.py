"""The dashboards: what is committed is what the source makes, and asks for what there is."""

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.metrics import Metrics
from monitoring.grafana import dashboards
from monitoring.grafana.panels import DATASOURCE, RUNBOOK
from tests.support import questions, stack
from tests.support.processes import ROOT
from tests.support.questions import DASHBOARDS, GRAFANA, Question

EVERY = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
ASKED = [*questions.of_panels(), *questions.of_annotations(), *questions.of_grafana()]
# Of other programs than the API: the live test asks for each of them.
FOREIGN = re.compile(r"node_\w+|prometheus_\w+|process_\w+|up|ALERTS")


def test_what_is_committed_is_what_the_source_makes() -> None:
    """`make dashboards` was not forgotten, and nothing was changed by hand."""
    made = {f"{each.uid}.json": dashboards.text(each) for each in dashboards.DASHBOARDS}
    assert {path.name: path.read_text() for path in DASHBOARDS} == made


@EVERY
def test_a_panel_says_what_it_shows(path: Path) -> None:
    """Title, description, unit and the provisioned data source."""
    for panel in questions.panels(path):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        assert panel["datasource"] == DATASOURCE
        assert all(target["datasource"] == DATASOURCE for target in panel["targets"])


@EVERY
def test_panels_do_not_overlap(path: Path) -> None:
    """Each has its place within the 24 columns."""
    places = [panel["gridPos"] for panel in questions.dashboard(path)["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert not any(_overlap(one, other) for one, other in combinations(places, 2))


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


@EVERY
def test_ids_are_unique_and_links_lead_to_the_runbook(path: Path) -> None:
    """A panel with an alert leads to what to do about it."""
    document = questions.dashboard(path)
    ids = [panel["id"] for panel in document["panels"]]
    assert len(set(ids)) == len(ids)
    assert RUNBOOK in [link.get("url") for link in document["links"]]
    headings = re.findall(r"^## (\w+)$", (ROOT / "monitoring/runbook.md").read_text(), re.MULTILINE)
    known = {f"{RUNBOOK}#{heading.lower()}" for heading in headings}
    for panel in questions.panels(path):
        assert {link["url"] for link in panel["links"]} <= known


def _counted() -> set[str]:
    """Name every series that the API counts."""
    samples = {
        sample.name for family in Metrics("dev").registry.collect() for sample in family.samples
    }
    families = {
        f"{family.name}{ending}"
        for family in Metrics("dev").registry.collect()
        for ending in ("", "_total", "_bucket", "_count", "_sum")
    }
    return samples | families


def _recorded() -> set[str]:
    return {
        rule["record"]
        for path in stack.rule_files()
        for rule in questions.rules(path)
        if "record" in rule
    }


@pytest.mark.parametrize("question", ASKED, ids=lambda question: question.place)
def test_a_question_is_about_series_that_there_are(question: Question) -> None:
    """It can be read, and each name in it is a metric, or one that a rule records."""
    names = set(questions.selectors(question.expression).values())
    assert names
    assert {name for name in names if not FOREIGN.fullmatch(name)} <= _counted() | _recorded()


def test_every_variable_is_filled_in_by_the_tests() -> None:
    """What is asked live is what Grafana asks, with nothing left open."""
    assert not [question for question in ASKED if "$" in question.expression]


# Alerting and data sources, as they are provisioned.


def _provisioned(path: str) -> Any:
    return yaml.safe_load((GRAFANA / "provisioning" / path).read_text())


def test_what_differs_between_places_is_documented() -> None:
    """Every variable of the provisioning has its row, and no other does but the password."""
    used = {
        name
        for path in (GRAFANA / "provisioning").rglob("*.yaml")
        for name in re.findall(r"\$(\w+)", path.read_text())
    }
    rows = re.findall(
        r"^\| `([A-Z_]+)` \|", (ROOT / "docs/monitoring.md").read_text(), re.MULTILINE
    )
    assert set(rows) == used | {"GF_SECURITY_ADMIN_PASSWORD"}


def test_the_data_source_is_the_one_that_is_asked() -> None:
    """By its id, for panels as for alerts; its address is the environment's."""
    (source,) = _provisioned("datasources/prometheus.yaml")["datasources"]
    assert source["uid"] == DATASOURCE["uid"]
    assert source["url"] == "$PROMETHEUS_URL"
    configuration = yaml.safe_load((stack.CONFIGURATION / "prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == configuration["global"]["scrape_interval"]
    for rule in questions.rules(questions.GRAFANA_RULES):
        assert {query["datasourceUid"] for query in rule["data"]} == {DATASOURCE["uid"]}
        assert rule["condition"] in {query["refId"] for query in rule["data"]}


def test_alerts_reach_somebody_and_the_watchdog_somebody_else() -> None:
    """Every receiver of a policy is a contact point; the watchdog has its own."""
    points = {
        point["name"] for point in _provisioned("alerting/contact-points.yaml")["contactPoints"]
    }
    (policy,) = _provisioned("alerting/policies.yaml")["policies"]
    (watchdog,) = policy["routes"]
    assert {policy["receiver"], watchdog["receiver"]} == points
    assert watchdog["object_matchers"] == [["alert", "=", "Watchdog"]]


def test_an_alert_keeps_every_label_that_tells_it_from_another() -> None:
    """Two that differ in a label that Grafana drops would be one."""
    kept = next(iter(questions.of_grafana())).expression
    grouped = set(re.split(r"[\s,]+", re.findall(r"by \((.*?)\)", kept, re.DOTALL)[0]))
    labels = {
        label
        for path in stack.rule_files()
        for rule in questions.rules(path)
        if "alert" in rule
        for label in (*rule["labels"], *re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    }
    assert labels <= grouped
