"""The processes of a load test: the API as it ships, its store's stand-in, clients, the crowd."""

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

from tests.bench import bench, stub
from tests.support.processes import ROOT

# A page of tasks: the dearest answer that is asked for often.
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

    def calls_to_store(self, operation: str) -> float:
        page = httpx.get(f"{self.url}/metrics").text.splitlines()
        wanted = f'dynamodb_calls_total{{operation="{operation}",outcome="ok"}}'
        return sum(float(line.split()[-1]) for line in page if line.startswith(wanted))

    def load(self, *, rate: float = 0, seconds: float, connections: int) -> dict[str, Any]:
        """Send what a client of its own process sends, and tell what it was told."""
        command = [sys.executable, "-m", "tests.load.client", str(self.port), PATH]
        options = {"rate": rate, "seconds": seconds, "connections": connections}
        said = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        run = subprocess.run([*command, *said], cwd=ROOT, check=True, capture_output=True)
        report: dict[str, Any] = json.loads(run.stdout)
        return report


@contextmanager
def serving(logs: Path) -> Iterator[Api]:
    """Serve the API as it ships, on a store that always takes the same short time."""
    stubbed = [sys.executable, "-m", "tests.bench.stub", "0"]
    with bench.started(stubbed, logs / "store.log") as store:
        assert store.stdout
        endpoint = f"http://127.0.0.1:{store.stdout.readline().strip()}"
        with bench.running("this app", endpoint, logs) as (pid, url):
            yield Api(pid, url, logs)


@contextmanager
def crowded(api: Api, *, silent: int, trickling: int) -> Iterator[None]:
    """Keep so many clients at the API that take a place and do nothing with it."""
    command = [sys.executable, "-m", "tests.load.crowd"]
    numbers = [str(api.port), str(silent), str(trickling)]
    with bench.started(command + numbers, api.logs / "crowd.log") as crowd:
        assert crowd.stdout
        assert crowd.stdout.readline() == "there\n"
        yield


class Probe:
    """Asks one path again and again, as a platform does, and notes times in seconds."""

    def __init__(self, api: Api, path: str) -> None:
        self._url = api.url + path
        self.seconds: list[float] = []
        self.failures = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._stopping.wait(PROBE_SECONDS):
                began = time.perf_counter()
                self.failures += client.get(self._url).status_code != 200
                self.seconds.append(time.perf_counter() - began)
