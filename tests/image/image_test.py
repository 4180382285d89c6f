"""The container image, built from the Dockerfile and started as ECS starts it."""

import re
import tarfile
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from api.local.processes import ROOT
from tests.image.buildah import podman
from tests.image.conftest import BUILD, Container, started

# The `stopTimeout` of terraform/containers.tf.
STOP_SECONDS = 30
WORLD_WRITABLE, STICKY, READABLE = 0o002, 0o1000, 0o004
# Bytecode that Python uses without a look at the source.
UNCHECKED_HASH = (1).to_bytes(4, "little")
TOOLS = r"(cc|c\+\+|gcc|g\+\+|clang|ld|make|pip\d?|pip3\..*)"


class Entry(NamedTuple):
    """A file or directory of the image; the flags are those of bytecode."""

    mode: int
    owner: int
    flags: bytes


@pytest.fixture(scope="module")
def files(image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Entry]:
    """The files and directories of the image by their paths."""
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    name = podman("create", image).stdout.strip()
    try:
        podman("export", f"--output={archive}", name)
    finally:
        podman("rm", name)
    with tarfile.open(archive) as tar:
        return {each.name: _entry(tar, each) for each in tar if each.isfile() or each.isdir()}


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    flags = b""
    if member.name.endswith(".pyc") and (content := tar.extractfile(member)):
        flags = content.read(8)[4:]
    return Entry(member.mode, member.uid, flags)


def test_the_api_is_ready_on_a_read_only_file_system(container: Container) -> None:
    """It reaches its table, needs no capability, and says which build it is."""
    assert httpx.get(f"{container.url}/readyz").status_code == 200
    document = httpx.get(f"{container.url}/openapi.json").json()
    assert document["info"]["version"] == BUILD


def test_requests_need_a_key(container: Container) -> None:
    """A container listens on all addresses, so it never serves tasks without a key."""
    assert httpx.get(f"{container.url}/v1/tasks").status_code == 401


def test_user_and_group_are_not_root(container: Container) -> None:
    """Both are 10001, and there is no other group."""
    assert [container.execute("id", flag)[1].split() for flag in ("-u", "-G")] == [
        ["10001"],
        ["10001"],
    ]


def test_the_health_check_follows_the_api(container: Container) -> None:
    """HEALTHCHECK passes while the API responds, and fails where nothing listens."""
    assert podman("healthcheck", "run", container.name, check=False).returncode == 0
    status, _ = container.execute("python", "-m", "api.healthcheck", check=False, PORT="1")
    assert status == 1


def test_sigterm_ends_the_container_in_time(image: str, moto: str) -> None:
    """Process 1 receives the signal and ends with 0, before ECS would kill it."""
    with started(image, moto) as container:
        podman("kill", "--signal=TERM", container.name)
        ended = podman("wait", container.name, seconds=STOP_SECONDS)
        assert ended.stdout.strip() == "0"
        assert "Application shutdown complete" in podman("logs", container.name).stderr


@pytest.mark.parametrize("module", ["api.__main__", "api.healthcheck", "api.tasks.conversion"])
def test_nothing_is_compiled_at_start(module: str, container: Container) -> None:
    """Python loads every module from its bytecode."""
    _, log = container.execute("python", "-v", "-c", f"import {module}")
    loaded = re.findall(r"# code object from '(.*)'", log)
    assert any("/app/api/" in path for path in loaded)
    assert [path for path in loaded if not path.endswith(".pyc")] == []


def test_every_module_has_bytecode(files: dict[str, Entry]) -> None:
    """Python's own modules, the packages and the API have bytecode that is used unchecked."""
    unchecked = {
        re.sub(r"__pycache__/(.*)\.cpython-\d+\.pyc$", r"\1.py", name)
        for name, entry in files.items()
        if entry.flags == UNCHECKED_HASH
    }
    sources = {name for name in files if re.match(r"(app|usr/local/lib)/.*\.py$", name)}
    assert {name.partition("/")[0] for name in sources} == {"app", "usr"}
    assert sources - unchecked == set()


def test_the_api_can_be_read_and_not_changed(files: dict[str, Entry]) -> None:
    """The API's user may read all of it, owns nothing, and can write nowhere but to /tmp."""
    ours = {name: entry for name, entry in files.items() if re.match(r"app|usr/local", name)}
    assert [name for name, entry in ours.items() if not entry.mode & READABLE] == []
    assert [name for name, entry in files.items() if entry.owner == 10001] == []
    writable = {name for name, entry in files.items() if entry.mode & WORLD_WRITABLE}
    assert [name for name in writable if not files[name].mode & STICKY] == []


def test_the_packages_are_the_locked_ones(files: dict[str, Entry]) -> None:
    """Nothing is installed beside api/requirements.txt: no pip, no boto3, nothing of the tests."""
    lines = (ROOT / "api" / "requirements.txt").read_text()
    locked = re.findall(r"^([\w.-]+)(?:\[.*\])?==", lines, re.MULTILINE)
    found = {
        match[1].replace("_", "-").lower()
        for name in files
        if (match := re.search(r"/site-packages/([^/]+)-[^/-]+\.dist-info$", name))
    }
    assert found == set(locked)


def test_the_image_contains_only_what_the_server_needs(files: dict[str, Entry]) -> None:
    """Of the repository it has api/ without the local store, and it has no tool to build with."""
    app = {Path(name).parts[1] for name in files if name.startswith("app/")}
    assert app == {"api"}
    assert "app/api/main.py" in files
    assert [name for name in files if re.match(r"app/(api/local|.*test)", name)] == []
    assert [name for name in files if re.fullmatch(rf"(.*/)?s?bin/{TOOLS}", name)] == []
