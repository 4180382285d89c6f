"""`make run`: the API on this machine, with the store that the environment asks for."""

import argparse
import os
import secrets
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import botocore.session
from ulid import ULID

from api import keys, logs
from api.__main__ import read_settings, server
from api.settings import Settings
from tests.support import processes

READY_SECONDS = 30
PORT_SECONDS = 3
KEYS = {
    "off": "nobody is asked for one; AUTH=on make run asks",
    "on": "everybody is asked for one; make key makes one",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".data"), help="what is kept")
    data = parser.parse_args().data
    processes.end_with_parent()
    os.environ.setdefault("AUTH", "off")
    os.environ.setdefault("CURSOR_SECRET", _kept(data / "cursor_secret", secrets.token_hex(32)))
    os.environ.setdefault("BOOTSTRAP_KEY", _kept(data / "bootstrap_key", keys.make(str(ULID()))))
    store = _choose_store(data)
    settings = read_settings()
    if settings.port and not processes.wait_until_free(settings.host, settings.port, PORT_SECONDS):
        sys.exit(f"Port {settings.port} is taken; try PORT={settings.port + 1} make run")
    logs.configure(settings)
    threading.Thread(target=_greet, args=(settings, store), daemon=True).start()
    server(settings).run()


def _choose_store(data: Path) -> str:
    """Point the settings at a store, and say which one in a few words."""
    if endpoint := os.environ.get("DYNAMODB_ENDPOINT"):
        return f"DynamoDB at {endpoint}"
    table = os.environ.get("TABLE_NAME")
    if table and botocore.session.get_session().get_credentials():
        return f"AWS, table {table}"
    process, os.environ["DYNAMODB_ENDPOINT"] = processes.start_store(data / "journal.jsonl")
    processes.end_with(process, "The embedded store has stopped, and the API with it.")
    return f"embedded DynamoDB (moto), kept in {data}/; `make reset` clears it"


def _kept(path: Path, fresh: str) -> str:
    """Read a secret of this machine, or keep a fresh one: cursors and keys outlive a restart."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(fresh)
    return path.read_text()


def _greet(settings: Settings, store: str) -> None:
    url = f"http://{settings.host}:{settings.port}"
    ready = _is_ready(f"{url}/readyz")
    bearer = "" if settings.auth == "off" else "-H 'Authorization: Bearer tt_...' "
    print(
        f"""
  Task Tracker   {url}
  docs           {url}/docs
  metrics        {url}/metrics
  store          {store}{"" if ready else " - not ready: see /readyz"}
  keys           {KEYS[settings.auth]}

  curl -s {url}/v1/tasks {bearer}-H 'Content-Type: application/json' \\
    -d '{{"title": "Write it down"}}'
""",
        flush=True,
    )


def _is_ready(url: str) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(processes.POLL_SECONDS)
    return False


if __name__ == "__main__":
    main()
