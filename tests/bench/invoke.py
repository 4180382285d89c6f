"""Calls a Lambda's handler in a process of its own, and prints what that took.

`python -S -m invoke <module> <calls> <port> < event`, from the directory of a package: as in a
container, its files and Python's own are all there is. Names are answered with a port of this
machine, where the store is.
"""

import importlib
import json
import os
import resource
import socket
import sys
from typing import Any

# So many calls count, the last ones, where there is more than the first.
COUNTED = 1000


def cpu_seconds() -> float:
    """Add up what this process used from its start, in all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def bring_names_to(port: int) -> None:
    look_up = socket.getaddrinfo

    def found(*_: Any, **__: Any) -> Any:
        return look_up("127.0.0.1", port, type=socket.SOCK_STREAM)

    socket.getaddrinfo = found


def main() -> None:
    module, calls, port = sys.argv[1:]
    event = json.load(sys.stdin)
    bring_names_to(int(port))
    handler = importlib.import_module(module).handler
    answer = handler(event, None)
    cold = cpu_seconds()
    before = cold
    for call in range(int(calls)):
        if call == int(calls) - COUNTED:
            before = cpu_seconds()
        answer = handler(event, None)
    warm = (cpu_seconds() - before) / COUNTED
    figures = {"cold_ms": cold * 1e3, "warm_us": warm * 1e6}
    print(json.dumps({"status": answer["statusCode"], "body": answer["body"], **figures}))
    sys.stdout.flush()
    # What ends a process is no part of a start.
    os._exit(0)


if __name__ == "__main__":
    main()
