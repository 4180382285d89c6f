"""`make run`: the API on this machine, with the store that the environment names."""

import argparse
import json
import os
import secrets
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import botocore.session

from api import key_format, logs
from api.__main__ import configure, read_settings
from api.healthcheck import unverified
from api.local import processes
from api.serving.server import serve
from api.settings import Settings
from api.tasks.conversion import convert, is_converted
from api.values import new_ulid

START_SECONDS = 30
# How long the store may take then, before the greeting says that it does not respond.
STORE_SECONDS = 5
PORT_SECONDS = 3
CONNECT_SECONDS = 2
SCHEME_PORTS = {"http": 80, "https": 443}
AUTH_TEXTS = {
    "off": "not needed; `AUTH=on make run` requires them",
    "on": "required; `make key` creates one",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".data"), help="where data is stored")
    data = parser.parse_args().data
    processes.end_with_parent()
    os.environ.setdefault("AUTH", "off")
    _set_secret("CURSOR_SECRET", data / "cursor_secret", secrets.token_hex(32))
    bootstrap_key = key_format.generate(new_ulid(datetime.now(UTC)))
    _set_secret("BOOTSTRAP_KEY", data / "bootstrap_key", bootstrap_key)
    _require_free_port(read_settings())
    store = _choose_store(data)
    settings = read_settings()
    logs.configure(settings)
    threading.Thread(target=_greet, args=(settings, store), daemon=True).start()
    serve(configure(settings))


def _require_free_port(settings: Settings) -> None:
    if settings.port and not processes.wait_until_free(settings.host, settings.port, PORT_SECONDS):
        sys.exit(f"Port {settings.port} is in use; try PORT={settings.port + 1} make run")


def _choose_store(data: Path) -> str:
    """Point the settings at a store, and return its description."""
    if endpoint := os.environ.get("DYNAMODB_ENDPOINT"):
        _require_listener(endpoint)
        return f"DynamoDB at {endpoint}"
    table = os.environ.get("TABLE_NAME")
    if table and botocore.session.get_session().get_credentials():
        return f"AWS, table {table}"
    process, os.environ["DYNAMODB_ENDPOINT"] = processes.start_store(data / "journal.jsonl")
    _convert(read_settings())
    processes.end_with(process, "The embedded store has stopped, and the API with it.")
    return f"embedded DynamoDB (moto), stored in {data}/; `make reset` deletes it"


def _require_listener(endpoint: str) -> None:
    """Exit if nothing listens at an address, which the log would repeat for each request."""
    url = urlsplit(endpoint)
    try:
        socket.create_connection(
            (url.hostname or "", url.port or SCHEME_PORTS[url.scheme]), CONNECT_SECONDS
        ).close()
    except OSError as error:
        sys.exit(
            f"DYNAMODB_ENDPOINT={endpoint} cannot be reached: {error.strerror or error}. Start "
            "DynamoDB there, or unset the variable for the embedded store."
        )


def _convert(settings: Settings) -> None:
    """Convert the data of an earlier version."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=str(settings.dynamodb_endpoint),
        region_name=settings.aws_region,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - the embedded store checks none
    )
    if not is_converted(client, settings.table_name):
        for step in convert(client, settings.table_name):
            sys.stderr.write(f"Converting the tasks of an earlier version: {step}\n")


def _set_secret(variable: str, path: Path, fresh: str) -> None:
    """Set a variable to this machine's secret, so that cursors and keys survive a restart."""
    try:
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(fresh)
        secret = path.read_text()
    except OSError as error:
        sys.exit(f"{path} cannot be used: {error.strerror}")
    if not secret:
        sys.exit(f"{path} is empty. Delete it: the next start makes a new one")
    os.environ.setdefault(variable, secret)


def _greet(settings: Settings, store: str) -> None:
    url = f"{settings.scheme}://{settings.host}:{settings.port}"
    problem = _problem_of(f"{url}/readyz")
    bearer = "" if settings.auth == "off" else "-H 'Authorization: Bearer tt_...' "
    sys.stdout.write(f"""
  Task Tracker   {url}{"/ (a board)" if settings.board == "on" else ""}
  docs           {url}/docs
  metrics        {url}/metrics
  store          {store}{f" - not ready: {problem}" if problem else ""}
  API keys       {AUTH_TEXTS[settings.auth]}

  curl -s {url}/v1/tasks {bearer}-H 'Content-Type: application/json' \\
    -d '{{"title": "Write it down"}}'

""")
    sys.stdout.flush()


def _problem_of(url: str) -> str:
    """Return why the API is not ready, or nothing once it is."""
    problem, deadline = "", time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1, context=unverified()):  # noqa: S310 - this machine's URL
                return ""
        except urllib.error.HTTPError as error:
            deadline = deadline if problem else time.monotonic() + STORE_SECONDS
            problem = json.load(error)["detail"]
        except OSError:
            pass
        time.sleep(processes.POLL_SECONDS)
    return problem or "the API does not respond"


if __name__ == "__main__":
    main()
