"""`make stack`: why it does not start on a machine, and why it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from api.local import processes
from api.local.processes import ROOT
from monitoring import local_stack
from tests.support.ports import free_port, free_ports
from tests.support.require_tool import require_tool

MAX_WAIT_SECONDS = 60
RUNS = "exec sleep 600"
PROGRAMS = ("prometheus", "promtool", "prometheus-node-exporter", "prometheus-alertmanager")
# The other ports are fixed, and may be in use on the machine of a test.
START = "import sys; from monitoring import local_stack as s; {}; s.main()"


def programs_in(directory: Path, **scripts: str) -> str:
    """Write programs that run until they are stopped, or do what a script says; return PATH."""
    directory.mkdir()
    for name in PROGRAMS:
        default = "exit 0" if name == "promtool" else RUNS
        (directory / name).write_text(f"#!/bin/sh\n{scripts.get(name, default)}\n")
        (directory / name).chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


def run_stack(data: Path, port: int, **scripts: str) -> subprocess.CompletedProcess[str]:
    """Run `make stack` with other programs in the place of Prometheus' until it ends."""
    names = ("s.PROMETHEUS", "s.ALERTMANAGER", "s.NODE_EXPORTER")
    ports = f"{', '.join(names)} = {free_ports(3)}"
    return subprocess.run(
        [sys.executable, "-c", START.format(ports), "--data", data],
        cwd=ROOT,
        env=os.environ | {"PATH": programs_in(data.parent / "bin", **scripts), "PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
        timeout=MAX_WAIT_SECONDS,
    )


def test_the_error_for_a_missing_program_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names Debian's packages and the containers."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(local_stack.NotHereError, match=r"apt-get install .* `docker compose up`"),
        local_stack.running(tmp_path),
    ):
        pass


def test_without_alertmanager_the_stack_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest works without it; with it, a missing webhook is named."""
    (tmp_path / "alertmanager").write_text("")
    (tmp_path / "alertmanager").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ALERT_WEBHOOK_URL", raising=False)
    assert "no ALERT_WEBHOOK_URL" in local_stack.where_alerts_go()
    monkeypatch.setenv("ALERT_WEBHOOK_URL", "https://alerts.example")
    assert local_stack.where_alerts_go() == "http://127.0.0.1:9093"
    (tmp_path / "alertmanager").unlink()
    assert "apt-get install prometheus-alertmanager" in local_stack.where_alerts_go()


@pytest.mark.parametrize(
    ("taken", "message"),
    [(9090, r"Port 9090 .* systemctl disable"), (8000, r"try PORT=8001 make stack")],
)
def test_a_port_in_use_is_reported_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int, message: str
) -> None:
    """The API can have another port; the others are fixed, because the configuration has them."""
    require_tool("prometheus", package="prometheus")
    require_tool("prometheus-node-exporter", package="prometheus-node-exporter")
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setattr(processes, "wait_until_free", lambda _host, port, _s: port != taken)
    with (
        pytest.raises(local_stack.NotHereError, match=message),
        local_stack.running(tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", ["0", "http", "123456"])
def test_a_port_that_prometheus_cannot_scrape_is_refused(port: str) -> None:
    with pytest.raises(local_stack.NotHereError, match=rf"PORT={port} .* PORT=8000"):
        local_stack.api_port({"PORT": port})


@pytest.mark.parametrize(
    ("name", "script", "reason"),
    [
        ("prometheus-node-exporter", "echo no such flag; exit 3", "with exit code 3"),
        ("prometheus-alertmanager", "echo no such flag; exit 0", "with exit code 0"),
        ("prometheus", "echo no such flag; kill -9 $$", "by SIGKILL"),
        ("promtool", "echo no such flag; exit 1", "with exit code 1"),
    ],
)
def test_the_stack_ends_when_a_part_ends_and_names_it(
    tmp_path: Path, name: str, script: str, reason: str
) -> None:
    """With the last lines of its log. promtool is the first thing that Prometheus' part runs."""
    ended = run_stack(tmp_path / "data", free_port(), **{name: script})
    part = "prometheus" if name == "promtool" else name.removeprefix("prometheus-")
    first, *rest = ended.stderr.splitlines()[-2:]
    assert first == f"{part} ended {reason}; the end of {tmp_path}/data/{part}.log:"
    assert rest == ["  no such flag"]
    assert ended.returncode == 1


def test_the_stack_ends_when_its_api_ends(tmp_path: Path) -> None:
    """Its messages are on the terminal already."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "cursor_secret").touch()
    ended = run_stack(data, free_port())
    cause, end = ended.stderr.splitlines()[-2:]
    assert cause.startswith(f"{data}/cursor_secret is empty.")
    assert end == "The API ended with exit code 1; its messages are above."
    assert ended.returncode == 1


def test_prometheus_scrapes_the_port_of_the_api(tmp_path: Path) -> None:
    port = free_port()
    run_stack(tmp_path / "data", port, promtool="exit 1")
    written = yaml.safe_load((tmp_path / "data/prometheus/conf/prometheus.yml").read_text())
    targets = {
        job["job_name"]: job["static_configs"][0]["targets"] for job in written["scrape_configs"]
    }
    assert targets["api"] == [f"localhost:{port}"]


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    ended = run_stack(tmp_path / "data", free_port())
    assert ended.stderr.splitlines() == [
        f"{tmp_path}/data/alertmanager cannot be used: Not a directory"
    ]
    assert ended.returncode == 1
