"""Free ports for the programs that tests start."""

import secrets
import subprocess
import time
from itertools import islice
from typing import Any

from api.local.processes import POLL_SECONDS, is_free


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Find free ports; they are random, and outside of Linux's range for outgoing connections."""
    ports = secrets.SystemRandom().sample(range(10_000, 30_000), 100)
    return list(islice((port for port in ports if is_free(host, port)), count))


def free_port(host: str = "127.0.0.1") -> int:
    return free_ports(1, host)[0]


def wait_until_taken(port: int, by: subprocess.Popen[Any], seconds: float) -> bool:
    """Wait until a process listens on a port; return False if it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while is_free("127.0.0.1", port):
        if by.poll() is not None or time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
