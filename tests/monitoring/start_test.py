"""How Prometheus starts in its container: from its environment alone, into an empty directory."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import stack
from tests.support.presence import need
from tests.support.processes import free_port

START_SECONDS = 20


@contextmanager
def started(
    home: Path, environment: dict[str, str], *flags: str
) -> Iterator[subprocess.Popen[str]]:
    """Run the script as the container does."""
    for program in ("prometheus", "promtool"):
        need(program, package="prometheus")
    with subprocess.Popen(
        ["sh", stack.CONFIGURATION / "start.sh", *flags],
        cwd=home,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_environment_becomes_the_files_byte_for_byte(tmp_path: Path) -> None:
    """Prometheus runs with what was tested, and ends when it is told to."""
    port = free_port()
    listen = f"--web.listen-address=127.0.0.1:{port}"
    with started(tmp_path, stack.environment(), listen) as process:
        groups = stack.rule_groups(port)
        process.terminate()
        output, _ = process.communicate()
    # As process 1 of a container, a shell in its place would not pass that on.
    assert process.returncode == 0
    assert "See you next time" in output
    assert {group["name"] for group in groups} == {path.stem for path in stack.rule_files()}
    written = tmp_path / "conf" / "prometheus.yml"
    assert written.read_bytes() == (stack.CONFIGURATION / "prometheus.yml").read_bytes()
    for path in stack.rule_files():
        assert (tmp_path / "conf/rules" / path.name).read_bytes() == path.read_bytes()


def test_a_rule_file_that_did_not_arrive_is_said(tmp_path: Path) -> None:
    """Prometheus itself would run without it."""
    environment = stack.environment()
    del environment["PROMETHEUS_RULES_STORE"]
    with started(tmp_path, environment) as process:
        output, _ = process.communicate(timeout=START_SECONDS)
    assert process.returncode != 0
    assert 'rules/store.yaml" does not point to an existing file' in output


def test_a_configuration_from_before_is_forgotten(tmp_path: Path) -> None:
    """The volume outlives the container."""
    left = tmp_path / "conf/rules/availability.yaml"
    left.parent.mkdir(parents=True)
    left.write_text("groups: []")
    environment = stack.environment()
    del environment["PROMETHEUS_RULES_AVAILABILITY"]
    with started(tmp_path, environment) as process:
        process.communicate(timeout=START_SECONDS)
    assert process.returncode != 0
