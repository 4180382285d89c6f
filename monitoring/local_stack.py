"""`make stack`: the containers of the ECS task and Alertmanager as processes on this machine.

The API with its embedded store, node-exporter and Prometheus reach each other on localhost, as in
the ECS task. Prometheus and Alertmanager start as they do on ECS, with their configuration from the
environment. Alertmanager is left out where it is not installed.
"""

import argparse
import base64
import gzip
import os
import re
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import yaml

from api.healthcheck import unverified
from api.local import processes
from api.local.processes import ROOT
from monitoring import programs
from monitoring.programs import EndedError, Program

CONFIGURATION = ROOT / "monitoring" / "prometheus"
ALERTMANAGER_CONFIGURATION = ROOT / "monitoring" / "alertmanager"
API, PROMETHEUS, ALERTMANAGER, NODE_EXPORTER = 8000, 9090, 9093, 9100
PORT_SECONDS = 5
READY_SECONDS = 60

RunningProgram = AbstractContextManager[Program]


class NotHereError(Exception):
    """The stack cannot run on this machine; the message says why."""


def rule_files() -> list[Path]:
    """Return the rule files that the sidecar's configuration names."""
    configuration = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text())
    return [CONFIGURATION / name for name in configuration["rule_files"]]


def packed(path: Path) -> str:
    """Encode a rule file as its SSM parameter holds it."""
    return base64.b64encode(gzip.compress(path.read_bytes(), mtime=0)).decode()


def environment(scheme: str = "http", port: int = API) -> dict[str, str]:
    """Return the variables with Prometheus' configuration, for an API at a scheme and a port."""
    rules = {f"PROMETHEUS_RULES_{path.stem.upper()}": packed(path) for path in rule_files()}
    configuration = (CONFIGURATION / "prometheus.yml").read_text()
    # As in terraform/configuration.tf.
    configuration = configuration.replace("scheme: http\n", f"scheme: {scheme}\n")
    configuration = configuration.replace(f"[localhost:{API}]", f"[localhost:{port}]")
    return {"PROMETHEUS_CONFIG": configuration, **rules}


def alertmanager_environment() -> dict[str, str]:
    """Return the variable with Alertmanager's configuration."""
    return {"ALERTMANAGER_CONFIG": (ALERTMANAGER_CONFIGURATION / "alertmanager.yml").read_text()}


def has_alertmanager() -> bool:
    return programs.find("alertmanager") is not None


def api_scheme(settings: Mapping[str, str]) -> str:
    """Return the scheme that the API serves with these environment variables."""
    tls = settings.get("TLS_CERTFILE") or settings.get("TLS_CERTIFICATE")
    return "https" if tls else "http"


def api_port(settings: Mapping[str, str]) -> int:
    """Return the port that the API listens on with these environment variables.

    Raises:
        NotHereError: it is not one that Prometheus can be told.
    """
    port = settings.get("PORT") or str(API)
    if not re.fullmatch("[1-9][0-9]{0,4}", port):
        raise NotHereError(f"PORT={port} is not a port; the default is PORT={API}")
    return int(port)


@contextmanager
def running(data: Path, *, log: Path | None = None, **settings: str) -> Iterator[Sequence[Program]]:
    """Run the containers, and yield them. The settings are environment variables.

    The API logs to this process' standard error, unless a file is given.

    Raises:
        NotHereError: a program is missing, or a port is in use.
    """
    node_exporter = _program("node-exporter")
    _program("prometheus")
    port = api_port(os.environ | settings)
    _require_free_ports(port)
    flags = (ROOT / "monitoring/node-exporter/flags").read_text().splitlines()
    launcher = [sys.executable, "-m", "api.local.launcher", "--data", str(data)]
    configuration = environment(api_scheme(os.environ | settings), port)
    api = {"HOST": "127.0.0.1", "PORT": str(port), **settings}
    with ExitStack() as stack:
        parts = [alertmanager(data, ALERTMANAGER, settings)] if has_alertmanager() else []
        parts += [
            programs.running(
                "node-exporter", [node_exporter, *flags], ROOT, {}, data / "node-exporter.log"
            ),
            prometheus(data, PROMETHEUS, configuration | settings),
            programs.running("The API", launcher, ROOT, api, log),
        ]
        yield [stack.enter_context(part) for part in parts]


def alertmanager(data: Path, port: int, settings: Mapping[str, str]) -> RunningProgram:
    """Run Alertmanager with the shipped configuration, unless the settings have another."""
    return _started(
        ALERTMANAGER_CONFIGURATION, data, port, {**alertmanager_environment(), **settings}
    )


def prometheus(data: Path, port: int, settings: Mapping[str, str], *flags: str) -> RunningProgram:
    """Run Prometheus with the configuration in the settings."""
    return _started(CONFIGURATION, data, port, settings, *flags)


def _started(
    source: Path, data: Path, port: int, settings: Mapping[str, str], *flags: str
) -> RunningProgram:
    """Run the start.sh of a directory as its container does, in a directory of its own."""
    home = data / source.name
    home.mkdir(parents=True, exist_ok=True)
    listen = f"--web.listen-address=127.0.0.1:{port}"
    command = ["sh", str(source / "start.sh"), listen, *flags]
    return programs.running(source.name, command, home, settings, data / f"{source.name}.log")


def _require_free_ports(api: int) -> None:
    if not processes.wait_until_free("127.0.0.1", api, PORT_SECONDS):
        raise NotHereError(f"Port {api} is in use; try PORT={api + 1} make stack")
    for port in (PROMETHEUS, NODE_EXPORTER, *([ALERTMANAGER] if has_alertmanager() else [])):
        if not processes.wait_until_free("127.0.0.1", port, PORT_SECONDS):
            raise NotHereError(
                f"Port {port} is in use, but the configuration needs it. Debian's packages start "
                "services: systemctl disable --now prometheus prometheus-node-exporter "
                "prometheus-alertmanager"
            )


def wait_until_ready(parts: Sequence[Program]) -> None:
    """Wait until all respond.

    Raises:
        NotHereError: one of them did not.
        EndedError: one of them ended.
    """
    addresses = [
        f"{api_scheme(os.environ)}://127.0.0.1:{api_port(os.environ)}/readyz",
        f"http://127.0.0.1:{PROMETHEUS}/-/ready",
        f"http://127.0.0.1:{NODE_EXPORTER}/metrics",
    ]
    if has_alertmanager():
        addresses.append(f"http://127.0.0.1:{ALERTMANAGER}/-/ready")
    for address in addresses:
        _wait_for(address, parts)


def _wait_for(url: str, parts: Sequence[Program]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _responds(url):
        programs.check(parts)
        if time.monotonic() > deadline:
            raise NotHereError(f"{url} did not respond within {READY_SECONDS} s")
        time.sleep(processes.POLL_SECONDS)


def _responds(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1, context=unverified()).close()  # noqa: S310 - this machine's URLs
    except (urllib.error.URLError, OSError):
        return False
    return True


def _program(name: str) -> str:
    if found := programs.find(name):
        return found
    raise NotHereError(
        f"{name} is not installed: `apt-get install prometheus prometheus-node-exporter`, or use "
        "`docker compose up`"
    )


def where_alerts_go() -> str:
    """Return what `make stack` prints of Alertmanager."""
    if not has_alertmanager():
        return "not installed, so no alert is sent: `apt-get install prometheus-alertmanager`"
    webhook = (
        "" if os.environ.get("ALERT_WEBHOOK_URL") else " (sends nothing: no ALERT_WEBHOOK_URL)"
    )
    return f"http://127.0.0.1:{ALERTMANAGER}{webhook}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".data"), help="directory for data")
    data = parser.parse_args().data.resolve()
    processes.end_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with running(data) as parts:
            wait_until_ready(parts)
            url = f"http://127.0.0.1:{PROMETHEUS}/alerts"
            sys.stdout.write(f"  Prometheus     {url} (log in {data.name}/)\n")
            sys.stdout.write(f"  Alertmanager   {where_alerts_go()}\n\n")
            sys.stdout.flush()
            programs.watch(parts)
    except (NotHereError, EndedError) as reason:
        sys.exit(str(reason))
    except OSError as error:
        sys.exit(f"{error.filename} cannot be used: {error.strerror}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
