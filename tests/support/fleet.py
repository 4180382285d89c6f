"""Processes of the API on one table, which tests replace while clients send requests."""

import itertools
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO

import httpx

from api.local.processes import ROOT
from api.settings import Settings

POLL_SECONDS = 0.01
MAX_WAIT_SECONDS = 60
# What the API must not log while its store works.
ERRORS = re.compile(r'.*(?:Traceback|"level": "error"|"/v1/tasks[^"]*", "status": 5).*')


def poll(reason: str) -> Iterator[int]:
    """Count attempts with a pause between them; fail with this reason after MAX_WAIT_SECONDS."""
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    for attempt in itertools.count(1):
        yield attempt
        assert time.monotonic() < deadline, reason
        time.sleep(POLL_SECONDS)


class Api:
    """One process of the API and its log."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._log = log
        self.process = process
        self.url = ""
        # Set when a writer has sent a request.
        self.asked = threading.Event()
        # The start times, by time.monotonic(), of requests that lost their connection.
        self.cut_off: list[float] = []

    def wait_until_ready(self) -> None:
        for _ in poll("the API is not ready"):
            if self._is_ready():
                return
            assert self.process.poll() is None, self._logged()

    def errors(self) -> list[str]:
        return ERRORS.findall(self._logged())

    def _is_ready(self) -> bool:
        found = re.search(r"running on (http://\S+) ", self._logged())
        self.url = found[1] if found else ""
        return bool(found) and httpx.get(f"{self.url}/readyz").status_code == 200

    def _logged(self) -> str:
        # pread leaves the file's position, at which the process writes.
        file = self._log.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")


class Fleet(ExitStack):
    """Processes of the API on one table; writers send their requests to the current one."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._environment = os.environ | {
            "AUTH": settings.auth,
            "BACKLOG": settings.backlog,
            "CURSOR_SECRET": settings.cursor_secret.get_secret_value(),
            "TABLE_NAME": settings.table_name,
            "DYNAMODB_ENDPOINT": str(settings.dynamodb_endpoint),
            "PORT": "0",
            "LOG_FORMAT": "json",
        }
        self.started: list[Api] = []
        self.current = self.start()

    def start(self) -> Api:
        """Start a process without waiting until it is ready."""
        log = self.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        command = [sys.executable, "-m", "api"]
        process = self.enter_context(
            subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
        )
        self.callback(process.kill)
        self.started.append(Api(process, log))
        return self.started[-1]

    def restart(self) -> None:
        """Kill the current process, and start one at its address."""
        port = httpx.URL(self.current.url).port
        self.current.process.kill()
        self.current.process.wait()
        self._environment["PORT"] = str(port)
        self.current = self.start()
        self.current.wait_until_ready()
