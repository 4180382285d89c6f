"""An app that requires keys, and a folder with the generated clients."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.local.processes import ROOT
from tests.support import secured_app
from tests.support.require_tool import skip_or_fail
from tests.support.secured_app import SecuredApp

HERE = Path(__file__).parent
LINT = ROOT / "tests" / "lint"
CLIENTS = ROOT / "build" / "clients"
SECONDS = 120
# The generator calls ruff. These are the rules that it writes into the metadata of a package;
# others would rewrite the client.
GENERATORS_RUFF_RULES = 'lint.select = ["F", "I", "UP"]'

Run = Callable[..., str]


@pytest.fixture(scope="session")
def served(moto: str) -> Iterator[SecuredApp]:
    with secured_app.serve(moto) as app:
        yield app


@pytest.fixture(scope="session")
def folder() -> Path:
    """An empty folder with the programs that use the clients."""
    shutil.rmtree(CLIENTS, ignore_errors=True)
    CLIENTS.mkdir(parents=True)
    for pattern in ("tour*.ts", "tour.py", "tsconfig.json", "package.json"):
        for path in HERE.glob(pattern):
            shutil.copy(path, CLIENTS)
    (CLIENTS / "ruff.toml").write_text(GENERATORS_RUFF_RULES)
    return CLIENTS


@pytest.fixture(scope="session")
def run(folder: Path) -> Run:
    """Run a program in the folder; it must succeed. Return its output."""

    def run_program(*command: str, **environment: str) -> str:
        path = os.pathsep.join([str(ROOT / ".venv" / "bin"), os.environ["PATH"]])
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run_program


@pytest.fixture(scope="session")
def npm(folder: Path, run: Run) -> Path:
    """The folder, with the packages of both package-lock.json files installed."""
    if problem := run("bash", "-c", f"source {LINT}/npm.sh; check_node"):
        skip_or_fail(problem.strip())
    for owner in (HERE, LINT):
        _install(owner, run)
    (folder / "node_modules").symlink_to(HERE / "node_modules")
    return folder


def _install(owner: Path, run: Run) -> None:
    lock, installed = owner / "package-lock.json", owner / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        run("npm", "ci", "--prefix", str(owner), *options)


@pytest.fixture
def tenant(served: SecuredApp) -> dict[str, str]:
    """The environment of a program, with a key of a workspace of its own."""
    return {"KEY": served.make(*secured_app.TASKS, workspace=uuid.uuid4().hex)["key"]}
