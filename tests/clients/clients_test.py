"""Clients that are generated from the served document have correct types and work."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from api.local.processes import ROOT
from tests.clients.conftest import Run
from tests.support.secured_app import TASKS, SecuredApp

PAGE = (ROOT / "docs" / "clients.md").read_text()
HOST = "http://localhost:8000"
MAX_LINES = 10


def blocks(language: str) -> list[str]:
    """Return the page's programs, or its commands, in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def command(program: str, served: SecuredApp) -> list[str]:
    """Return the page's command that runs a program, with the address of the served app."""
    (line,) = [block for block in blocks("sh") if program in block.split()]
    return shlex.split(line.replace(HOST, str(served.client.base_url)))


def example(language: str, served: SecuredApp) -> str:
    """Return the page's program in a language, with the address of the served app and a key."""
    (program,) = blocks(language)
    assert len(program.splitlines()) <= MAX_LINES
    key = served.make(*TASKS, workspace="page")["key"]
    return program.replace(HOST, str(served.client.base_url)).replace("tt_...", key)


@pytest.fixture(scope="session")
def python_client(folder: Path, run: Run, served: SecuredApp) -> Path:
    run(*command("openapi-python-client", served), "--fail-on-warning")
    (folder / "example.py").write_text(example("python", served))
    return folder


@pytest.fixture(scope="session")
def typescript_clients(npm: Path, run: Run, served: SecuredApp) -> Path:
    """Both clients, and the programs that use them, compiled with strict types."""
    run(*command("openapi-typescript", served))
    run(*command("openapi-ts", served))
    (npm / "example.ts").write_text(example("ts", served))
    run("npx", "tsc", "--project", ".")
    return npm


def test_the_python_client_has_correct_types(python_client: Path, run: Run) -> None:
    """With mypy --strict, and so have the programs that use it."""
    run("mypy", "--strict", "--config-file=", "task_tracker", "tour.py", "example.py")


def test_the_python_client_walks_the_tour(
    python_client: Path, run: Run, served: SecuredApp, tenant: dict[str, str]
) -> None:
    output = run(sys.executable, "tour.py", str(served.client.base_url), **tenant)
    assert output.endswith("toured\n")


def test_the_pages_python_program_works(python_client: Path, run: Run) -> None:
    output = run(sys.executable, "example.py")
    assert "<Status.DONE: 'done'>" in output


@pytest.mark.parametrize("tour", ["tour-fetch", "tour-hey-api"])
def test_a_typescript_client_walks_the_tour(
    tour: str, typescript_clients: Path, run: Run, served: SecuredApp, tenant: dict[str, str]
) -> None:
    output = run("node", f"js/{tour}.js", str(served.client.base_url), **tenant)
    assert output.endswith("toured\n")


def test_the_pages_typescript_program_works(typescript_clients: Path, run: Run) -> None:
    assert "status: 'done'" in run("node", "js/example.js")
