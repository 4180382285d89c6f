"""Functions as Lambda starts them: an unpacked package, the environment, and a store beside it."""

import compileall
import json
import platform
import py_compile
import shutil
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

from api import keys
from tests.bench import bench, stub
from tests.support.gateway import function_url
from tests.support.packaging import MACHINES, make
from tests.support.processes import ROOT

HERE = Path(__file__).parent
TREES = ROOT / "build" / "cold"
REGION = "us-east-1"
PATH = f"/v1/tasks/{stub.ID}"
PEERS = {
    "hello": ("fastapi", "mangum"),
    "usual": ("boto3", "fastapi", "mangum", "pynamodb", "python-ulid"),
    "server": ("--requirement", "requirements.txt"),
}
AMAZONS = b"# Subject: CN=Amazon Root CA 0 O=Amazon\n"
SHARED = ("hello.py", "invoke.py", "usual.py")


class Candidate(NamedTuple):
    """A function: its module, and the directory in which its package lies unpacked."""

    module: str
    tree: str


class Store(NamedTuple):
    """Where the stub listens, the authority that speaks for it, and the key that it knows."""

    port: int
    authority: bytes
    key: str


class Ran(NamedTuple):
    """What a process answered, what it took, and what it wrote on standard error."""

    status: int
    body: str
    cold_ms: float
    warm_us: float
    errors: str


def plant() -> None:
    """Unpack the package, and install the peers from the same lock; bytecode is alike in all."""
    shutil.rmtree(TREES, ignore_errors=True)
    machine = MACHINES[platform.machine()]
    zipfile.ZipFile(make(machine, ROOT / "build")).extractall(TREES / "ours")
    for tree, packages in PEERS.items():
        _install(TREES / tree, *packages)
    for tree in ("usual", "server"):
        shutil.copytree(ROOT / "api", TREES / tree / "api")
    for path in TREES.iterdir():
        for name in SHARED:
            shutil.copy(HERE / name, path)
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(path, quiet=1, force=True, invalidation_mode=mode)


def _install(tree: Path, *what: str) -> None:
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"]
    locked = ["--constraint", "requirements.txt", "--target", str(tree)]
    subprocess.run([*uv, *locked, *what], cwd=ROOT, check=True)


@contextmanager
def store(scratch: Path) -> Iterator[Store]:
    """Start the stub, with a certificate for DynamoDB's name."""
    authority = trustme.CA()
    certificate = scratch / "store.pem"
    issued = authority.issue_cert(f"dynamodb.{REGION}.amazonaws.com", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
    key = keys.make(str(ULID()))
    command = [sys.executable, "-m", "tests.bench.keyed_stub", str(certificate), key]
    with bench.started(command, scratch / "store.log") as process:
        assert process.stdout
        port = process.stdout.readline().strip()
        yield Store(int(port), authority.cert_pem.bytes(), key)


def trust(tree: Path, authority: bytes) -> None:
    """Add an authority to those that botocore brings, as one of Amazon's."""
    bundle = tree / "botocore" / "cacert.pem"
    if bundle.exists():
        bundle.write_bytes(bundle.read_bytes() + AMAZONS + authority)


def event(key: str) -> dict[str, Any]:
    """Make what a function URL sends for a read of one task."""
    headers = {"Authorization": f"Bearer {key}"}
    return function_url(httpx.Request("GET", f"https://tracker.example{PATH}", headers=headers))


def environment(tree: Path) -> dict[str, str]:
    """Make what Lambda gives a function, and what the preview sets besides."""
    return {
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token" * 100,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "HOME": str(tree / "nobody"),
        "LANG": "en_US.UTF-8",
        "AUTH": "on",
        "BUILD": "bench",
        "CURSOR_SECRET": "x" * 64,
        "TABLE_NAME": "tasks",
        # One caller makes all the calls, one after the other.
        "RATE_LIMIT": "1000000",
    }


def run(module: str, tree: Path, store: Store, calls: int = 0, *options: str) -> Ran:
    """Start a function in a fresh process, call it once, and then so many times more."""
    command = [sys.executable, "-S", *options, "-m", "invoke", module, str(calls), str(store.port)]
    done = subprocess.run(
        command,
        cwd=tree,
        env=environment(tree),
        input=json.dumps(event(store.key)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{module} in {tree}:\n{done.stderr}")
    # Metrics are written before it.
    ran = Ran(**json.loads(done.stdout.splitlines()[-1]), errors=done.stderr)
    if ran.status != 200:
        sys.exit(f"{module} in {tree} answered {ran.status}: {ran.body}\n{done.stderr}")
    return ran
