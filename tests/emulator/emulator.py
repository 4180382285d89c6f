"""AWS's emulator of Lambda's runtime, with AWS's own client of it, running an unpacked package."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.emulator.preview import REGION, Preview
from tests.support.gateway import Context
from tests.support.packaging import MACHINES
from tests.support.presence import absent
from tests.support.processes import ROOT, free_ports, wait_until_taken

VENV = ROOT / "build/emulator-venv"
PYTHON = VENV / "bin/python"
START_SECONDS = 30
PATH = "/2015-03-31/functions/function/invocations"
# As a function has them; the emulators of the store take any.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_SESSION_TOKEN": "not-a-secret-either",
}


class FunctionError(Exception):
    """The function did not answer, which Lambda says in these words."""


class Emulator:
    """One function: its invocations, its runtime's process, and what it has written."""

    def __init__(self, process: subprocess.Popen[bytes], client: httpx.Client, log: Path) -> None:
        self._process = process
        self._client = client
        self._log = log

    def __call__(self, event: Any, _context: Context | None = None) -> Any:
        """Invoke it.

        Raises:
            FunctionError: there was an error instead of an answer.
        """
        answer = self._client.post(PATH, content=json.dumps(event))
        said = answer.json()
        if answer.status_code != 200 or "errorType" in said:
            raise FunctionError(said)
        return said

    @property
    def runtime(self) -> int:
        """The id of the process that runs the handler, which lives as long as its container."""
        (alive,) = [pid for pid, state in _children(self._process.pid) if state != "Z"]
        return alive

    def written(self) -> str:
        """Read what went to the log so far."""
        return self._log.read_text()

    def invocations(self) -> list[list[dict[str, Any]]]:
        """Give the JSON that each invocation wrote, between its start and its end."""
        invocations: list[list[dict[str, Any]]] = []
        for line in self.written().splitlines():
            if line.startswith("START "):
                invocations.append([])
            elif line.startswith("{"):
                invocations[-1].append(json.loads(line))
        return invocations


@contextmanager
def emulated(
    task_root: Path, preview: Preview, store: str, log: Path, **environment: str
) -> Iterator[Emulator]:
    """Run a package as Lambda runs a preview, with its table in a store on this machine."""
    port, interface_port = free_ports(2)
    address, interface = f"127.0.0.1:{port}", f"127.0.0.1:{interface_port}"
    command: list[str | Path] = [
        *(binary(), "--log-level", "error"),
        *("--runtime-interface-emulator-address", address, "--runtime-api-address", interface),
        # -m finds modules in the working directory first, as Lambda does in its task root.
        *(PYTHON, "-m", "awslambdaric", preview.handler),
    ]
    told = _environment(task_root, preview) | {"DYNAMODB_ENDPOINT": store} | environment
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=task_root, env=told, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        started = wait_until_taken(port, process, START_SECONDS)
        assert started, f"the emulator did not start: {log.read_text()}"
        with httpx.Client(
            base_url=f"http://{address}", timeout=START_SECONDS, trust_env=False
        ) as client:
            yield Emulator(process, client, log)
    finally:
        # It takes the runtime with it.
        process.terminate()
        process.wait(START_SECONDS)


def _environment(task_root: Path, preview: Preview) -> dict[str, str]:
    """Make what Lambda gives, with nothing of this process's own: no paths, no credentials."""
    return {
        "PATH": os.defpath,
        "LAMBDA_TASK_ROOT": str(task_root),
        "AWS_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": preview.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": preview.memory_mb,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": preview.timeout_seconds,
        **CREDENTIALS,
        **preview.variables,
    }


def binary() -> Path:
    """Find the emulator for this machine, in the environment that its runtime has."""
    name = f"aws-lambda-rie-{MACHINES.get(platform.machine(), '')}"
    found = sorted(VENV.glob(f"lib/*/site-packages/samcli/local/rapid/{name}"))
    if platform.system() != "Linux" or not found:
        absent("AWS's emulator is for Linux, and installed by `make lambda-test`")
    return found[0]


def _children(parent: int) -> Iterator[tuple[int, str]]:
    """Give the processes that a process has started, each with its state."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        # It may be gone by now.
        with suppress(OSError):
            # What stands before it is a name, which may hold anything.
            state, of, *_ = stat.read_text().rpartition(")")[2].split()
            if int(of) == parent:
                yield int(stat.parent.name), state
