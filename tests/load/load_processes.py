"""The processes of a load test: the API, a stand-in for DynamoDB, and clients."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx

from api.local.processes import ROOT
from tests.bench import bench, stub

# A page of tasks: the most expensive request that is frequent.
PATH = f"/v1/tasks?limit={stub.PAGE}"
PROBE_SECONDS = 0.02
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Api(NamedTuple):
    """The API in a process of its own."""

    pid: int
    url: str
    logs: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_BYTES

    def store_calls(self, operation: str) -> float:
        page = httpx.get(f"{self.url}/metrics").text.splitlines()
        series = f'dynamodb_calls_total{{operation="{operation}",outcome="ok"}}'
        return sum(float(line.split()[-1]) for line in page if line.startswith(series))

    def load(self, *, rate: float = 0, seconds: float, connections: int) -> dict[str, Any]:
        """Run the open-loop client in a process of its own, and return its report."""
        command = [sys.executable, "-m", "tests.load.client", str(self.port), PATH]
        command += [f"--rate={rate}", f"--seconds={seconds}", f"--connections={connections}"]
        run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        report: dict[str, Any] = json.loads(run.stdout)
        return report


@contextmanager
def serving(logs: Path) -> Iterator[Api]:
    """Serve the API on a store whose calls always take the same short time."""
    store_command = [sys.executable, "-m", "tests.bench.stub", "0"]
    with bench.started(store_command, logs / "store.log") as store:
        assert store.stdout
        endpoint = f"http://127.0.0.1:{store.stdout.readline().strip()}"
        with bench.running("this app", endpoint, logs) as (pid, url):
            yield Api(pid, url, logs)


@contextmanager
def slow_clients(api: Api, *, silent: int, trickling: int) -> Iterator[None]:
    """Keep so many slow clients connected to the API."""
    command = [sys.executable, "-m", "tests.load.slow_clients"]
    numbers = [str(api.port), str(silent), str(trickling)]
    with bench.started(command + numbers, api.logs / "slow_clients.log") as process:
        assert process.stdout
        assert process.stdout.readline() == "connected\n"
        yield


class Probe:
    """Requests a path repeatedly, as a platform's health check does; latencies in seconds."""

    def __init__(self, api: Api, path: str) -> None:
        self._url = api.url + path
        self.seconds: list[float] = []
        self.failures = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._stopping.wait(PROBE_SECONDS):
                began = time.perf_counter()
                self.failures += client.get(self._url).status_code != 200
                self.seconds.append(time.perf_counter() - began)
