"""`make run`: what it keeps, what it says, and what is left when something dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support import processes
from tests.support.builders import Client
from tests.support.doors import BOOTSTRAP, door
from tests.support.processes import ROOT, free_port

LAUNCH = [sys.executable, "-m", "tests.support.launch", "--data"]


@contextmanager
def launched(
    data: Path, port: int, command: list[str] | None = None, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """Run the launcher, from when it says that it is ready; give a client of it too."""
    process = subprocess.Popen(
        command or [*LAUNCH, str(data)],
        cwd=ROOT,
        env=os.environ | {"PORT": str(port), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    with process, Client(base_url=f"http://127.0.0.1:{port}") as client:
        try:
            while "curl" not in (line := process.stdout.readline()):
                assert line, "the launcher ended before it was ready"
            yield process, client
        finally:
            process.kill()


def descendants(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(child) for child in path.read_text().split()] if path.exists() else []
    return [found for child in children for found in (child, *descendants(child))]


def wait_until_gone(pids: list[int]) -> None:
    for pid in pids:
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists() and "Z" not in _state(pid):
            assert time.monotonic() < deadline, f"process {pid} is still there"
            time.sleep(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_tasks_survive_kill_nine(tmp_path: Path) -> None:
    """Created, changed and deleted, killed, restarted, killed and restarted: they are there."""
    port = free_port()
    with launched(tmp_path, port) as (process, client):
        kept = client.changed(client.create("kept"), status="in_progress", labels=["x"])
        gone = client.create("gone")
        client.delete(f"/v1/tasks/{gone['id']}", headers={"If-Match": "*"})
        client.create()
        cursor = client.page(limit=1)["next_cursor"]
        children = descendants(process.pid)
        process.kill()
        wait_until_gone(children)
    for _ in range(2):
        with launched(tmp_path, port) as (_, client):
            assert client.get(f"/v1/tasks/{kept['id']}").json() == kept
            assert client.walk(status="in_progress", sort="due") == [kept]
            assert client.titles(cursor=cursor, limit=5) == ["kept"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="/proc tells who is whose child")
def test_nothing_is_left_when_make_is_killed(tmp_path: Path) -> None:
    """Neither the API nor the store outlives the shell that started them, and the port is free."""
    port = free_port()
    shell = ["bash", "-c", f"{' '.join(LAUNCH)} {tmp_path}; true"]
    with launched(tmp_path, port, shell) as (process, _):
        below = descendants(process.pid)
        assert len(below) == 2
        process.kill()
        wait_until_gone(below)
    assert processes.is_free("127.0.0.1", port)


def test_the_api_does_not_outlive_its_store(tmp_path: Path) -> None:
    """A store that dies ends the run: nobody works on against nothing."""
    port = free_port()
    with launched(tmp_path, port) as (process, _):
        (store,) = descendants(process.pid)
        os.kill(store, signal.SIGKILL)
        process.wait(timeout=20)
    assert processes.is_free("127.0.0.1", port)


def test_a_torn_line_is_not_a_task(tmp_path: Path) -> None:
    """A kill in the middle of a write leaves half a line: it was never acknowledged."""
    port = free_port()
    with launched(tmp_path, port) as (_, client):
        kept = client.create("kept")
    with (tmp_path / "journal.jsonl").open("a") as journal:
        journal.write('{"region": "us-east-1", "operation": "PutIt')
    with launched(tmp_path, port) as (_, client):
        assert client.walk() == [kept]
        again = client.create("again")
    with launched(tmp_path, port) as (_, client):
        assert client.walk() == [again, kept]


def test_another_store_is_used_when_it_is_named(tmp_path: Path, moto: str) -> None:
    """DYNAMODB_ENDPOINT starts no store of its own, and the greeting says which one it is."""
    port = free_port()
    with launched(tmp_path, port, DYNAMODB_ENDPOINT=moto, TABLE_NAME="named") as (process, client):
        assert descendants(process.pid) == []
        client.create()
    assert not (tmp_path / "journal.jsonl").exists()


def test_a_taken_port_is_said(tmp_path: Path, moto: str) -> None:
    """The message names the way out."""
    port = int(httpx.URL(moto).port or 0)
    run = subprocess.run(
        [*LAUNCH, str(tmp_path)],
        env=os.environ | {"PORT": str(port)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert f"PORT={port + 1} make run" in run.stderr


def make_key(data: Path, port: int, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run what `make key` runs, where the launcher keeps its data."""
    return subprocess.run(
        [sys.executable, ROOT / "terraform/scripts/key.py"],
        cwd=data.parent,
        env=os.environ | {"URL": f"http://127.0.0.1:{port}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_key_is_made_by_a_command(tmp_path: Path) -> None:
    """With AUTH=on: nobody gets in before, the key does, and it outlives a restart."""
    data, port = tmp_path / ".data", free_port()
    with launched(data, port, AUTH="on") as (_, client):
        assert client.get("/v1/tasks").status_code == 401
        made = make_key(data, port, WORKSPACE="acme", SCOPES="tasks:read", LABEL="ci")
        (key,) = made.stdout.splitlines()
        assert key not in made.stderr
        headers = {"Authorization": f"Bearer {key}"}
        assert client.get("/v1/tasks", headers=headers).status_code == 200
        assert client.post("/v1/tasks", headers=headers, json={}).status_code == 403
    with launched(data, port, AUTH="on") as (_, client):
        assert client.get("/v1/tasks", headers=headers).status_code == 200
    assert {path.stat().st_mode & 0o777 for path in data.glob("*_*")} == {0o600}


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SCOPES": "root"}, "body scopes/0"),
        ({"BOOTSTRAP_KEY": "tt_wrong"}, "The key is not valid"),
        ({"URL": "http://127.0.0.1:9"}, "does not answer"),
    ],
)
def test_a_key_that_cannot_be_made_is_said(
    tmp_path: Path, moto: str, environment: dict[str, str], said: str
) -> None:
    """In a sentence, and the command fails."""
    with door(moto) as guarded:
        port = guarded.client.base_url.port or 0
        made = make_key(tmp_path, port, **{"BOOTSTRAP_KEY": BOOTSTRAP, **environment})
    assert made.returncode == 1
    assert said in made.stderr
    assert not made.stdout


def test_nobody_is_let_in_on_a_public_address(tmp_path: Path, moto: str) -> None:
    """AUTH=off ends the start there, with a sentence that names both settings."""
    run = subprocess.run(
        [*LAUNCH, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"HOST": "0.0.0.0", "DYNAMODB_ENDPOINT": moto},  # noqa: S104 - to be refused
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "AUTH=off" in run.stderr
    assert "HOST=127.0.0.1" in run.stderr
