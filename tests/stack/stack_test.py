"""Monitoring on a live system: panels and rules have data, and the data is correct."""

import re
import statistics
import time
from collections.abc import Callable
from datetime import datetime

import pytest

from api.metrics import REQUEST_SECONDS
from tests.monitoring.reachable_test import SIDECAR_CPUS
from tests.stack.conftest import SLOW_SECONDS, Compare, Outage, Results, Sent, listed_alerts
from tests.stack.prometheus import Prometheus, has_data
from tests.stack.traffic import TASK, TASKS
from tests.stack.webhooks import Webhooks
from tests.support import promql_queries
from tests.support.faults import Fault
from tests.support.require_tool import require_tool
from tests.support.wait import wait_until

WATCHDOG = ("Watchdog", "")
# Other programs on this machine can make these pending; they take longer than a run to fire.
HOST_ALERTS = {"TaskCPUHigh", "TaskMemoryHigh", "TaskDiskFull"}
# Alertmanager waits 30 s for further alerts of a group.
GROUP_WAIT_SECONDS = 90
V1 = 'route=~"/v1/.*"'


def test_panels_have_data_before_any_traffic(quiet: Results) -> None:
    """A system without requests shows 0 instead of "No data"."""
    assert [query for query, result in quiet.items() if not has_data(result)] == []


def test_panels_have_data_after_traffic(sent: Sent) -> None:
    """So do the annotations."""
    assert [query for query, result in sent.results.items() if not has_data(result)] == []


def test_every_selector_of_a_rule_matches_series(sent: Sent, prometheus: Prometheus) -> None:
    """Every recording rule has a value."""
    for query in promql_queries.of_rules():
        assert prometheus.missing(query.expression) == set(), query.source
        if ":" in query.source:
            assert has_data(prometheus.query(query.expression)), query.source


def test_every_selector_of_a_panel_matches_series(sent: Sent, prometheus: Prometheus) -> None:
    """The result alone does not prove it: one half of an `or` can hide that the other is empty."""
    for query in sent.results:
        assert prometheus.missing(query.expression) == set(), query.source


def test_a_selector_without_series_is_found(sent: Sent, prometheus: Prometheus) -> None:
    """The check of the two tests above can fail."""
    wrong = 'sum(rate(http_request_total{job="api"}[5m])) / up{job="ap"} + up'
    assert prometheus.missing(wrong) == {'http_request_total{job="api"}', 'up{job="ap"}'}


def test_no_rule_evaluation_fails(sent: Sent, prometheus: Prometheus) -> None:
    """Prometheus counts failed evaluations."""
    assert prometheus.value("sum(prometheus_rule_evaluation_failures_total)") == 0


def test_the_request_counters_are_exact(
    sent: Sent, prometheus: Prometheus, compare: Compare
) -> None:
    """They equal the responses that the client counted, for each operation and status."""
    counters = prometheus.query(f"http_requests_total{{{V1}}} > 0", sent.after)
    measured = {
        (labels["method"], labels["route"], int(labels["status"])): value
        for labels, value in ((dict(series), value) for series, value in counters.items())
    }
    assert measured == sent.traffic.responses
    assert {200, 201, 404, 422, 503} <= {status for _, _, status in measured}
    compare("requests", sent.traffic.responses.total(), sum(measured.values()))


def test_the_error_ratio_is_correct(sent: Sent, prometheus: Prometheus, compare: Compare) -> None:
    """Within 2 %: both rates cover the same scrapes."""
    ratio = sent.traffic.failures / sent.traffic.responses.total()
    measured = prometheus.value("job:slo_errors:ratio_rate5m", sent.after)
    compare("error ratio", ratio, measured)
    assert ratio > 0
    assert measured == pytest.approx(ratio, rel=0.02)


def test_the_slow_ratio_is_correct(sent: Sent, prometheus: Prometheus, compare: Compare) -> None:
    """Within 20 %: the client measures slightly more than the service."""
    slow = sum(seconds > 0.25 for seconds in sent.traffic.task_seconds)
    ratio = slow / (sent.traffic.responses.total() - sent.traffic.failures)
    measured = prometheus.value("job:slo_slow:ratio_rate5m", sent.after)
    compare("ratio of responses over 250 ms", ratio, measured)
    assert ratio > 0
    assert measured == pytest.approx(ratio, rel=0.2)


def test_the_p95_is_in_the_correct_bucket(
    sent: Sent, prometheus: Prometheus, compare: Compare
) -> None:
    """A quantile from a histogram is only as exact as its buckets."""
    observed = statistics.quantiles(sent.traffic.task_seconds, n=20)[-1]
    recorded = f'route:http_request_duration_seconds:quantile5m{{quantile="0.95", route="{TASK}"}}'
    measured = prometheus.value(recorded, sent.after)
    compare("P95 of the route of one task, in s", observed, measured)
    assert _bucket(measured) == _bucket(observed) == _bucket(SLOW_SECONDS + 0.01)


def _bucket(seconds: float) -> float:
    return min(bound for bound in REQUEST_SECONDS if seconds <= bound)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.THROTTLED, "ProvisionedThroughputExceededException"),
        (Fault.ERROR_BEFORE, "InternalServerError"),
    ],
)
def test_failed_dynamodb_attempts_are_counted(
    sent: Sent, prometheus: Prometheus, compare: Compare, fault: Fault, error: str
) -> None:
    """Each injected fault is in a counter, whether a retry succeeded or not."""
    measured = prometheus.value(
        f'sum(dynamodb_retries_total{{reason="{error}"}})'
        f' + sum(dynamodb_calls_total{{outcome="{error}"}})',
        sent.after,
    )
    compare(f"DynamoDB attempts: {fault.value}", sent.faults[fault], measured)
    assert measured == sent.faults[fault] > 0


def test_tasks_and_moves_are_counted(sent: Sent, prometheus: Prometheus, compare: Compare) -> None:
    """The counters equal the successful creates and status changes."""
    for metric, operation in (
        ("tasks_created_total", ("POST", TASKS, 201)),
        ("tasks_moved_total", ("PATCH", TASK, 200)),
    ):
        measured = prometheus.value(f"sum({metric})", sent.after)
        compare(metric, sent.traffic.responses[operation], measured)
        assert measured == sent.traffic.responses[operation]


def test_prometheus_leaves_the_api_its_cpu(
    sent: Sent, prometheus: Prometheus, compare: Compare
) -> None:
    """EventLoopBusy can fire in the smallest ECS task because the sidecars use less than this."""
    used = prometheus.value('rate(process_cpu_seconds_total{job="prometheus"}[2m])', sent.after)
    compare("CPUs of Prometheus, at most and measured", SIDECAR_CPUS, used)
    assert used < SIDECAR_CPUS


def test_no_alert_fires_within_the_objectives(outage: Outage) -> None:
    """Some slow reads, errors and throttling are tolerated."""
    assert {name for name, state in outage.before.items() if state == "firing"} == {WATCHDOG}


def test_a_dynamodb_outage_fires_the_alerts_in_the_runbook(
    outage: Outage, compare: Compare
) -> None:
    """Exactly those, within the listed time; alerts that are listed for later are pending."""
    listed = listed_alerts()
    soon = {name for name, minutes in listed.items() if minutes <= 3}
    assert soon
    assert set(outage.fired) == soon | {WATCHDOG}
    since = set(outage.after) - set(outage.before)
    assert {name for name in since if name[0] not in HOST_ALERTS} == set(listed)
    for name in sorted(soon):
        compare(f"max. s until {' '.join(name).strip()}", listed[name] * 60, outage.fired[name])
        assert outage.fired[name] <= listed[name] * 60


def test_an_outage_reaches_a_person_as_sentences(
    outage: Outage, webhooks: Webhooks, report: Callable[[str], None]
) -> None:
    """The messages have the share of failures and the runbook entry; the switch is called, too."""
    require_tool("prometheus-alertmanager", package="prometheus-alertmanager")
    wait_until(
        lambda: webhooks.of("ErrorBudgetBurn") and webhooks.of("StoreErrors"), GROUP_WAIT_SECONDS
    )
    for name, severity, sentence in (
        ("ErrorBudgetBurn", "page", r"\d[\d.]*% of requests failed in the last 1h"),
        ("StoreErrors", "ticket", r"\d[\d.]*% of the DynamoDB calls failed"),
    ):
        (alert,) = webhooks.of(name)[0].alerts
        report(webhooks.of(name)[0].text)
        assert (alert["status"], alert["labels"]["severity"]) == ("firing", severity)
        assert re.fullmatch(sentence, alert["annotations"]["summary"])
        assert alert["annotations"]["description"].endswith(".")
        assert alert["annotations"]["runbook_url"] == f"monitoring/runbook.md#{name.lower()}"
        assert datetime.fromisoformat(alert["startsAt"]).timestamp() < time.time()
    assert {call.status for call in webhooks.switch()} == {"firing"}
    assert {name for call in webhooks.switch() for name in call.names} == {"Watchdog"}
