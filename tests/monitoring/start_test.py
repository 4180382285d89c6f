"""start.sh: the container starts Prometheus with the configuration in its environment."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme
import yaml

from api.main import create_app
from api.serving.server import uvicorn_config
from api.serving.tls import server_context
from monitoring import local_stack
from tests.support import builders
from tests.support.ports import free_port
from tests.support.require_tool import require_tool
from tests.support.rule_groups import rule_groups
from tests.support.server import running

TIMEOUT_SECONDS = 20


@contextmanager
def started(
    home: Path, environment: dict[str, str], *flags: str
) -> Iterator[subprocess.Popen[str]]:
    """Run start.sh in an environment like the container's."""
    for program in ("prometheus", "promtool"):
        require_tool(program, package="prometheus")
    with subprocess.Popen(
        ["sh", local_stack.CONFIGURATION / "start.sh", *flags],
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


def test_prometheus_runs_with_the_files_of_the_environment(tmp_path: Path) -> None:
    """The files are unchanged, and Prometheus itself receives SIGTERM, not a shell around it."""
    port = free_port()
    listen = f"--web.listen-address=127.0.0.1:{port}"
    with started(tmp_path, local_stack.environment(), listen) as process:
        groups = rule_groups(port)
        process.terminate()
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0
    assert "See you next time" in output
    assert {group["name"] for group in groups} == {path.stem for path in local_stack.rule_files()}
    written = tmp_path / "conf" / "prometheus.yml"
    assert written.read_bytes() == (local_stack.CONFIGURATION / "prometheus.yml").read_bytes()
    for path in local_stack.rule_files():
        assert (tmp_path / "conf/rules" / path.name).read_bytes() == path.read_bytes()


def test_alertmanager_and_runbook_come_from_the_environment(tmp_path: Path) -> None:
    """Every character of an address survives; the rest of the configuration is unchanged."""
    port = free_port()
    addresses = {
        "ALERTMANAGER": "alerts.example:9093",
        "RUNBOOK_URL": r"https://x.example/?a=1&b=\|",
    }
    listen = f"--web.listen-address=127.0.0.1:{port}"
    with started(tmp_path, local_stack.environment() | addresses, listen) as process:
        rule_groups(port)
        process.terminate()
        process.communicate(timeout=TIMEOUT_SECONDS)
    shipped = yaml.safe_load((local_stack.CONFIGURATION / "prometheus.yml").read_text())
    written = yaml.safe_load((tmp_path / "conf/prometheus.yml").read_text())
    assert written["global"]["external_labels"] == {"runbook": addresses["RUNBOOK_URL"]}
    (alertmanager,) = written["alerting"]["alertmanagers"]
    assert alertmanager == {"static_configs": [{"targets": [addresses["ALERTMANAGER"]]}]}
    for section in ("rule_files", "scrape_configs"):
        assert written[section] == shipped[section]


def test_without_the_configuration_in_the_environment_the_mounted_files_are_used(
    tmp_path: Path,
) -> None:
    """Docker Compose mounts monitoring/prometheus at /etc/prometheus."""
    for program in ("prometheus", "promtool"):
        require_tool(program, package="prometheus")
    script = (local_stack.CONFIGURATION / "start.sh").read_text()
    script = script.replace("/etc/prometheus", str(local_stack.CONFIGURATION))
    port = free_port()
    with subprocess.Popen(
        ["sh", "-c", script, "start", f"--web.listen-address=127.0.0.1:{port}"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "ALERTMANAGER": "alertmanager:9093"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            groups = rule_groups(port)
        finally:
            process.terminate()
    assert {group["name"] for group in groups} == {path.stem for path in local_stack.rule_files()}
    assert "[alertmanager:9093]" in (tmp_path / "conf/prometheus.yml").read_text()


def test_a_missing_rule_file_is_an_error_even_if_an_old_copy_exists(tmp_path: Path) -> None:
    """Prometheus would start without it; a volume may hold files of an earlier start."""
    old = tmp_path / "conf/rules/store.yaml"
    old.parent.mkdir(parents=True)
    old.write_text("groups: []")
    environment = local_stack.environment()
    del environment["PROMETHEUS_RULES_STORE"]
    with started(tmp_path, environment) as process:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode != 0
    assert 'rules/store.yaml" does not point to an existing file' in output


def test_an_api_that_serves_tls_is_up(tmp_path: Path) -> None:
    """Prometheus scrapes it on localhost, although its certificate is for another name."""
    certificate = trustme.CA().issue_cert("tracker.example")
    (chain,) = certificate.cert_chain_pems
    settings = builders.settings(
        "http://127.0.0.1:9",
        tls_certificate=chain.bytes().decode(),
        tls_key=certificate.private_key_pem.bytes().decode(),
    )
    port = free_port()
    with running(uvicorn_config(create_app(settings), server_context(settings), port=0)) as url:
        environment = local_stack.environment(settings.scheme)
        environment["PROMETHEUS_CONFIG"] = (
            environment["PROMETHEUS_CONFIG"]
            .replace("localhost:8000", url.removeprefix("http://"))
            .replace("scrape_interval: 15s", "scrape_interval: 500ms")
            .replace("scrape_timeout: 5s", "scrape_timeout: 500ms")
        )
        with started(tmp_path, environment, f"--web.listen-address=127.0.0.1:{port}") as process:
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while up_of_the_api(port) != ["1"]:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            process.terminate()
            process.communicate(timeout=TIMEOUT_SECONDS)


def up_of_the_api(port: int) -> list[str]:
    """Return the value of `up`, or nothing while Prometheus has none."""
    try:
        query = f"http://127.0.0.1:{port}/api/v1/query?query=up%7Bjob%3D%22api%22%7D"
        with urllib.request.urlopen(query, timeout=1) as response:
            return [series["value"][1] for series in json.load(response)["data"]["result"]]
    except OSError:
        return []
