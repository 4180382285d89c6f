"""The course of one run: quiet, then traffic with faults in it, then without a store."""

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.stack.prometheus import Labels, Prometheus
from tests.stack.traffic import Traffic
from tests.support import processes, questions, stack
from tests.support.faults import Fault, FaultProxy
from tests.support.presence import absent
from tests.support.processes import ROOT
from tests.support.questions import Question

TRAFFIC_SECONDS = 150
# The longest that the runbook lets an alert of an outage take, less those of a longer one.
OUTAGE_SECONDS = 270
SLOW_SECONDS = 0.3
STEP_SECONDS = 5

Answers = dict[Question, dict[Labels, float]]


class Sent(NamedTuple):
    """What went through the task, as its clients and its store have counted it."""

    traffic: Traffic
    faults: Counter[Fault | None]
    # While it still came, and after the last of it was scraped.
    during: float
    after: float
    answers: Answers


class Outage(NamedTuple):
    """Which alerts were there before, and what became of each, after how many seconds."""

    before: dict[tuple[str, str], str]
    fired: dict[tuple[str, str], float]
    at_the_end: dict[tuple[str, str], str]


class Faults:
    """A few slow reads, a few failing lists, and throttling that retries overcome."""

    def __init__(self) -> None:
        self._chance = random.Random(0)  # noqa: S311 - to be foreseen is what it is for
        self._throttles = 20

    def __call__(self, operation: str) -> Fault | None:
        drawn = self._chance.random()
        if operation == "Query" and drawn < 0.28:
            return Fault.ERROR_BEFORE
        if operation != "GetItem":
            return None
        if self._throttles and drawn < 0.05:
            self._throttles -= 1
            return Fault.THROTTLED
        return Fault.SLOW if drawn > 0.915 else None


class Figures:
    """What was sent beside what Prometheus says."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._rows: list[dict[str, Any]] = []

    def compare(self, what: str, sent: float, measured: float) -> None:
        row = {"what": what, "sent": round(sent, 4), "measured": round(measured, 4)}
        self._rows.append(row)
        self._report(f"{what:44} sent {row['sent']:>9}  measured {row['measured']:>9}")

    def save(self) -> None:
        (ROOT / "build/stack.json").write_text(json.dumps(self._rows, indent=2))


@pytest.fixture(scope="session")
def figures(report: Callable[[str], None]) -> Iterator[Figures]:
    figures = Figures(report)
    yield figures
    figures.save()


@pytest.fixture(scope="session")
def prometheus() -> Iterator[Prometheus]:
    with Prometheus() as asked:
        yield asked


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory, prometheus: Prometheus) -> Iterator[FaultProxy]:
    """The stack as `make stack` starts it, with a proxy between the API and its store."""
    data: Path = tmp_path_factory.mktemp("stack")
    store, url = processes.start_store()
    began = time.time()
    try:
        with (
            FaultProxy(url, slow_seconds=SLOW_SECONDS) as proxy,
            stack.running(data, log=data / "api.log", DYNAMODB_ENDPOINT=proxy.url),
        ):
            stack.wait_until_ready()
            yield proxy
            _keep_for_pictures(prometheus, began)
    except stack.NotHereError as reason:
        absent(reason)
    finally:
        store.communicate()


@pytest.fixture(scope="session")
def quiet(task: FaultProxy, prometheus: Prometheus) -> Answers:
    """What panels show before anybody came."""
    prometheus.wait_for_scrapes(3)
    return _answers(prometheus)


@pytest.fixture(scope="session")
def sent(quiet: Answers, task: FaultProxy, prometheus: Prometheus) -> Sent:
    traffic = Traffic()
    task.seen.clear()
    task.plan = Faults()
    asyncio.run(traffic.send(TRAFFIC_SECONDS))
    during = time.time() - 1
    faults: Counter[Fault | None] = Counter()
    for (_, fault), number in task.seen.items():
        faults[fault] += number
    task.plan = lambda _operation: None
    prometheus.wait_for_scrapes(2)
    return Sent(traffic, faults, during, time.time(), _answers(prometheus))


@pytest.fixture(scope="session")
def outage(sent: Sent, task: FaultProxy, prometheus: Prometheus) -> Outage:
    """Refuse every call to the store, until what the runbook lists has fired."""
    before = prometheus.alerts()
    task.plan = lambda _operation: Fault.REFUSED
    began = time.monotonic()
    fired: dict[tuple[str, str], float] = {}
    awaited = {name for name, minutes in listed_alerts().items() if minutes * 60 < OUTAGE_SECONDS}

    def all_fired() -> bool:
        for name, state in prometheus.alerts().items():
            if state == "firing":
                fired.setdefault(name, time.monotonic() - began)
        return awaited <= set(fired)

    asyncio.run(Traffic().send(OUTAGE_SECONDS, until=all_fired))
    prometheus.wait_for_scrapes(2)
    return Outage(before, fired, prometheus.alerts())


def listed_alerts() -> dict[tuple[str, str], int]:
    """Read which alerts the runbook lists for an outage, and after how many minutes."""
    runbook = (ROOT / "monitoring/runbook.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w*) *\| (\d+) min \|$", runbook, re.MULTILINE)
    return {(name, window): int(minutes) for name, window, minutes in rows}


def _answers(prometheus: Prometheus) -> Answers:
    asked = [*questions.of_panels(), *questions.of_annotations(), *questions.of_grafana()]
    return {question: prometheus.ask(question.expression) for question in asked}


def _keep_for_pictures(prometheus: Prometheus, began: float) -> None:
    """Write down what each panel would have shown in this run."""
    ended = time.time()
    courses = [
        {
            "place": question.place,
            "legend": question.legend,
            "series": prometheus.course(question.expression, began + 30, ended, STEP_SECONDS),
        }
        for question in questions.of_panels()
    ]
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/panels.json").write_text(json.dumps(courses))
