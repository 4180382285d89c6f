"""The containers of compose.yaml: pinned, closed, and started as everywhere else."""

import re
import runpy
from typing import Any

import yaml

from tests.support.processes import ROOT

SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
FLAG = re.compile(r"--[\w.-]+(?:=\S+)?")


def test_every_image_is_pinned_by_digest() -> None:
    """Those of the services, and what Grafana's own is built on."""
    dockerfile = (ROOT / "monitoring/grafana/Dockerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    assert len(bases + images) == 4
    for image in bases + images:
        assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", image)


def test_nothing_is_open_to_other_machines() -> None:
    """Passwords have defaults here, and so every port is this machine's own."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert sorted(ports) == [f"127.0.0.1:{port}:{port}" for port in (3000, 8000, 9090)]


def test_the_exporters_share_the_network_of_the_api() -> None:
    """Localhost is the same for all three, as it is in the task."""
    assert {SERVICES[name]["network_mode"] for name in ("node-exporter", "prometheus")} == {
        "service:api"
    }


def test_node_exporter_has_the_flags_that_it_has_everywhere() -> None:
    """One list, in monitoring/node-exporter/flags."""
    listed = (ROOT / "monitoring/node-exporter/flags").read_text().splitlines()
    assert SERVICES["node-exporter"]["command"] == [flag.replace("$", "$$") for flag in listed]


def test_prometheus_stores_as_it_does_in_the_task() -> None:
    """For as long, and as much."""
    start = (ROOT / "monitoring/prometheus/start.sh").read_text()
    storage = {flag for flag in FLAG.findall(start) if "storage" in flag}
    assert storage == {flag for flag in SERVICES["prometheus"]["command"] if "storage" in flag}


def test_the_api_asks_for_keys_and_a_known_one_makes_them() -> None:
    """One command starts it all: the default is a whole key, and nobody takes it for a secret."""
    environment = SERVICES["api"]["environment"]
    assert "AUTH" not in environment
    default = re.fullmatch(r"\$\{BOOTSTRAP_KEY:-(.+)\}", environment["BOOTSTRAP_KEY"])
    assert default
    key = runpy.run_path(str(ROOT / "terraform/scripts/new_key.py"))["key"]
    assert default[1] == key("0" * 26, "0" * 64)


def test_grafana_has_no_password_that_everybody_knows() -> None:
    """A default for this machine alone, which is not admin."""
    password = SERVICES["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"]
    assert re.fullmatch(r"\$\{GRAFANA_PASSWORD:-(?!admin).+\}", password)
