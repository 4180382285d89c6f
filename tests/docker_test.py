"""The Dockerfile, as far as it can be tested without a Docker engine."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.local.processes import ROOT
from tests.support.builders import SECRET
from tests.support.ports import free_port

# Packages whose distribution has another name.
DISTRIBUTIONS = {
    "prometheus_client": "prometheus-client",
    "pydantic_core": "pydantic-core",
    "pydantic_settings": "pydantic-settings",
    "ulid": "python-ulid",
}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def command(instruction: str) -> list[str]:
    """Read the exec form of an instruction that occurs once in the file."""
    (found,) = re.findall(rf"^\s*{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    words: list[str] = json.loads(found)
    return words


@pytest.fixture
def container(
    tmp_path: Path, moto: str
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str], Path]]:
    """Run CMD with only the image's files, read-only, and its environment."""
    for source, target in re.findall(r"^COPY (\w+) (\w+)$", DOCKERFILE, re.MULTILINE):
        shutil.copytree(
            ROOT / source, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__")
        )
    for path in tmp_path.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    environment = {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PORT": str(free_port()),
        "HOST": "127.0.0.1",
        "CURSOR_SECRET": SECRET,
        "DYNAMODB_ENDPOINT": moto,
    }
    python, *rest = command('CMD(?= .*api"\\])')
    assert python == "python"
    with subprocess.Popen(
        [sys.executable, *rest], cwd=tmp_path, env=environment, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process, environment, tmp_path
        finally:
            process.kill()


def healthy(environment: dict[str, str], files: Path) -> bool:
    _, *rest = command("CMD(?= .*healthcheck)")
    return not subprocess.run(
        [sys.executable, *rest], cwd=files, env=environment, check=False
    ).returncode


def test_the_image_starts_becomes_healthy_and_stops(
    container: tuple[subprocess.Popen[bytes], dict[str, str], Path],
) -> None:
    """HEALTHCHECK passes while CMD runs; SIGTERM ends it gracefully; it writes no bytecode."""
    process, environment, files = container
    deadline = time.monotonic() + 20
    while not healthy(environment, files):
        assert time.monotonic() < deadline
    process.terminate()
    assert process.stderr
    assert b"Application shutdown complete" in process.stderr.read()
    assert not healthy(environment, files)
    assert not list(files.rglob("__pycache__"))


def test_the_base_is_pinned_and_the_user_is_not_root() -> None:
    """Both stages have the same base image by digest, and packages are installed by hash."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.1[3-9]\.\d+-slim-\w+@sha256:[0-9a-f]{64}", bases[0])
    assert re.search(r"^USER [1-9]\d*$", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE


def test_the_image_requires_api_keys() -> None:
    """It listens on all addresses, so it must not change AUTH, which is on by default."""
    (variables,) = re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
    environment = dict(variable.split("=", 1) for variable in variables.split())
    assert environment["HOST"] == "0.0.0.0"  # noqa: S104 - the checked value
    assert "AUTH" not in environment


def test_requirements_contain_every_import() -> None:
    """Every package that api/ imports is in requirements.txt, not only in those of the tests."""
    lines = (ROOT / "requirements.txt").read_text()
    locked = set(re.findall(r"^([\w-]+)(?:\[.*\])?==", lines, re.MULTILINE))
    imported = {
        name
        for module in (ROOT / "api").rglob("*.py")
        if "local" not in module.parts  # left out of the image
        for name in re.findall(r"^(?:from|import) (\w+)", module.read_text(), re.MULTILINE)
    }
    needed = {
        DISTRIBUTIONS.get(name, name) for name in imported - sys.stdlib_module_names - {"api"}
    }
    assert needed <= locked
