"""`make run`: what it stores, what it prints, and what remains when a process is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from api.local import processes
from api.local.processes import ROOT
from api.settings import Settings
from tests.support.builders import Client
from tests.support.first_data_model import first_item, first_schema
from tests.support.ports import free_port, wait_until_taken
from tests.support.secured_app import BOOTSTRAP, serve
from tests.support.wait import wait_until

LAUNCH = [sys.executable, "-m", "api.local.launcher", "--data"]
MAX_WAIT_SECONDS = 60


@contextmanager
def launched(
    data: Path, port: int, command: list[str] | None = None, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """Run the launcher until it prints that it is ready; yield it with a client."""
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
            # The launcher prints this after START_SECONDS at the latest.
            while "curl" not in (line := process.stdout.readline()):
                assert line, "the launcher ended before it was ready"
            yield process, client
        finally:
            children = descendants(process.pid)
            process.kill()
            # The store ends when its launcher has, and holds the lock of its data until then.
            wait_until_gone(children)


def run(
    *command: str | Path, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, and return its output."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=MAX_WAIT_SECONDS,
    )


def descendants(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(child) for child in path.read_text().split()] if path.exists() else []
    return [found for child in children for found in (child, *descendants(child))]


def wait_until_gone(pids: list[int]) -> None:
    wait_until(lambda: all(_has_ended(pid) for pid in pids), MAX_WAIT_SECONDS)


def _has_ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def test_tasks_survive_kill_nine(tmp_path: Path) -> None:
    """Over two restarts; cursors stay valid, too."""
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


def test_data_of_an_earlier_version_is_converted(tmp_path: Path) -> None:
    table = Settings.model_fields["table_name"].default
    puts = [{"TableName": table, "Item": first_item(number)} for number in range(4)]
    entries = [("CreateTable", first_schema(table)), *(("PutItem", put) for put in puts)]
    lines = [
        json.dumps({"region": "us-east-1", "operation": entry[0], "body": entry[1]}) + "\n"
        for entry in entries
    ]
    (tmp_path / "journal.jsonl").write_text("".join(lines))
    port = free_port()
    for _ in range(2):
        with launched(tmp_path, port, AWS_REGION="us-east-1") as (_, client):
            assert client.titles(sort="due") == ["Task 0", "Task 1"]
            assert client.titles(state="closed", sort="created") == ["Task 2", "Task 3"]


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="needs /proc to find child processes"
)
def test_the_api_and_the_store_end_when_make_is_killed(tmp_path: Path) -> None:
    port = free_port()
    shell = ["bash", "-c", f"{' '.join(LAUNCH)} {tmp_path}; true"]
    with launched(tmp_path, port, shell) as (process, _):
        children = descendants(process.pid)
        assert len(children) == 2
        process.kill()
        wait_until_gone(children)
    assert processes.is_free("127.0.0.1", port)


def test_the_api_ends_when_its_store_is_killed(tmp_path: Path) -> None:
    port = free_port()
    with launched(tmp_path, port) as (process, _):
        (store,) = descendants(process.pid)
        os.kill(store, signal.SIGKILL)
        process.wait(timeout=MAX_WAIT_SECONDS)
    assert processes.is_free("127.0.0.1", port)


def test_an_incomplete_line_of_the_journal_is_ignored(tmp_path: Path) -> None:
    """A kill in the middle of a write leaves one; that write was never acknowledged."""
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


def test_a_configured_dynamodb_endpoint_replaces_the_embedded_store(
    tmp_path: Path, moto: str
) -> None:
    port = free_port()
    with launched(tmp_path, port, DYNAMODB_ENDPOINT=moto, TABLE_NAME="named") as (process, client):
        assert descendants(process.pid) == []
        client.create()
    assert not (tmp_path / "journal.jsonl").exists()


def test_an_endpoint_where_nothing_listens_ends_the_launcher(tmp_path: Path) -> None:
    ended = run(*LAUNCH, tmp_path, DYNAMODB_ENDPOINT="http://127.0.0.1:9", PORT=str(free_port()))
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith("DYNAMODB_ENDPOINT=http://127.0.0.1:9 cannot be reached: Connection")
    assert ended.returncode == 1


def test_the_greeting_says_why_a_store_is_not_ready(tmp_path: Path) -> None:
    """Here, what listens at the endpoint is not DynamoDB: it knows no POST."""
    with ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        store = store_in_greeting(tmp_path, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert store.split(" - ")[1].startswith("not ready: ")
    assert "DynamoDB" in store


class QuietHandler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


def store_in_greeting(data: Path, endpoint: str) -> str:
    environment = {"DYNAMODB_ENDPOINT": endpoint, "PORT": str(free_port())}
    with subprocess.Popen(
        [*LAUNCH, str(data)],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        store = next(line for line in process.stdout if "store" in line)
        process.kill()
    return store


def test_ctrl_c_ends_the_launcher_without_a_traceback(tmp_path: Path, moto: str) -> None:
    port = free_port()
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(
            [*LAUNCH, str(tmp_path)],
            cwd=ROOT,
            env=os.environ | {"DYNAMODB_ENDPOINT": moto, "PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            assert wait_until_taken(port, process, MAX_WAIT_SECONDS)
            process.send_signal(signal.SIGINT)
            assert process.wait(MAX_WAIT_SECONDS) == 0
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        assert "Traceback" not in log.read()


def test_a_folder_in_which_the_store_cannot_write_is_named(tmp_path: Path) -> None:
    """As when it is read-only, which a test that root runs cannot show."""
    (tmp_path / "journal.lock").mkdir()
    ended = run(*LAUNCH, tmp_path, PORT=str(free_port()))
    assert ended.stderr == f"{tmp_path}/journal.lock cannot be used: Is a directory\n"
    assert ended.returncode == 1


@pytest.mark.parametrize("fault", ["empty", "not a directory"])
def test_a_secret_that_cannot_be_used_is_named_with_its_file(tmp_path: Path, fault: str) -> None:
    data = tmp_path / "data"
    if fault == "empty":
        data.mkdir()
        (data / "cursor_secret").touch()
    else:
        data.touch()
    ended = run(*LAUNCH, data)
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith(f"{data / 'cursor_secret'} ")
    assert ended.returncode == 1


def test_a_port_in_use_ends_the_launcher_with_a_suggestion(tmp_path: Path, moto: str) -> None:
    port = int(httpx.URL(moto).port or 0)
    ended = run(*LAUNCH, tmp_path, PORT=str(port))
    assert ended.returncode == 1
    assert f"PORT={port + 1} make run" in ended.stderr


def make_key(data: Path, port: int, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run what `make key` runs, in the directory that contains the launcher's .data/."""
    script = ROOT / "terraform/scripts/key.py"
    environment = {"URL": f"http://127.0.0.1:{port}", **environment}
    return run(sys.executable, script, cwd=data.parent, **environment)


def test_make_key_creates_a_key_that_works_and_survives_a_restart(tmp_path: Path) -> None:
    """The secrets in .data/ are readable by their owner only."""
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
    ("environment", "message"),
    [
        ({"SCOPES": "root"}, "body scopes/0"),
        ({"BOOTSTRAP_KEY": "tt_wrong"}, "Invalid API key"),
        ({"URL": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
def test_make_key_fails_with_a_message_that_names_the_cause(
    tmp_path: Path, moto: str, environment: dict[str, str], message: str
) -> None:
    with serve(moto) as secured:
        port = secured.client.base_url.port or 0
        made = make_key(tmp_path, port, **{"BOOTSTRAP_KEY": BOOTSTRAP, **environment})
    assert made.returncode == 1
    assert message in made.stderr
    assert not made.stdout


def test_auth_off_on_a_public_address_ends_the_launcher(tmp_path: Path, moto: str) -> None:
    public = "0.0.0.0"  # noqa: S104 - the launcher refuses it
    ended = run(*LAUNCH, tmp_path, HOST=public, DYNAMODB_ENDPOINT=moto)
    assert ended.returncode == 1
    assert "AUTH=off" in ended.stderr
    assert "HOST=127.0.0.1" in ended.stderr
