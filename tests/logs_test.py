"""Logs: one line for each request, with listed fields and nothing that clients send."""

import io
import json
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import logs
from tests.support.builders import Client, settings


def test_a_request_writes_one_line_with_the_listed_fields(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    task = client.create()
    client.get(f"/v1/tasks/{task['id']}", headers={"X-Request-Id": "mine"})
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert set(line) == {
        *("time", "level", "message"),
        *("id", "method", "route", "status", "duration_ms"),
        *("client", "workspace", "key", "refusal", "trace_id", "parent_id"),
    }
    assert line["id"] == "mine"
    assert (line["method"], line["route"]) == ("GET", "/v1/tasks/{task_id}")
    assert (line["status"], line["workspace"]) == (200, "default")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


def test_bodies_queries_paths_and_headers_are_not_logged(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    canary = "canary-7f3a"
    client.create(canary, project=canary)
    client.get("/v1/tasks", params={"project": canary})
    client.get(f"/{canary}", headers={"Authorization": canary})
    written = capsys.readouterr().err
    assert written.count("\n") >= 3
    assert canary not in written


def record(message: str, error: ValueError | None = None, **fields: str) -> logging.LogRecord:
    info = (ValueError, error, None) if error else None
    made = logging.LogRecord("x", logging.INFO, "", 0, "%s", (message,), info)
    made.fields = fields
    return made


@given(st.text(), st.text())
def test_a_json_record_is_one_line_whatever_it_contains(message: str, value: str) -> None:
    """Line breaks and quotes are escaped."""
    line = logs.JsonLines().format(record(message, value=value))
    assert len(line.splitlines()) == 1
    assert json.loads(line)["value"] == value


@given(st.text(alphabet="\r\n\x1b\u2028ab", min_size=1))
def test_control_characters_in_values_are_escaped_in_text(value: str) -> None:
    """A terminal would execute them."""
    line = logs.TextLines().format(record("request", value=value))
    assert not set(line) & set("\r\n\x1b\u2028")


def test_an_exception_is_a_field_of_its_json_record() -> None:
    line = logs.JsonLines().format(record("failed", ValueError("one\ntwo")))
    assert "one\ntwo" in json.loads(line)["exception"]


@pytest.mark.parametrize(
    ("wanted", "terminal", "json_expected"),
    [("auto", True, False), ("auto", False, True), ("json", True, True), ("text", False, False)],
)
def test_the_format_is_text_on_a_terminal_json_elsewhere_or_as_configured(
    monkeypatch: pytest.MonkeyPatch, wanted: str, terminal: bool, json_expected: bool
) -> None:
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


@pytest.mark.parametrize(("log_format", "shown"), [("text", 1), ("json", 4)])
def test_probes_and_scrapes_are_logged_for_machines_only(
    capsys: pytest.CaptureFixture[str], log_format: str, shown: int
) -> None:
    """On a terminal, they would hide the other requests."""
    log = logs.RequestLog(settings("http://127.0.0.1:9", log_format=log_format))
    for route in ["/livez", "/readyz", "/metrics", "/v1/tasks"]:
        log.write({"route": route})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == shown
    assert "/v1/tasks" in lines[-1]
