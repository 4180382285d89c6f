"""docs/changes.md: its client misses nothing, whatever happens to the API."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from api.local.processes import ROOT
from api.main import create_app
from api.serving.server import uvicorn_config
from tests.support.builders import Client, settings
from tests.support.secured_app import TASKS, bearer, serve
from tests.support.server import running
from tests.support.wait import wait_until

GUIDE = (ROOT / "docs" / "changes.md").read_text()
MAX_LINES = 30
RESTARTS = 20
SECONDS = 60


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (text,) = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert len(text.splitlines()) <= MAX_LINES
    path = tmp_path / "follow.py"
    path.write_text(text)
    return path


@contextmanager
def following(program: Path, url: str, **environment: str) -> Iterator[list[str]]:
    """Run the client; yield the lines that it has printed."""
    command = [sys.executable, str(program), url, str(program.with_name("token"))]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        lines: list[str] = []
        assert process.stdout
        output = process.stdout
        reading = threading.Thread(target=lambda: lines.extend(iter(output.readline, "")))
        reading.start()
        wait_until(lambda: program.with_name("token").exists(), SECONDS)
        yield lines
        assert process.poll() is None
        process.kill()
        reading.join()


def test_the_client_misses_nothing_through_restarts_of_the_api(program: Path, moto: str) -> None:
    """Of each process it prints the last change, made just before its end."""
    config, port, made = settings(moto), 0, set()
    lines: list[str] = []
    with ExitStack() as stack:
        for number in range(RESTARTS + 1):
            server = uvicorn_config(create_app(config), port=port)
            with running(server) as url, Client(base_url=url, timeout=SECONDS) as client:
                port = httpx.URL(url).port or 0
                wait_until(partial(_is_ready, client), SECONDS)
                if number == 0:
                    lines = stack.enter_context(following(program, url))
                task = client.create(f"task {number}")
                made.add(f"{task['id']} 1 task {number}\n")
        server = uvicorn_config(create_app(config), port=port)
        with running(server):
            wait_until(lambda: set(lines) == made, SECONDS)


def test_the_client_goes_on_after_its_own_end(program: Path, moto: str) -> None:
    """With an API key, it prints what happened meanwhile."""
    with serve(moto) as app:
        key = app.make(*TASKS)["key"]
        url = str(app.client.base_url)
        client = app.clients.enter_context(Client(base_url=url, headers=bearer(key)))
        with following(program, url, KEY=key):
            task = client.create("meanwhile")
        client.delete(f"/v1/tasks/{task['id']}", headers={"If-Match": "*"})
        with following(program, url, KEY=key) as lines:
            wait_until(lambda: f"{task['id']} 2 (deleted)\n" in lines, SECONDS)


def _is_ready(client: Client) -> bool:
    return client.get("/readyz").status_code == 200
