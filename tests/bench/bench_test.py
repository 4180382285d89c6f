"""The benchmark's harness: it measures what it says."""

import sys
from pathlib import Path

import pytest

from tests.bench import bench
from tests.support.presence import need
from tests.support.processes import free_port, wait_until_taken

START_SECONDS = 20


@pytest.fixture(autouse=True)
def _wrk() -> None:
    need("wrk", "wrk")


def test_cpu_time_is_counted_by_request(tmp_path: Path) -> None:
    """An app that burns twice the CPU time shows twice the figure, beyond what serving costs."""
    port = free_port()
    command = f"-m uvicorn tests.bench.burner:app --port {port} --no-access-log".split()
    with bench.started([sys.executable, *command], tmp_path / "log") as process:
        assert wait_until_taken(port, process, START_SECONDS)
        nothing, once, twice = (
            bench.load(
                process.pid,
                f"http://127.0.0.1:{port}",
                bench.Operation("burn", "GET", f"/{microseconds}"),
                connections=4,
                seconds=1,
            )
            for microseconds in (0, 2000, 4000)
        )
    assert 1.6 < (twice.cpu_us - nothing.cpu_us) / (once.cpu_us - nothing.cpu_us) < 2.4
    assert nothing.rps > once.rps > twice.rps > 0
    assert 0 < twice.p50_ms <= twice.p99_ms


def test_failing_requests_are_no_figures(tmp_path: Path) -> None:
    """A system that answers errors quickly must not look fast."""
    with bench.started([sys.executable, "-m", "tests.bench.stub", "0"], tmp_path / "log") as stub:
        assert stub.stdout
        url = f"http://127.0.0.1:{stub.stdout.readline().strip()}"
        unknown = bench.Operation("a call that no one makes", "GET", "/")
        with pytest.raises(SystemExit, match="failed"):
            bench.load(stub.pid, url, unknown, connections=1, seconds=1)


def test_rows_are_medians_with_ratios() -> None:
    """One slow round does not move a row, and bare is the unit."""
    results = {
        (system, "get_one"): bench.Measured(
            {n: [bench.Figures(cpu * k, 1, 1, 1) for k in (1, 1, 9)] for n in bench.CONNECTIONS}
        )
        for system, cpu in (("bare", 100.0), ("this app", 250.0))
    }
    rows = bench.rows(results)
    assert [(row["system"], row["cpu_us"], row["ratio_to_bare"]) for row in rows] == [
        ("bare", 100.0, 1.0),
        ("this app", 250.0, 2.5),
    ]


def test_figures_replace_the_ones_before(tmp_path: Path) -> None:
    """A second run leaves one table in the document, and the rest of it alone."""
    document = tmp_path / "performance.md"
    document.write_text("above\n<!-- figures -->\nold\n<!-- end -->\nbelow\n")
    for text in ("first", "second"):
        bench.write_into(document, "figures", text)
    assert document.read_text() == "above\n<!-- figures -->\nsecond\n<!-- end -->\nbelow\n"
