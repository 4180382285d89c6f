"""Programs that run beside this one and end when it does."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
POLL_SECONDS = 0.1


def start_store(journal: Path | None = None) -> tuple[subprocess.Popen[str], str]:
    """Start the embedded store in a process of its own, and return it with its address."""
    command = [sys.executable, "-m", "tests.support.store"]
    store = subprocess.Popen(
        [*command, "--journal", str(journal)] if journal else command,
        cwd=ROOT,
        # It reads until this pipe closes: the kernel closes it when this process ends.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C is for the launcher, which then ends the store.
        start_new_session=True,
    )
    assert store.stdout
    port = store.stdout.readline().strip()
    if not port:
        sys.exit(store.wait())
    return store, f"http://127.0.0.1:{port}"


def end_with_parent() -> None:
    """Stop this process as Ctrl-C would when its parent is gone, even by kill -9."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def end_with(process: subprocess.Popen[str], why: str) -> None:
    """Stop this process when the other one ends, and say why."""

    def watch() -> None:
        process.wait()
        print(why, file=sys.stderr)
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


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Find ports that others who look at the same time hardly find.

    They are none of those that Linux gives to connections that go out.
    """
    ports = secrets.SystemRandom().sample(range(10_000, 30_000), 100)
    return list(islice((port for port in ports if is_free(host, port)), count))


def free_port(host: str = "127.0.0.1") -> int:
    return free_ports(1, host)[0]


def wait_until_taken(port: int, by: subprocess.Popen[Any], seconds: float) -> bool:
    """Wait for a port that a process is going to take; it may end or need too long instead."""
    deadline = time.monotonic() + seconds
    while is_free("127.0.0.1", port):
        if by.poll() is not None or time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def wait_until_free(host: str, port: int, seconds: float) -> bool:
    """Wait for a port that a process on its way out may still hold."""
    deadline = time.monotonic() + seconds
    while not is_free(host, port):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
