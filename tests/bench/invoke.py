"""Invokes a function once, and prints its response and the CPU time of the process until then.

`python -S -m invoke <module> <port> < event`, from the directory of an unpacked package. Every
host name resolves to the given port of this machine, where the stand-in for DynamoDB listens.
"""

import importlib
import json
import os
import resource
import socket
import sys
from typing import Any


def resolve_everything_to(port: int) -> None:
    getaddrinfo = socket.getaddrinfo

    def local(*_: Any, **__: Any) -> Any:
        return getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)

    socket.getaddrinfo = local


def main() -> None:
    module, port = sys.argv[1:]
    event = json.load(sys.stdin)
    resolve_everything_to(int(port))
    response = importlib.import_module(module).handler(event, None)
    used = resource.getrusage(resource.RUSAGE_SELF)
    milliseconds = (used.ru_utime + used.ru_stime) * 1e3
    result = {"status": response["statusCode"], "body": response["body"], "cpu_ms": milliseconds}
    print(json.dumps(result), flush=True)
    # The end of the process is not part of its start.
    os._exit(0)


if __name__ == "__main__":
    main()
