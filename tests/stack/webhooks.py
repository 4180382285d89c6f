"""The receivers of Alertmanager's calls: what a person and a dead man's switch get."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Alert = dict[str, Any]


class Call(NamedTuple):
    """A call of a webhook: when it came, and what it says of a group of alerts."""

    at: float
    path: str
    status: str
    alerts: list[Alert]

    @property
    def names(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.alerts}

    @property
    def text(self) -> str:
        """The message as a person reads it."""
        return "\n".join(
            "{labels[severity]}: {labels[alertname]} is {status} since {startsAt}. "
            "{annotations[summary]}. {annotations[description]} {annotations[runbook_url]}".format(
                **alert
            )
            for alert in self.alerts
        )


class Webhooks:
    """Collects calls; `/alerts` is for people, `/watchdog` is the dead man's switch."""

    def __init__(self, port: int) -> None:
        self.settings = {
            "ALERT_WEBHOOK_URL": f"http://127.0.0.1:{port}/alerts",
            "WATCHDOG_WEBHOOK_URL": f"http://127.0.0.1:{port}/watchdog",
        }
        self.calls: list[Call] = []

    def of(self, alert: str, status: str = "") -> list[Call]:
        """Return the calls about an alert, with any status unless one is given."""
        return [call for call in self.calls if alert in call.names and status in {"", call.status}]

    def switch(self) -> list[Call]:
        """Return the calls of the dead man's switch."""
        return [call for call in self.calls if call.path == "/watchdog"]

    def silent_for(self) -> float:
        """Return the seconds since the last call of the dead man's switch."""
        return time.monotonic() - self.switch()[-1].at


@contextmanager
def receiving() -> Iterator[Webhooks]:
    """Serve both webhooks on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            webhooks.calls.append(Call(time.monotonic(), self.path, body["status"], body["alerts"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        webhooks = Webhooks(server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield webhooks
        server.shutdown()
