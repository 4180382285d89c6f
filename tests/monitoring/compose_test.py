"""compose.yaml: pinned images, local ports, no published keys, and the limits of the ECS task."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from api.local.processes import ROOT
from tests.support.builders import Client
from tests.support.ports import free_port, wait_until_taken
from tests.support.secured_app import bearer

SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
MAX_WAIT_SECONDS = 20


def test_every_image_is_pinned_by_digest() -> None:
    """The services' images and the base of Grafana's Dockerfile."""
    dockerfile = (ROOT / "monitoring/grafana/Dockerfile").read_text()
    # The other stages name the first.
    bases = re.findall(r"^FROM (\S+/\S+)", dockerfile, re.MULTILINE)
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    assert len(bases + images) == 6
    for image in bases + images:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", image)


def test_sidecars_run_the_images_of_the_ecs_tasks() -> None:
    """Terraform's defaults are the same images, from a registry without limits of pulls."""
    variables = (ROOT / "terraform" / "variables.tf").read_text()
    for name in ("prometheus", "node-exporter", "alertmanager"):
        image = SERVICES[name]["image"]
        assert image.startswith(f"quay.io/prometheus/{name}:")
        variable = f"{name.replace('-', '_')}_image"
        assert (
            re.findall(rf'"{variable}" {{.*?default += "(.*?)"', variables, re.DOTALL)[0] == image
        )


def test_ports_are_bound_to_loopback() -> None:
    """Grafana's password has a public default here, so no other machine may connect."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert sorted(ports) == [f"127.0.0.1:{port}:{port}" for port in (3000, 8000, 9090)]


def test_the_ecs_tasks_containers_share_a_network_that_outlives_each() -> None:
    """All three reach each other on localhost, also after one of them has restarted."""
    members = {name for name, service in SERVICES.items() if "network_mode" in service}
    assert members == {"api", "node-exporter", "prometheus"}
    assert {SERVICES[name]["network_mode"] for name in members} == {"service:task"}
    assert SERVICES["task"]["entrypoint"][0] == "sleep"


def test_node_exporter_has_the_flags_of_the_ecs_task() -> None:
    """Its flags are those in monitoring/node-exporter/flags."""
    flags = (ROOT / "monitoring/node-exporter/flags").read_text().splitlines()
    assert SERVICES["node-exporter"]["command"] == [flag.replace("$", "$$") for flag in flags]


def test_prometheus_and_alertmanager_start_as_on_ecs() -> None:
    """The scripts of the ECS tasks start them, and Prometheus sends alerts to the Alertmanager."""
    assert SERVICES["prometheus"]["entrypoint"] == ["/bin/sh", "/etc/prometheus/start.sh"]
    assert SERVICES["prometheus"]["environment"]["ALERTMANAGER"] == "alertmanager:9093"
    assert "sh /etc/alertmanager/start.sh" in SERVICES["alertmanager"]["command"][0]
    for name in ("prometheus", "alertmanager"):
        assert f"./monitoring/{name}:/etc/{name}:ro" in SERVICES[name]["volumes"]


def test_the_api_generates_its_secrets(moto: str, tmp_path: Path) -> None:
    """The command in compose.yaml serves the API with a fresh bootstrap key in its /tmp.

    With that key `make key` creates an API key. Only the container's user can read it.
    """
    api = SERVICES["api"]
    assert "AUTH" not in api["environment"]
    for name in ("BOOTSTRAP_KEY", "CURSOR_SECRET"):
        assert api["environment"][name] == f"${{{name}:-}}"
    (path,) = re.findall(r"> (/tmp/\w+)", str(api["command"]))
    assert any(mount.startswith("/tmp:") for mount in api["tmpfs"])  # noqa: S108 - the container's
    port = free_port()
    with subprocess.Popen(
        [part.replace("$$", "$").replace("/tmp/", f"{tmp_path}/") for part in api["command"]],  # noqa: S108
        cwd=ROOT,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PORT": str(port),
            "BOOTSTRAP_KEY": "",
            "CURSOR_SECRET": "",
            "DYNAMODB_ENDPOINT": moto,
            "TABLE_NAME": "compose",
        },
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert wait_until_taken(port, process, MAX_WAIT_SECONDS)
            key_file = tmp_path / Path(path).name
            assert key_file.stat().st_mode & 0o777 == 0o600
            url = f"http://127.0.0.1:{port}"
            key = make_key(url, key_file.read_text())
            with Client(base_url=url, headers=bearer(key)) as client:
                client.create()
            # The API is process 1 of the container, instead of a shell, and receives its signals.
            process.terminate()
            _, log = process.communicate(timeout=MAX_WAIT_SECONDS)
            assert b"Application shutdown complete" in log
        finally:
            process.kill()


def make_key(url: str, bootstrap_key: str) -> str:
    return subprocess.check_output(
        [sys.executable, "terraform/scripts/key.py"],
        cwd=ROOT,
        env=os.environ | {"URL": url, "BOOTSTRAP_KEY": bootstrap_key},
        text=True,
    ).strip()


def test_containers_are_restricted() -> None:
    """They gain no privileges, and have memory limits; all but the store have a read-only root."""
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] == (name != "dynamodb"), name


def test_memory_limits_are_those_of_the_ecs_tasks() -> None:
    """With Terraform's default for the ECS task; Go programs stay below their limit."""
    terraform = "".join(
        (ROOT / "terraform" / name).read_text()
        for name in ("alertmanager.tf", "containers.tf", "variables.tf")
    )

    def number(pattern: str) -> int:
        return int(re.findall(pattern, terraform, re.DOTALL)[0])

    prometheus = number(r"prometheus_memory_mib += (\d+)")
    node_exporter = number(r"node_exporter_memory_mib += (\d+)")
    task = number(r'"task_memory_mib" {.*?default += (\d+)')
    alertmanager = number(r"alertmanager_memory_mib += (\d+)")
    grafana = number(r'"grafana_memory_mib" {.*?default += (\d+)')
    limits = {name: service["mem_limit"] for name, service in SERVICES.items()}
    assert limits.pop("dynamodb")
    assert limits.pop("task")
    assert limits == {
        "api": f"{task - prometheus - node_exporter}m",
        "prometheus": f"{prometheus}m",
        "node-exporter": f"{node_exporter}m",
        "grafana": f"{grafana - alertmanager}m",
        "alertmanager": f"{alertmanager}m",
    }
    go_limits = set(re.findall(r'"GOMEMLIMIT", value = "(\w+)"', terraform))
    assert go_limits == {
        SERVICES[name]["environment"]["GOMEMLIMIT"]
        for name in ("node-exporter", "prometheus", "alertmanager")
    }


def test_containers_restart() -> None:
    """As on ECS, where a restart policy or the service starts them again."""
    assert {service["restart"] for service in SERVICES.values()} == {"unless-stopped"}


def test_grafana_forgets_everything_when_it_stops() -> None:
    """Its writable directories are in memory, so that a changed password takes effect."""
    dockerfile = (ROOT / "monitoring/grafana/Dockerfile").read_text()
    (volumes,) = re.findall(r"^VOLUME (.*)$", dockerfile, re.MULTILINE)
    mounts = {mount.partition(":")[0] for mount in SERVICES["grafana"]["tmpfs"]}
    assert mounts == set(yaml.safe_load(volumes))


def test_the_default_password_of_grafana_is_not_admin() -> None:
    """GRAFANA_PASSWORD replaces the default."""
    password = SERVICES["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"]
    assert re.fullmatch(r"\$\{GRAFANA_PASSWORD:-(?!admin).+\}", password)
