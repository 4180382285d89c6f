"""The monitoring on a live system: every question has an answer, and the answers are true."""

import statistics

import pytest

from api.metrics import REQUEST_SECONDS
from tests.stack.conftest import SLOW_SECONDS, Answers, Figures, Outage, Sent, listed_alerts
from tests.stack.prometheus import Prometheus, is_shown
from tests.stack.traffic import TASK, TASKS
from tests.support import questions
from tests.support.faults import Fault

WATCHDOG = ("Watchdog", "")
# What else runs on this machine can bring them near; they take longer than a run to fire.
OF_THE_MACHINE = {"TaskCPUHigh", "TaskMemoryHigh", "TaskDiskFull"}
OURS = 'route=~"/v1/.*"'


def test_a_quiet_system_shows_0_and_not_no_data(quiet: Answers) -> None:
    """Every panel has a number before the first task is made."""
    assert [question for question, answer in quiet.items() if not is_shown(answer)] == []


def test_every_panel_shows_something(sent: Sent) -> None:
    """After traffic, too; and so has each annotation, and each question of Grafana's alerting."""
    assert [question for question, answer in sent.answers.items() if not is_shown(answer)] == []


def test_every_rule_is_about_series_that_there_are(sent: Sent, prometheus: Prometheus) -> None:
    """Each selector of each rule finds some; what is recorded has a value."""
    for question in questions.of_rules():
        assert prometheus.missing(question.expression) == set(), question.place
        if ":" in question.place:
            assert is_shown(prometheus.ask(question.expression)), question.place


def test_every_selector_of_a_panel_finds_series(sent: Sent, prometheus: Prometheus) -> None:
    """A half of an expression that finds nothing would hide behind the other."""
    for question in sent.answers:
        assert prometheus.missing(question.expression) == set(), question.place


def test_a_name_that_nobody_scrapes_is_noticed(sent: Sent, prometheus: Prometheus) -> None:
    """The check of the two tests above can fail."""
    asked = 'sum(rate(http_request_total{job="api"}[5m])) / up{job="ap"} + up'
    assert prometheus.missing(asked) == {'http_request_total{job="api"}', 'up{job="ap"}'}


def test_no_rule_fails(sent: Sent, prometheus: Prometheus) -> None:
    """Prometheus counts evaluations that ended in an error."""
    assert prometheus.value("sum(prometheus_rule_evaluation_failures_total)") == 0


def test_requests_are_counted_one_by_one(
    sent: Sent, prometheus: Prometheus, figures: Figures
) -> None:
    """As many as their clients saw answered, for each operation and status."""
    counted = prometheus.ask(f"http_requests_total{{{OURS}}} > 0", sent.after)
    measured = {
        (labels["method"], labels["route"], int(labels["status"])): value
        for labels, value in ((dict(series), value) for series, value in counted.items())
    }
    assert measured == sent.traffic.answers
    statuses = {status for _, _, status in measured}
    assert {200, 201, 404, 422, 503} <= statuses
    figures.compare("requests", sent.traffic.answers.total(), sum(measured.values()))


def test_the_rate_is_that_of_the_requests(
    sent: Sent, prometheus: Prometheus, figures: Figures
) -> None:
    """Within a tenth, over the last minute of traffic."""
    last_minute = sum(sent.during - 60 < ended <= sent.during for ended in sent.traffic.ended)
    measured = prometheus.value(f"sum(rate(http_requests_total{{{OURS}}}[1m]))", sent.during)
    figures.compare("requests a second", last_minute / 60, measured)
    assert measured == pytest.approx(last_minute / 60, rel=0.1)


def test_the_error_ratio_is_that_of_the_answers(
    sent: Sent, prometheus: Prometheus, figures: Figures
) -> None:
    """Within a fiftieth: both halves are counted over the same scrapes."""
    answers = sent.traffic.answers
    failed = sum(number for (_, _, status), number in answers.items() if status >= 500)
    measured = prometheus.value("job:slo_errors:ratio_rate5m", sent.after)
    figures.compare("share of requests that failed", failed / answers.total(), measured)
    assert failed > 0
    assert measured == pytest.approx(failed / answers.total(), rel=0.02)


def test_the_slow_ratio_is_that_of_the_answers(
    sent: Sent, prometheus: Prometheus, figures: Figures
) -> None:
    """Within a fifth: a client's watch runs a little longer than the service's."""
    answers = sent.traffic.answers
    failed = sum(number for (_, _, status), number in answers.items() if status >= 500)
    slow = sum(seconds > 0.25 for seconds in sent.traffic.seconds)
    measured = prometheus.value("job:slo_slow:ratio_rate5m", sent.after)
    figures.compare("share of answers over 250 ms", slow / (answers.total() - failed), measured)
    assert slow > 0
    assert measured == pytest.approx(slow / (answers.total() - failed), rel=0.2)


def test_the_p95_is_in_the_bucket_of_what_the_client_saw(
    sent: Sent, prometheus: Prometheus, figures: Figures
) -> None:
    """A quantile is as exact as the buckets around it, and cannot be more so."""
    seen = statistics.quantiles(sent.traffic.seconds, n=20)[-1]
    answered = f'route:http_request_duration_seconds:quantile5m{{quantile="0.95", route="{TASK}"}}'
    measured = prometheus.value(answered, sent.after)
    figures.compare("P95 of the route of one task, in s", seen, measured)
    assert _bucket(measured) == _bucket(seen) == _bucket(SLOW_SECONDS + 0.01)


def _bucket(seconds: float) -> float:
    return min(bound for bound in REQUEST_SECONDS if seconds <= bound)


def test_the_store_is_seen_as_it_was(sent: Sent, prometheus: Prometheus, figures: Figures) -> None:
    """Each throttled attempt and each failed one, overcome by a retry or not."""
    for fault, name in (
        (Fault.THROTTLED, "ProvisionedThroughputExceededException"),
        (Fault.ERROR_BEFORE, "InternalServerError"),
    ):
        measured = prometheus.value(
            f'sum(dynamodb_retries_total{{reason="{name}"}})'
            f' + sum(dynamodb_calls_total{{outcome="{name}"}})',
            sent.after,
        )
        figures.compare(f"attempts {fault.value}", sent.faults[fault], measured)
        assert measured == sent.faults[fault] > 0


def test_the_tasks_are_counted(sent: Sent, prometheus: Prometheus, figures: Figures) -> None:
    """As many created as were answered with 201, as many moves as changes."""
    created = prometheus.value("sum(tasks_created_total)", sent.after)
    moved = prometheus.value("sum(tasks_moved_total)", sent.after)
    figures.compare("tasks created", sent.traffic.answers["POST", TASKS, 201], created)
    figures.compare("tasks moved", sent.traffic.answers["PATCH", TASK, 200], moved)
    assert created == sent.traffic.answers["POST", TASKS, 201]
    assert moved == sent.traffic.answers["PATCH", TASK, 200]


def test_traffic_within_the_objectives_calls_nobody(outage: Outage) -> None:
    """A few slow reads, a few failures and some throttling are no reason."""
    assert {name for name, state in outage.before.items() if state == "firing"} == {WATCHDOG}


def test_a_store_outage_brings_the_alerts_that_the_runbook_lists(
    outage: Outage, figures: Figures
) -> None:
    """Exactly those, in their time; what the list has for later is on its way."""
    listed = listed_alerts()
    soon = {name for name, minutes in listed.items() if minutes <= 3}
    assert soon
    assert set(outage.fired) == soon | {WATCHDOG}
    since = set(outage.at_the_end) - set(outage.before)
    assert {name for name in since if name[0] not in OF_THE_MACHINE} == set(listed)
    for name in sorted(soon):
        figures.compare(
            f"s until {' '.join(name).strip()}, at most", listed[name] * 60, outage.fired[name]
        )
        assert outage.fired[name] <= listed[name] * 60
