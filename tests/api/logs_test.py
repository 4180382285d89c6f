"""Logs: one line a request, of known fields, that nobody outside can write into."""

import io
import json
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import logs
from tests.support.builders import Client, settings


def test_a_request_is_one_line(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """The line has an allow-list of fields, and says which request it was."""
    task = client.create()
    client.get(f"/v1/tasks/{task['id']}", headers={"X-Request-Id": "mine"})
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert set(line) == {
        *("time", "level", "message"),
        *("id", "method", "route", "status", "duration_ms"),
        *("client", "workspace", "key", "trace_id", "parent_id"),
    }
    assert line["id"] == "mine"
    assert (line["method"], line["route"]) == ("GET", "/v1/tasks/{task_id}")
    assert (line["status"], line["workspace"]) == (200, "default")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


def test_nothing_a_caller_sends_is_logged(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a body nor a query nor a header."""
    canary = "canary-7f3a"
    client.create(canary, project=canary)
    client.get("/v1/tasks", params={"project": canary})
    client.get(f"/{canary}", headers={"Authorization": canary})
    written = capsys.readouterr().err
    assert written.count("\n") >= 3
    assert canary not in written


@given(st.text(), st.text())
def test_a_record_is_one_line_of_json_whatever_it_holds(message: str, value: str) -> None:
    """A line break or a quote in a value starts no new line and no new field."""
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", (message,), None)
    record.fields = {"value": value}
    line = logs.JsonLines().format(record)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["value"] == value


@given(st.text(alphabet="\r\n\x1b\u2028ab", min_size=1))
def test_a_text_line_holds_no_control_characters_of_a_value(value: str) -> None:
    """A terminal is not to be steered by a log either."""
    record = logging.LogRecord("x", logging.INFO, "", 0, "request", (), None)
    record.fields = {"value": value}
    assert not set(logs.TextLines().format(record)) & set("\r\n\x1b\u2028")


def test_a_traceback_is_a_field() -> None:
    """An exception does not break the line either."""
    error = ValueError("one\ntwo")
    info = (ValueError, error, None)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), info)
    assert "one\ntwo" in json.loads(logs.JsonLines().format(record))["exception"]


@pytest.mark.parametrize(
    ("wanted", "terminal", "json_expected"),
    [("auto", True, False), ("auto", False, True), ("json", True, True), ("text", False, False)],
)
def test_the_format_follows_the_reader(
    monkeypatch: pytest.MonkeyPatch, wanted: str, terminal: bool, json_expected: bool
) -> None:
    """People at a terminal get text, collectors JSON, and either can be asked for."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stderr", stream)
    config = settings("http://127.0.0.1:9", log_format=wanted)
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    try:
        logs.configure(config)
        logging.getLogger("x").warning("from logging")
        logs.RequestLog(config).write({"id": "1"})
    finally:
        root.handlers[:], root.level = kept, level
    written = stream.getvalue().splitlines()
    assert [line.startswith("{") for line in written] == [json_expected] * 2
