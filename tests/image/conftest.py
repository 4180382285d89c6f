"""The image, built once, and a container of it with an emulated DynamoDB."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from api.local.processes import ROOT
from tests.image.base import STAND_IN, base_image
from tests.image.buildah import build, buildah, podman
from tests.support.builders import SECRET
from tests.support.ports import free_port
from tests.support.require_tool import require_tool
from tests.support.wait import wait_until

IMAGE = "localhost/task-tracker-test"
BUILD = "0123abc"
START_SECONDS = 60
# As on ECS: nothing is writable, and there is no capability.
RESTRICTIONS = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL")
# podman's own limits may be higher than a machine allows.
LIMITS = ("--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096")


class Container(NamedTuple):
    """A running container, with the address of its API."""

    name: str
    url: str

    def execute(self, *command: str, check: bool = True, **variables: str) -> tuple[int, str]:
        """Run a command in it; return its status and what it printed."""
        environment = [f"--env={name}={value}" for name, value in variables.items()]
        result = podman("exec", *environment, self.name, *command, check=check)
        return result.returncode, result.stdout + result.stderr


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image, built from a clone that was made under umask 077."""
    for tool in ("buildah", "podman"):
        require_tool(tool, tool)
    clone = _private_clone(tmp_path_factory.mktemp("clone"))
    (pinned,) = re.findall(r"^FROM (python:\S+)", (clone / "Dockerfile").read_text(), re.MULTILINE)
    base = base_image(f"docker.io/library/{pinned}", tmp_path_factory.mktemp("base"))
    build(clone, IMAGE, f"--from={base}", f"--build-arg=BUILD={BUILD}")
    yield IMAGE
    buildah("rmi", "--force", IMAGE, *{STAND_IN} & {base})


def _private_clone(into: Path) -> Path:
    for name in ("Dockerfile", ".dockerignore"):
        shutil.copy(ROOT / name, into)
    shutil.copytree(ROOT / "api", into / "api", ignore=shutil.ignore_patterns("__pycache__"))
    for path in into.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return into


@pytest.fixture(scope="session")
def container(image: str, moto: str) -> Iterator[Container]:
    """A container whose API is alive, for tests that change nothing."""
    with started(image, moto) as container:
        yield container


@contextmanager
def started(image: str, moto: str) -> Iterator[Container]:
    """Start a container, and wait until its API is alive."""
    port = free_port("0.0.0.0")  # noqa: S104 - the image listens on all addresses
    variables = {"PORT": str(port), "CURSOR_SECRET": SECRET, "DYNAMODB_ENDPOINT": moto}
    environment = [f"--env={name}={value}" for name, value in variables.items()]
    name = f"task-tracker-test-{port}"
    options = [f"--name={name}", "--network=host", "--health-interval=disable", *environment]
    podman("run", "--detach", *RESTRICTIONS, *LIMITS, *options, image)
    running = Container(name, f"http://127.0.0.1:{port}")
    try:
        wait_until(lambda: _alive(running), START_SECONDS)
        yield running
    finally:
        podman("rm", "--force", "--time=0", name)


def _alive(container: Container) -> bool:
    try:
        return httpx.get(f"{container.url}/livez").status_code == 200
    except httpx.TransportError:
        return False
