"""What every answer carries and what none of them gives away; and what a log line takes in."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import logs
from api.__main__ import read_settings
from api.keys import Scope
from api.main import create_app
from tests.support import builders
from tests.support.builders import Client
from tests.support.doors import BOOTSTRAP, Door, bearer, door
from tests.support.server import serving

ORIGIN = "https://board.example.com"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/livez"), ("GET", "/v1/tasks"), ("POST", "/v1/tasks"), ("GET", "/nothing")),
        *(("PUT", "/v1/tasks"), ("GET", "/metrics"), ("GET", "/docs"), ("GET", "/openapi.json")),
    ],
)
def test_every_answer_says_what_browsers_may_not(client: Client, method: str, path: str) -> None:
    """Successes, failures and pages; and none of them says what it was made with."""
    found = client.request(method, path).headers
    assert found["X-Content-Type-Options"] == "nosniff"
    assert found["Cache-Control"] == "no-store"
    assert found["Referrer-Policy"] == "no-referrer"
    policy = found["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert ("script-src" in policy) == (path == "/docs")
    assert "server" not in found
    assert "x-powered-by" not in found


def test_the_page_of_the_documentation_may_load_what_it_names(client: Client) -> None:
    """Each address in it is in its policy."""
    page = client.get("/docs")
    policy = page.headers["Content-Security-Policy"]
    hosts = {part.split("/")[0] for part in page.text.split("https://")[1:]}
    assert hosts
    for host in hosts:
        assert f"https://{host}" in policy


def test_the_documentation_can_be_taken_away(moto: str) -> None:
    """DOCS=off leaves neither the page nor the document, and the API as it was."""
    app = create_app(builders.settings(moto, docs="off"))
    with serving(app) as url, Client(base_url=url) as client:
        assert client.get("/docs").status_code == 404
        assert client.get("/openapi.json").status_code == 404
        assert client.put("/v1/tasks").headers["Allow"] == "GET, POST"


# Pages of other origins


@pytest.fixture(scope="module")
def crossing(moto: str) -> Iterator[Client]:
    """A client of an app that lets one origin in."""
    app = create_app(builders.settings(moto, cors_origins=f"{ORIGIN} http://localhost:5173"))
    with serving(app) as url, Client(base_url=url) as client:
        yield client


def preflight(client: Client, origin: str, method: str = "PATCH") -> httpx.Response:
    return client.options(
        "/v1/tasks/x",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type,if-match",
        },
    )


def test_no_origin_is_let_in_unless_it_is_named(client: Client, crossing: Client) -> None:
    """Off by default; then only the named ones, and never with cookies."""
    assert (
        "access-control-allow-origin"
        not in client.get("/livez", headers={"Origin": ORIGIN}).headers
    )
    assert preflight(client, ORIGIN).status_code == 405
    asked = preflight(crossing, ORIGIN)
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "access-control-allow-credentials" not in asked.headers
    answer = crossing.get("/v1/tasks", headers={"Origin": ORIGIN})
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    other = crossing.get("/v1/tasks", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("origin", "method"), [("https://elsewhere.example", "GET"), (ORIGIN, "PUT")]
)
def test_a_refused_origin_is_a_problem_like_any_other(
    crossing: Client, origin: str, method: str
) -> None:
    """A problem document, with the request's id."""
    refused = preflight(crossing, origin, method)
    assert refused.status_code == 400
    assert refused.json()["type"] == "urn:problem:origin-refused"
    assert refused.json()["request_id"] == refused.headers["X-Request-Id"]


@pytest.mark.parametrize(
    "wrong", ["*", "example.com", "https://a.example/path", "https://a,https://b"]
)
def test_a_wrong_origin_ends_the_start(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """A star would let every page in: it is no origin."""
    monkeypatch.setenv("CURSOR_SECRET", builders.SECRET)
    monkeypatch.setenv("CORS_ORIGINS", wrong)
    with pytest.raises(SystemExit, match="CORS_ORIGINS"):
        read_settings()


# Log lines


@pytest.mark.parametrize(
    ("traceparent", "trace"),
    [
        (f"00-{TRACE}-{PARENT}-01", (TRACE, PARENT)),
        (f"01-{TRACE}-{PARENT}-01-more", (TRACE, PARENT)),
        (f"ff-{TRACE}-{PARENT}-01", (None, None)),
        (f"00-{'0' * 32}-{PARENT}-01", (None, None)),
        (f"00-{TRACE}-{'0' * 16}-01", (None, None)),
        (f"00-{TRACE.upper()}-{PARENT}-01", (None, None)),
        ("nonsense", (None, None)),
    ],
)
def test_a_trace_is_carried_into_the_line(
    client: Client, capsys: pytest.CaptureFixture[str], traceparent: str, trace: tuple[Any, Any]
) -> None:
    """As W3C's Trace Context has it, and nothing that is none."""
    client.get("/livez", headers={"traceparent": traceparent})
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (line["trace_id"], line["parent_id"]) == trace


def test_a_line_says_whose_key_it_was(moto: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By its id, beside the workspace and the sender's address."""
    with door(moto) as guarded:
        made = guarded.make(Scope.READ, workspace="acme")
        guarded.client.get("/v1/tasks", headers=bearer(made["key"]))
        line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (line["key"], line["workspace"]) == (made["id"], "acme")
    assert line["client"] == "127.0.0.1"


SENT = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.text(max_size=30),
    value=SENT,
    name=st.sampled_from(
        [
            "X-Request-Id",
            "Traceparent",
            "X-Forwarded-For",
            "Authorization",
            "User-Agent",
            "X-Api-Key",
        ]
    ),
)
def test_nothing_that_is_sent_makes_a_line(
    served: Client, path: str, value: str, name: str
) -> None:
    """One request is one line of JSON with the known fields, whatever its path and headers hold."""
    written = io.StringIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stderr", written)
        raw = "/" + quote(path.encode(errors="surrogatepass"))
        url = served.base_url.copy_with(raw_path=raw.encode())
        served.get(url, headers=[(name.encode(), value.strip().encode("latin-1"))])
    (line,) = written.getvalue().splitlines()
    assert set(json.loads(line)) == {
        *("time", "level", "message", "id", "method", "route", "status", "duration_ms"),
        *("client", "workspace", "key", "trace_id", "parent_id"),
    }
    assert json.loads(line)["route"] in {"unmatched", "/livez", "/v1/tasks/{task_id}"}


# Secrets


class Crash(Exception):  # noqa: N818 - it is what happens
    pass


def test_no_secret_is_seen_anywhere(
    moto: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in an answer nor in a line, a metric or a traceback: a search for each of them."""
    monkeypatch.setenv("CURSOR_SECRET", "short-canary")
    monkeypatch.setenv("BOOTSTRAP_KEY", BOOTSTRAP[:-1] + "x")
    with pytest.raises(SystemExit) as ended:
        read_settings()
    with door(moto) as guarded, logged() as records:
        made = guarded.make(*Scope)
        seen = list(battery(guarded, made["key"]))
        crash(guarded, made["key"], monkeypatch)
        seen.append(guarded.client.get("/metrics").text)
    captured = capsys.readouterr()
    seen += [captured.out, captured.err, records.getvalue(), str(ended.value)]
    assert "Crash" in records.getvalue()
    secrets = [builders.SECRET, "short-canary", made["key"], BOOTSTRAP]
    secrets += [key.split("_")[2] for key in (made["key"], BOOTSTRAP)]
    for secret in secrets:
        assert not [text for text in seen if secret in text]


def battery(guarded: Door, key: str) -> Iterator[str]:
    """Show a key in every way, right and wrong; give what is answered, heads and bodies."""
    shown = [bearer(key), bearer(key + "x"), bearer(BOOTSTRAP), {"X-Api-Key": key}]
    shown += [{"Authorization": key}, {"Cookie": key}, {"If-None-Match": key}]
    for headers_ in shown:
        for method in ("GET", "POST", "PATCH", "DELETE", "TRACE"):
            for path in ("/v1/tasks", "/v1/keys", "/v1/tasks/x", "/readyz", "/openapi.json"):
                answer = guarded.client.request(
                    method, path, headers=headers_, content=json.dumps({"title": 1})
                )
                yield str(answer.headers) + answer.text


def crash(guarded: Door, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the app fail in the middle of a request, with a key in its hands."""

    def fail(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr("api.access.keys.read", fail)
        answer = guarded.client.get("/v1/tasks", headers=bearer(key))
    assert answer.status_code == 500
    assert key not in answer.text


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Give everything that logging writes, with tracebacks, as it is written in production."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)
