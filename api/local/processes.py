"""Programs that run beside this one and end when it does."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
POLL_SECONDS = 0.1


def start_store(journal: Path | None = None) -> tuple[subprocess.Popen[str], str]:
    """Start the embedded store in a process of its own; return the process and its URL."""
    command = [sys.executable, "-m", "api.local.store"]
    store = subprocess.Popen(  # noqa: S603 - a module of this package
        [*command, "--journal", str(journal)] if journal else command,
        cwd=ROOT,
        # The store reads until this pipe closes, which the kernel does when this process ends.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C goes to the launcher only, which then ends the store.
        start_new_session=True,
    )
    port = store.stdout.readline().strip() if store.stdout else ""
    if not port:
        sys.exit(store.wait())
    return store, f"http://127.0.0.1:{port}"


def end_with_parent() -> None:
    """Send this process SIGTERM when its parent is gone, even after kill -9."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def end_with(process: subprocess.Popen[str], message: str) -> None:
    """Send this process SIGTERM when the other one ends, and print a message."""

    def watch() -> None:
        process.wait()
        sys.stderr.write(f"{message}\n")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def wait_until_free(host: str, port: int, seconds: float) -> bool:
    """Wait for a port that a process may hold until it has ended; return whether it is free."""
    deadline = time.monotonic() + seconds
    while not is_free(host, port):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
