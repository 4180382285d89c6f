"""Alerts on their way to a person: real Prometheus servers and a real Alertmanager.

They have the shipped configuration with shorter times. The alerts are those of the targets, which
need no traffic.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.stack.alerting import RUNBOOK_URL, SPEED, Alerting, Target
from tests.stack.webhooks import Call, Webhooks, receiving
from tests.support.require_tool import require_tool
from tests.support.wait import wait_until

# Far longer than everything here takes, for a busy machine.
MAX_WAIT_SECONDS = 120
# Prometheus' alerts end 4 minutes after it sent them; then at most one more call of the switch.
STOPPED_SECONDS = 6 * 60 / SPEED


@pytest.fixture
def webhooks() -> Iterator[Webhooks]:
    for program in ("prometheus", "prometheus-alertmanager"):
        require_tool(program, package=program)
    with receiving() as webhooks:
        yield webhooks


@pytest.fixture
def alerting(tmp_path: Path, webhooks: Webhooks) -> Iterator[Alerting]:
    alerting = Alerting(tmp_path, webhooks)
    with alerting.alertmanager():
        yield alerting


@pytest.fixture
def api() -> Iterator[Target]:
    with Target() as api:
        yield api


def wait_for(webhooks: Webhooks, alert: str, status: str) -> Call:
    """Wait for a call about an alert, and return the newest."""
    wait_until(lambda: bool(webhooks.of(alert, status)), MAX_WAIT_SECONDS)
    return webhooks.of(alert, status)[-1]


def wait_for_the_switch(webhooks: Webhooks, calls: int) -> None:
    """Wait for so many further calls of the dead man's switch."""
    expected = len(webhooks.switch()) + calls
    wait_until(lambda: len(webhooks.switch()) >= expected, MAX_WAIT_SECONDS)


def test_an_alert_arrives_as_a_sentence_and_so_does_its_end(
    alerting: Alerting, webhooks: Webhooks, api: Target
) -> None:
    """Both messages state what happens, how bad it is, since when, and where the runbook is.

    Alerts of one name are one message.
    """
    with Target() as others, alerting.prometheus(api, others):
        page = wait_for(webhooks, "ApiDown", "firing")
        ticket = wait_for(webhooks, "TargetDown", "firing")
        api.go_up()
        others.go_up()
        ended = wait_for(webhooks, "ApiDown", "resolved")
    for call in (page, ended):
        (alert,) = call.alerts
        assert alert["labels"]["severity"] == "page"
        assert alert["annotations"] == {
            "summary": "The API cannot be scraped",
            "description": "Prometheus, in the same ECS task, has had no metrics from it for "
            "1 minute.",
            "runbook_url": f"{RUNBOOK_URL}#apidown",
        }
    began, end = (datetime.fromisoformat(ended.alerts[0][each]) for each in ("startsAt", "endsAt"))
    assert page.alerts[0]["startsAt"] == ended.alerts[0]["startsAt"]
    assert began < end
    assert {alert["annotations"]["summary"] for alert in ticket.alerts} == {
        "node cannot be scraped",
        "prometheus cannot be scraped",
    }
    assert {call.path for call in webhooks.of("ApiDown")} == {"/alerts"}


def test_the_switch_is_called_until_prometheus_is_gone(
    alerting: Alerting, webhooks: Webhooks, api: Target
) -> None:
    """It gets the watchdog and nothing else, never as resolved, and calls end with Prometheus."""
    with alerting.prometheus(api) as prometheus:
        wait_for(webhooks, "ApiDown", "firing")
        wait_for_the_switch(webhooks, 3)
        prometheus.process.kill()
        wait_until(lambda: webhooks.silent_for() > STOPPED_SECONDS, MAX_WAIT_SECONDS)
    assert {frozenset(call.names) for call in webhooks.switch()} == {frozenset({"Watchdog"})}
    assert {call.path for call in webhooks.of("Watchdog")} == {"/watchdog"}
    assert {call.status for call in webhooks.switch()} == {"firing"}


def test_the_switch_is_not_called_without_rules(
    alerting: Alerting, webhooks: Webhooks, api: Target
) -> None:
    """A Prometheus that runs but evaluates no rule is as good as none; with rules calls resume."""
    with alerting.prometheus(api):
        wait_for_the_switch(webhooks, 1)
    with alerting.prometheus(api, rules=False) as prometheus:
        wait_until(lambda: webhooks.silent_for() > STOPPED_SECONDS, MAX_WAIT_SECONDS)
        assert not prometheus.has_ended
    with alerting.prometheus(api):
        wait_for_the_switch(webhooks, 1)


def test_two_ecs_tasks_of_a_deployment_page_once(
    alerting: Alerting, webhooks: Webhooks, api: Target
) -> None:
    """An old ECS task that is down and a new one that flaps are one alert, with one end."""
    with Target() as new_api, alerting.prometheus(api, task="old"):
        wait_for(webhooks, "ApiDown", "firing")
        with alerting.prometheus(new_api, task="new"):
            for _ in range(3):
                # Long enough to fire, too short to end.
                wait_for_the_switch(webhooks, 5)
                new_api.go_up()
                wait_for_the_switch(webhooks, 2)
                new_api.go_down()
            api.go_up()
            new_api.go_up()
            wait_for(webhooks, "ApiDown", "resolved")
    assert [call.status for call in webhooks.of("ApiDown")] == ["firing", "resolved"]
    for call in webhooks.of("ApiDown"):
        (alert,) = call.alerts
        assert set(alert["labels"]) == {"alertname", "severity", "job", "instance"}
