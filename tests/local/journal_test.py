"""The journal: nothing is acknowledged that it does not hold, and damage is named."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from api.local import journal
from api.local.journal import Entry, Journal
from api.local.processes import ROOT

MAX_WAIT_SECONDS = 60
SCHEMA = {
    "TableName": "tasks",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@contextmanager
def store(path: Path, max_bytes: int | None = None) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """Run the embedded store; yield its process and a client that makes single attempts."""

    def limit_file_size() -> None:
        if max_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))

    process = subprocess.Popen(
        [sys.executable, "-m", "api.local.store", "--journal", str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit_file_size,  # noqa: PLW1509 - the test has no other thread
    )
    assert process.stdout
    with process:
        port = process.stdout.readline().strip()
        client: Any = boto3.client(
            "dynamodb",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": 1}),
        )
        try:
            yield process, client
        finally:
            client.close()
            process.kill()


def keys(client: Any) -> set[str]:
    return {item["pk"]["S"] for item in client.scan(TableName="tasks")["Items"]}


def put_until_failure(client: Any) -> set[str]:
    """Put up to 1 000 items, and return the keys of those that were acknowledged."""
    acknowledged: set[str] = set()
    with suppress(BotoCoreError, ClientError):
        for number in range(1000):
            client.put_item(TableName="tasks", Item={"pk": {"S": str(number)}})
            acknowledged.add(str(number))
    return acknowledged


def test_every_acknowledged_write_survives_a_full_disk(tmp_path: Path) -> None:
    """The write that does not fit fails, and the store ends with a sentence."""
    path = tmp_path / "journal.jsonl"
    with store(path, max_bytes=20_000) as (process, client):
        client.create_table(**SCHEMA)
        acknowledged = put_until_failure(client)
        assert process.wait(MAX_WAIT_SECONDS) == 1
        assert process.stderr
        assert "The journal cannot be written" in process.stderr.read()
    assert 10 < len(acknowledged) < 1000
    with store(path) as (_, client):
        assert keys(client) == acknowledged


@pytest.mark.parametrize("line", ["{", '{"region": "us-east-1"}', "null", "\xff"])
def test_a_damaged_line_is_named_with_what_to_do(tmp_path: Path, line: str) -> None:
    """The store does not start without its write."""
    path = tmp_path / "journal.jsonl"
    whole = json.dumps(Entry("us-east-1", "CreateTable", SCHEMA)._asdict())
    path.write_text(f"{whole}\n{line}\n{whole}\n")
    with store(path) as (process, _):
        assert process.wait(MAX_WAIT_SECONDS) == 1
        assert process.stderr
        message = process.stderr.read()
    assert f"{path}, line 2 is damaged" in message
    assert "make reset" in message
    assert path.read_text().count("\n") == 3


def test_a_journal_is_compacted_when_most_of_its_writes_are_outdated(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with path.open("w") as file:
        file.write(json.dumps(Entry("us-east-1", "CreateTable", SCHEMA)._asdict()) + "\n")
        for number in range(1100):
            item = {"TableName": "tasks", "Item": {"pk": {"S": str(number % 5)}}}
            file.write(json.dumps(Entry("us-east-1", "PutItem", item)._asdict()) + "\n")
    for _ in range(2):
        with store(path) as (_, client):
            assert keys(client) == set("01234")
        assert path.read_text().count("\n") == 2


def test_progress_is_shown_while_many_writes_are_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(journal, "PROGRESS_SECONDS", -1)
    path = tmp_path / "journal.jsonl"
    line = json.dumps(Entry("us-east-1", "CreateTable", SCHEMA)._asdict())
    path.write_text(f"{line}\n" * 4)
    restored = Journal(path)
    restored.restore(lambda _entry: None)
    for file in (restored._file, restored._lock):
        assert file
        file.close()
    assert "50%" in capsys.readouterr().err


def test_make_reset_refuses_while_a_store_is_running(tmp_path: Path) -> None:
    """And deletes the data once it has ended."""
    command = [sys.executable, "-m", "api.local.journal", "--delete", str(tmp_path)]
    with store(tmp_path / "journal.jsonl") as (_, client):
        client.create_table(**SCHEMA)
        refused = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ
        )
        assert refused.returncode == 1
        assert "in use by another store" in refused.stderr
        assert (tmp_path / "journal.jsonl").exists()
    subprocess.run(command, cwd=ROOT, check=True)
    assert not tmp_path.exists()
