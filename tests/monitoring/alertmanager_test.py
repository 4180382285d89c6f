"""Alertmanager's configuration and start script, checked with amtool."""

import os
import subprocess
from pathlib import Path

import yaml

from api.local.processes import is_free
from monitoring import local_stack
from tests.support.ports import free_port, wait_until_taken
from tests.support.require_tool import require_tool
from tests.support.wait import wait_until

TIMEOUT_SECONDS = 20
WEBHOOKS = {
    "ALERT_WEBHOOK_URL": r"https://alerts.example/a?b=1&c=\1|d'e$f",
    "WATCHDOG_WEBHOOK_URL": "https://watchdog.example/x",
}


def amtool(*arguments: str | Path) -> str:
    require_tool("amtool", package="prometheus-alertmanager")
    return subprocess.check_output(
        ["amtool", *arguments], text=True, stderr=subprocess.STDOUT, timeout=TIMEOUT_SECONDS
    )


def written(home: Path, settings: dict[str, str]) -> dict[str, object]:
    """Run start.sh, and return the configuration that Alertmanager runs with."""
    require_tool("prometheus-alertmanager", package="prometheus-alertmanager")
    port = free_port()
    with subprocess.Popen(
        [
            "sh",
            local_stack.ALERTMANAGER_CONFIGURATION / "start.sh",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        cwd=home,
        env={"PATH": os.environ["PATH"], **local_stack.alertmanager_environment(), **settings},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert wait_until_taken(port, process, TIMEOUT_SECONDS)
            process.terminate()
            process.wait(TIMEOUT_SECONDS)
            # Alertmanager itself receives SIGTERM, not a shell around it. Its exit code depends on
            # whether it handles signals yet, which it does shortly after it listens.
            wait_until(lambda: is_free("127.0.0.1", port), TIMEOUT_SECONDS)
        finally:
            process.kill()
    path = home / "alertmanager.yml"
    assert path.stat().st_mode & 0o077 == 0
    assert "SUCCESS" in amtool("check-config", path)
    configuration: dict[str, object] = yaml.safe_load(path.read_text())
    return configuration


def test_the_webhooks_of_the_environment_are_called(tmp_path: Path) -> None:
    """Every character of a URL survives, and only the container's user can read the file."""
    assert written(tmp_path, WEBHOOKS)["receivers"] == [
        {
            "name": "operators",
            "webhook_configs": [{"url": WEBHOOKS["ALERT_WEBHOOK_URL"], "send_resolved": True}],
        },
        {
            "name": "watchdog",
            "webhook_configs": [{"url": WEBHOOKS["WATCHDOG_WEBHOOK_URL"], "send_resolved": False}],
        },
    ]


def test_the_watchdog_alone_goes_to_the_dead_mans_switch(tmp_path: Path) -> None:
    """Pages and tickets go to the operators."""
    written(tmp_path, WEBHOOKS)
    for alert, receiver in (
        ("Watchdog", "watchdog"),
        ("ApiDown", "operators"),
        ("StoreErrors", "operators"),
    ):
        file = f"--config.file={tmp_path}/alertmanager.yml"
        routed = amtool("config", "routes", "test", file, f"alertname={alert}")
        assert routed.splitlines()[-1] == receiver


def test_without_webhooks_nothing_is_called(tmp_path: Path) -> None:
    """A webhook at a made-up address would log an error for each alert."""
    receivers = written(tmp_path, {})["receivers"]
    assert receivers == [{"name": "operators"}, {"name": "watchdog"}]
