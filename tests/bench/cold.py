"""`make bench-cold`: the CPU time of a cold start of the function, as a multiple of hello's.

Each start is a fresh process with the unpacked package, the environment that Lambda sets and a
stand-in for DynamoDB. It ends with the response to the first request, a read of one task. Prints
a table and writes it to docs/performance.md.
"""

import argparse
import compileall
import json
import platform
import py_compile
import shutil
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import trustme
from ulid import ULID

from api import key_format
from api.local.processes import ROOT
from tests.bench import bench, stub
from tests.support.gateway import function_url
from tests.support.packaging import MACHINES, make

HERE = Path(__file__).parent
TREES = ROOT / "build" / "cold"
REGION = "us-east-1"
# The module with the handler of each function; its package is unpacked in TREES.
HANDLERS = {"hello": "hello", "this app": "handlers.http"}
MAX_RATIO = 1.7


class Store(NamedTuple):
    """The stand-in for DynamoDB: its port, its certificate authority, and the API key it knows."""

    port: int
    authority: bytes
    key: str


@contextmanager
def running_store(scratch: Path) -> Iterator[Store]:
    """Start the stand-in, with a certificate for DynamoDB's host."""
    authority = trustme.CA()
    certificate = scratch / "store.pem"
    issued = authority.issue_cert(f"dynamodb.{REGION}.amazonaws.com")
    issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
    key = key_format.generate(str(ULID()))
    command = [sys.executable, "-m", "tests.bench.stub", "0", key, str(certificate)]
    with bench.started(command, scratch / "store.log") as process:
        assert process.stdout
        port = process.stdout.readline().strip()
        yield Store(int(port), authority.cert_pem.bytes(), key)


def unpack() -> None:
    """Unpack the package, and install hello's libraries from the same lock, both with bytecode."""
    shutil.rmtree(TREES, ignore_errors=True)
    package = make(MACHINES[platform.machine()], ROOT / "build")
    zipfile.ZipFile(package).extractall(TREES / "this app")
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"]
    locked = ["--constraint", "requirements.txt", "--target", str(TREES / "hello")]
    subprocess.run([*uv, *locked, "fastapi", "mangum"], cwd=ROOT, check=True)
    for tree in TREES.iterdir():
        for name in ("hello.py", "invoke.py"):
            shutil.copy(HERE / name, tree)
        # As in the package, which Lambda cannot write to.
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(tree, quiet=1, force=True, invalidation_mode=mode)


def trust(tree: Path, authority: bytes) -> None:
    """Add a certificate authority to botocore's."""
    bundle = tree / "botocore" / "cacert.pem"
    if bundle.exists():
        bundle.write_bytes(bundle.read_bytes() + authority)


def start(module: str, tree: Path, store: Store) -> dict[str, Any]:
    """Invoke a function once in a fresh process; return its response and its CPU time in ms."""
    headers = {"Authorization": f"Bearer {store.key}"}
    request = httpx.Request("GET", f"https://x.example/v1/tasks/{stub.ID}", headers=headers)
    done = subprocess.run(
        [sys.executable, "-S", "-m", "invoke", module, str(store.port)],
        cwd=tree,
        env=_environment(tree),
        input=json.dumps(function_url(request)),
        capture_output=True,
        text=True,
        check=False,
    )
    # The metrics come before it.
    started: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
    if started.get("status") != 200:
        sys.exit(f"{module} failed: {started} {done.stderr}")
    return started


def _environment(tree: Path) -> dict[str, str]:
    """Return what Lambda sets, and the preview's own settings."""
    return {
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token" * 100,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "HOME": str(tree / "nonexistent"),
        "LANG": "en_US.UTF-8",
        "AUTH": "on",
        "BUILD": "bench",
        "CURSOR_SECRET": "x" * 64,
        "TABLE_NAME": "tasks",
    }


def measure(store: Store, rounds: int) -> dict[str, list[float]]:
    """Start the functions in turns; the first round only fills the disk's cache."""
    figures: dict[str, list[float]] = {name: [] for name in HANDLERS}
    for number in range(rounds + 1):
        for name, module in HANDLERS.items():
            milliseconds = start(module, TREES / name, store)["cpu_ms"]
            if number:
                figures[name].append(milliseconds)
    return figures


def table(figures: dict[str, list[float]]) -> str:
    """Return medians, their ranges and their ratios to hello, as Markdown."""
    hello = statistics.median(figures["hello"])
    lines = ["| cold start | CPU ms | min | max | to hello |", "|---|---|---|---|---|"]
    for name, values in figures.items():
        median = statistics.median(values)
        bounds = f"{min(values):.0f} | {max(values):.0f}"
        lines.append(f"| {name} | {median:.0f} | {bounds} | {median / hello:.2f} |")
    return "\n".join([*lines, "", f"The aim is a ratio of {MAX_RATIO} at most."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    unpack()
    with running_store(TREES.parent) as store:
        for tree in TREES.iterdir():
            trust(tree, store.authority)
        text = table(measure(store, rounds))
    bench.write_into(ROOT / "docs" / "performance.md", "cold", text)
    print(text)


if __name__ == "__main__":
    main()
