"""Programs that other projects make: where they are, and processes of them."""

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# The name in Debian first, then the upstream name.
NAMES = {
    "prometheus": ("prometheus",),
    "node-exporter": ("prometheus-node-exporter", "node_exporter"),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
}
STOP_SECONDS = 25
PR_SET_PDEATHSIG = 1


def find(name: str) -> str | None:
    """Return the path of a program, or nothing if it is not installed."""
    return next(filter(None, map(shutil.which, NAMES[name])), None)


@contextmanager
def running(
    command: list[str], directory: Path, settings: Mapping[str, str], log: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
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
    """Let the kernel stop this process when its parent ends, even after kill -9."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
