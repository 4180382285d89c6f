"""docs/changes.md: its client misses nothing, whatever happens to the API."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.local.processes import ROOT
from tests.support.builders import Client, settings
from tests.support.fleet import Fleet
from tests.support.secured_app import TASKS, bearer, serve
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


def test_the_client_misses_nothing_through_kills_of_the_api(program: Path, moto: str) -> None:
    """Each process is killed right after a change, while the client waits."""
    made = set()
    with Fleet(settings(moto)) as fleet:
        fleet.current.wait_until_ready()
        url = fleet.current.url
        with Client(base_url=url, timeout=SECONDS) as client, following(program, url) as lines:
            for number in range(RESTARTS + 1):
                task = client.create(f"task {number}")
                made.add(f"tasks {task['id']} 1 task {number}\n")
                if number < RESTARTS:
                    fleet.restart()
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
            wait_until(lambda: f"deletions {task['id']} 2 \n" in lines, SECONDS)
