"""AWS's emulator and client of Lambda's runtime interface, running an unpacked package."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from api.local.processes import ROOT
from tests.emulator.preview import REGION, Preview
from tests.support.gateway import Context
from tests.support.packaging import MACHINES
from tests.support.ports import free_ports, wait_until_taken
from tests.support.require_tool import skip_or_fail

VENV = ROOT / "build/emulator-venv"
PYTHON = VENV / "bin/python"
START_SECONDS = 30
PATH = "/2015-03-31/functions/function/invocations"
# The emulators of DynamoDB accept any credentials.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_SESSION_TOKEN": "not-a-secret-either",
}


class FunctionError(Exception):
    """Lambda's error document in the place of a response."""


class Emulator:
    """A running function: invokes it, and reads its process and its log."""

    def __init__(self, process: subprocess.Popen[bytes], client: httpx.Client, log: Path) -> None:
        self._process = process
        self._client = client
        self._log = log

    def __call__(self, event: Any, _context: Context | None = None) -> Any:
        """Invoke the function.

        Raises:
            FunctionError: the function failed.
        """
        response = self._client.post(PATH, content=json.dumps(event))
        result = response.json()
        if response.status_code != 200 or "errorType" in result:
            raise FunctionError(result)
        return result

    @property
    def runtime(self) -> int:
        """The id of the process that runs the handler; a container has one process."""
        (alive,) = [pid for pid, state in _children(self._process.pid) if state != "Z"]
        return alive

    def log(self) -> str:
        return self._log.read_text()

    def invocations(self) -> list[list[dict[str, Any]]]:
        """Return the JSON lines that each invocation has logged."""
        invocations: list[list[dict[str, Any]]] = []
        for line in self.log().splitlines():
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
    variables = _environment(task_root, preview) | {"DYNAMODB_ENDPOINT": store} | environment
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=task_root, env=variables, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        started = wait_until_taken(port, process, START_SECONDS)
        assert started, f"the emulator did not start: {log.read_text()}"
        with httpx.Client(
            base_url=f"http://{address}", timeout=START_SECONDS, trust_env=False
        ) as client:
            yield Emulator(process, client, log)
    finally:
        # It also ends the process of the runtime.
        process.terminate()
        process.wait(START_SECONDS)


def _environment(task_root: Path, preview: Preview) -> dict[str, str]:
    """Return the variables that Lambda sets, and none of this process."""
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
    """Return the emulator's path in its virtual environment."""
    name = f"aws-lambda-rie-{MACHINES.get(platform.machine(), '')}"
    found = sorted(VENV.glob(f"lib/*/site-packages/samcli/local/rapid/{name}"))
    if platform.system() != "Linux" or not found:
        skip_or_fail("AWS's emulator runs on Linux; `make lambda-test` installs it")
    return found[0]


def _children(parent: int) -> Iterator[tuple[int, str]]:
    """Yield the id and the state of each child process."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        # The process may have ended.
        with suppress(OSError):
            # The name before it may contain any character.
            state, of, *_ = stat.read_text().rpartition(")")[2].split()
            if int(of) == parent:
                yield int(stat.parent.name), state
