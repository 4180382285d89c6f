"""`make stack`: the containers of one Fargate task as processes of this machine.

The API with its embedded store, node-exporter and Prometheus find each other on localhost, as they
do in the task's network namespace, and Prometheus begins as it does there: with a configuration
that its environment carries.
"""

import argparse
import base64
import ctypes
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support import processes
from tests.support.processes import ROOT

CONFIGURATION = ROOT / "monitoring" / "prometheus"
API, PROMETHEUS, NODE_EXPORTER = 8000, 9090, 9100
# What each is called by Debian, and by everybody else.
PROGRAMS = {
    "prometheus": ("prometheus",),
    "node-exporter": ("prometheus-node-exporter", "node_exporter"),
}
PORT_SECONDS = 5
READY_SECONDS = 60
STOP_SECONDS = 25
PR_SET_PDEATHSIG = 1


class NotHereError(Exception):
    """The stack cannot run on this machine; the message says why."""


def rule_files() -> list[Path]:
    """Find the rules of the sidecar, which its configuration names."""
    configuration = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text())
    return [CONFIGURATION / name for name in configuration["rule_files"]]


def packed(path: Path) -> str:
    """Write a rule file as a parameter holds it."""
    return base64.b64encode(gzip.compress(path.read_bytes(), mtime=0)).decode()


def environment() -> dict[str, str]:
    """Make what carries Prometheus' configuration into its container."""
    rules = {f"PROMETHEUS_RULES_{path.stem.upper()}": packed(path) for path in rule_files()}
    return {"PROMETHEUS_CONFIG": (CONFIGURATION / "prometheus.yml").read_text(), **rules}


@contextmanager
def running(
    data: Path, *, log: Path | None = None, **settings: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the task's containers, and give the API's process; the others end with the context.

    The API's log goes to where this process' does, unless a file is named.

    Raises:
        NotHereError: a program is missing, or a port is taken.
    """
    node_exporter = _program("node-exporter")
    _program("prometheus")
    for port in (API, PROMETHEUS, NODE_EXPORTER):
        if not processes.wait_until_free("127.0.0.1", port, PORT_SECONDS):
            raise NotHereError(
                f"Port {port} is taken, and the configuration names it. Debian's packages start "
                "services: systemctl disable --now prometheus prometheus-node-exporter"
            )
    flags = (ROOT / "monitoring/node-exporter/flags").read_text().splitlines()
    home = data / "prometheus"
    home.mkdir(parents=True, exist_ok=True)
    listen = f"--web.listen-address=127.0.0.1:{PROMETHEUS}"
    launcher = [sys.executable, "-m", "tests.support.launch", "--data", str(data)]
    api = {"HOST": "127.0.0.1", "PORT": str(API), **settings}
    with ExitStack() as stack:
        stack.enter_context(_process([node_exporter, *flags], ROOT, {}, data / "node-exporter.log"))
        stack.enter_context(
            _process(
                ["sh", str(CONFIGURATION / "start.sh"), listen],
                home,
                environment(),
                data / "prometheus.log",
            )
        )
        yield stack.enter_context(_process(launcher, ROOT, api, log))


def wait_until_ready() -> None:
    """Wait until all three answer.

    Raises:
        NotHereError: one of them did not.
    """
    for address in (
        f"http://127.0.0.1:{API}/readyz",
        f"http://127.0.0.1:{PROMETHEUS}/-/ready",
        f"http://127.0.0.1:{NODE_EXPORTER}/metrics",
    ):
        _wait_for(address)


def rule_groups(port: int) -> list[dict[str, Any]]:
    """Read which groups of rules a Prometheus runs, as soon as it answers.

    Raises:
        NotHereError: it did not.
    """
    url = f"http://127.0.0.1:{port}/api/v1/rules"
    _wait_for(url)
    with urllib.request.urlopen(url, timeout=1) as answer:
        groups: list[dict[str, Any]] = json.load(answer)["data"]["groups"]
    return groups


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _answers(url):
        if time.monotonic() > deadline:
            raise NotHereError(f"{url} did not answer in {READY_SECONDS} s")
        time.sleep(processes.POLL_SECONDS)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


def _program(name: str) -> str:
    for candidate in PROGRAMS[name]:
        if found := shutil.which(candidate):
            return found
    raise NotHereError(
        f"{name} is not on this machine: `apt-get install prometheus prometheus-node-exporter`, or "
        "`docker compose up` for all of it in containers"
    )


@contextmanager
def _process(
    command: list[str], directory: Path, settings: dict[str, str], log: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    output: Any = log.open("wb") if log else None
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=os.environ | settings,
        stdout=output,
        stderr=output,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - the other thread only sleeps
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if output:
            output.close()


def _end_with_parent() -> None:
    """Ask the kernel to stop this process when its parent dies, even by kill -9."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".data"), help="what is kept")
    data = parser.parse_args().data.resolve()
    processes.end_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with running(data) as api:
            wait_until_ready()
            print(f"  Prometheus     http://127.0.0.1:{PROMETHEUS}/alerts (log in {data.name}/)\n")
            sys.exit(api.wait())
    except NotHereError as reason:
        sys.exit(str(reason))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
