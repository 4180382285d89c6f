"""The benchmark measures what its table says."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.keys.service import CACHE_SECONDS
from tests.bench import bench
from tests.support.ports import free_port, wait_until_taken
from tests.support.require_tool import require_tool

START_SECONDS = 20


@pytest.fixture(autouse=True)
def _wrk() -> None:
    require_tool("wrk", "wrk")


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """Run the stand-in for DynamoDB."""
    command = [sys.executable, "-m", "tests.bench.stub", "0", bench.KEY]
    with bench.started(command, tmp_path / "stub.log") as stub:
        assert stub.stdout
        yield f"http://127.0.0.1:{stub.stdout.readline().strip()}"


def test_cpu_time_is_counted_by_request(tmp_path: Path) -> None:
    """An app that burns twice the CPU time has twice the figure, beyond what serving costs."""
    port = free_port()
    command = f"-m uvicorn tests.bench.burner:app --port {port} --no-access-log".split()
    with bench.started([sys.executable, *command], tmp_path / "log") as process:
        assert wait_until_taken(port, process, START_SECONDS)
        nothing, once, twice = (
            bench.load(
                process.pid,
                f"http://127.0.0.1:{port}",
                bench.Operation("burn", 200, "GET", f"/{microseconds}", {}),
                connections=4,
                seconds=1,
            )
            for microseconds in (0, 2000, 4000)
        )
    assert 1.6 < (twice.cpu_us - nothing.cpu_us) / (once.cpu_us - nothing.cpu_us) < 2.4
    assert nothing.rps > once.rps > twice.rps > 0
    assert 0 < twice.p50_ms <= twice.p99_ms


def test_this_app_runs_with_api_keys_and_rate_limits(endpoint: str, tmp_path: Path) -> None:
    """The app needs the key, reads it from the table once in 5 s, and counts its requests."""
    began = time.monotonic()
    with bench.running("this app", endpoint, tmp_path, bench.KEY) as (pid, url):
        refused = httpx.get(f"{url}{bench.TASK_PATH}")
        for operation in bench.OPERATIONS:
            bench.check_response(url, operation)
        read = httpx.get(f"{url}{bench.TASK_PATH}", headers=bench.AUTHORIZATION)
        bench.load(pid, url, bench.OPERATIONS[0], connections=1, seconds=1)
        seconds = time.monotonic() - began
        metrics = httpx.get(f"{url}/metrics").text
    assert refused.status_code == 401
    assert int(read.headers["RateLimit-Remaining"]) < int(read.headers["RateLimit-Limit"])
    assert _value(metrics, 'key_lookups_total{source="table"}') <= 1 + seconds / CACHE_SECONDS
    requests = 'http_requests_total{method="GET",route="/v1/tasks/{task_id}",status="200"}'
    assert _value(metrics, 'key_lookups_total{source="memory"}') > _value(metrics, requests) > 100


def test_failing_requests_have_no_figures(endpoint: str, tmp_path: Path) -> None:
    """A system that responds with errors quickly must not look fast."""
    unauthorized = bench.OPERATIONS[0]._replace(headers={})
    with (
        bench.running("this app", endpoint, tmp_path, bench.KEY) as (pid, url),
        pytest.raises(SystemExit, match="failed"),
    ):
        bench.load(pid, url, unauthorized, connections=1, seconds=1)


def test_rows_are_medians_with_ratios() -> None:
    """One slow round does not change a row, and bare is the unit."""
    results = {
        (system, "get_one", n): [bench.Figures(cpu * k, 1, 1, 1) for k in (1, 1, 9)]
        for system, cpu in (("bare", 100.0), ("this app", 250.0))
        for n in bench.CONNECTIONS
    }
    rows = bench.rows(results)
    assert [(row.system, row.cpu_us, row.ratio_to_bare) for row in rows] == [
        ("bare", 100.0, 1.0),
        ("this app", 250.0, 2.5),
    ]


def test_figures_replace_the_ones_before(tmp_path: Path) -> None:
    """A second run replaces the first run's table, and nothing else in the document."""
    document = tmp_path / "performance.md"
    document.write_text("above\n<!-- figures -->\nold\n<!-- end -->\nbelow\n")
    for text in ("first", "second"):
        bench.write_into(document, "figures", text)
    assert document.read_text() == "above\n<!-- figures -->\nsecond\n<!-- end -->\nbelow\n"


def _value(metrics: str, series: str) -> float:
    (value,) = [line.split()[-1] for line in metrics.splitlines() if line.startswith(series)]
    return float(value)
