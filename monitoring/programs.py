"""Programs that other projects make: where they are, and processes of them."""

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from api.local.processes import POLL_SECONDS

# The name in Debian first, then the upstream name.
NAMES = {
    "prometheus": ("prometheus",),
    "node-exporter": ("prometheus-node-exporter", "node_exporter"),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
}
STOP_SECONDS = 25
SHOWN_LINES = 5
PR_SET_PDEATHSIG = 1


class EndedError(Exception):
    """A program ended that should run; the message says which one, how, and its last lines."""


@dataclass(frozen=True)
class Program:
    """A running program."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def ending(self) -> str:
        """Return how it ended, and the last lines of its log."""
        return f"{self.name} ended {_how(self.process.wait())}; {self._last_lines()}"

    def _last_lines(self) -> str:
        if not self.log:
            return "its messages are above."
        lines = self.log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
        return "\n  ".join([f"the end of {self.log}:", *lines])


def _how(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


def check(running: Sequence[Program]) -> None:
    """Check that these programs run.

    Raises:
        EndedError: one has ended.
    """
    if ended := next((program for program in running if program.has_ended), None):
        raise EndedError(ended.ending())


def watch(running: Sequence[Program]) -> NoReturn:
    """Wait until one of these programs ends.

    Raises:
        EndedError: one has ended.
    """
    while True:
        check(running)
        time.sleep(POLL_SECONDS)


def find(name: str) -> str | None:
    """Return the path of a program, or nothing if it is not installed."""
    return next(filter(None, map(shutil.which, NAMES[name])), None)


@contextmanager
def running(
    name: str, command: list[str], directory: Path, settings: Mapping[str, str], log: Path | None
) -> Iterator[Program]:
    """Run a command with further environment variables, and stop it at the end.

    It logs to this process' standard error, unless a file is given.
    """
    output: Any = log.open("wb") if log else None
    process = subprocess.Popen(  # noqa: S603 - the programs of the stack
        command,
        cwd=directory,
        env={**os.environ, **settings},
        stdout=output,
        stderr=output,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - the other thread only sleeps
    )
    try:
        yield Program(name, process, log)
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
    """Let the kernel stop this process when its parent ends, even after kill -9."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
