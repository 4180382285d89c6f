"""Prometheus and Alertmanager with the shipped configuration, in which 20 s pass in one."""

import base64
import gzip
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from monitoring import local_stack
from tests.stack.webhooks import Webhooks
from tests.support.ports import free_port

SPEED = 20
# The first scrape is up to 5 s after the start of Prometheus; until then its targets are absent.
MIN_FOR_MILLISECONDS = 10_000
UNITS = {"s": 1, "m": 60, "h": 3600}
RUNBOOK_URL = "https://wiki.example/runbook?page=1&view=all"


def faster(text: str) -> str:
    """Shorten every duration that is the value of a setting; windows of PromQL stay."""

    def shorten(match: re.Match[str]) -> str:
        milliseconds = int(match[2]) * UNITS[match[3]] * 1000 // SPEED
        if match[1].strip() == "for:":
            milliseconds = max(milliseconds, MIN_FOR_MILLISECONDS)
        return f"{match[1]}{milliseconds}ms"

    return re.sub(r"^(\s*\w+: )(\d+)([smh])$", shorten, text, flags=re.MULTILINE)


class Target:
    """The port of a scrape target, which can be up or down."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.go_down()

    def go_up(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _Metrics)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def go_down(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Metrics(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Alerting:
    """An Alertmanager, and any number of Prometheus servers that send alerts to it."""

    def __init__(self, data: Path, webhooks: Webhooks) -> None:
        self.port = free_port()
        self._data = data
        configuration = faster(local_stack.alertmanager_environment()["ALERTMANAGER_CONFIG"])
        self._settings = {"ALERTMANAGER_CONFIG": configuration, **webhooks.settings}

    def alertmanager(self) -> local_stack.RunningProgram:
        return local_stack.alertmanager(self._data, self.port, self._settings)

    def prometheus(
        self, api: Target, others: Target | None = None, *, task: str = "1", rules: bool = True
    ) -> local_stack.RunningProgram:
        """Run the Prometheus of an ECS task that scrapes these targets."""
        port = free_port()
        text = local_stack.environment()["PROMETHEUS_CONFIG"]
        # Each ECS task has the API at the same address.
        text = text.replace(
            "[localhost:8000]",
            f"[localhost:{api.port}]\n        labels: {{instance: localhost:8000}}",
        )
        for name in ("localhost:9090", "localhost:9100"):
            text = text.replace(name, f"localhost:{others.port if others else port}")
        text = text.replace("  external_labels:\n", f"  external_labels:\n    task: '{task}'\n")
        if not rules:
            text = re.sub(r"rule_files:\n(  - .*\n)+", "", text)
        return local_stack.prometheus(
            self._data / f"task-{task}",
            port,
            {
                "PROMETHEUS_CONFIG": faster(text),
                "ALERTMANAGER": f"localhost:{self.port}",
                "RUNBOOK_URL": RUNBOOK_URL,
                **_faster_rules(),
            },
            f"--rules.alert.resend-delay={60 // SPEED}s",
        )


def _faster_rules() -> dict[str, str]:
    return {
        f"PROMETHEUS_RULES_{path.stem.upper()}": base64.b64encode(
            gzip.compress(faster(path.read_text()).encode())
        ).decode()
        for path in local_stack.rule_files()
    }
