"""The Dockerfile, as far as it can be tested without a build; `make image-test` builds it."""

import re
import sys

from api.local.processes import ROOT

# Packages whose distribution has another name.
DISTRIBUTIONS = {
    "prometheus_client": "prometheus-client",
    "pydantic_core": "pydantic-core",
    "pydantic_settings": "pydantic-settings",
    "ulid": "python-ulid",
}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_base_is_pinned_and_the_user_is_not_root() -> None:
    """All stages have one base image, by digest, and packages are installed by hash."""
    base, *others = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:3\.1[3-9]\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
    assert set(others) == {"base"}
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE


def test_the_image_requires_api_keys() -> None:
    """It listens on all addresses, so it must not change AUTH, which is on by default."""
    variables = re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
    environment = dict(variable.split("=", 1) for variable in " ".join(variables).split())
    assert environment["HOST"] == "0.0.0.0"  # noqa: S104 - the checked value
    assert "AUTH" not in environment


def test_requirements_contain_every_import() -> None:
    """Every package that the image's part of api/ imports is in api/requirements.txt."""
    lines = (ROOT / "api" / "requirements.txt").read_text()
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
