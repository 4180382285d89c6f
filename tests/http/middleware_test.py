"""What the middleware adds to every response, and what it writes to the log."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from api import logs
from api.__main__ import read_settings
from api.main import create_app
from api.principal import Scope
from tests.support import builders
from tests.support.builders import Client
from tests.support.secured_app import BOOTSTRAP, bearer, serve
from tests.support.server import serving

ORIGIN = "https://board.example.com"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/livez"), ("GET", "/v1/tasks"), ("POST", "/v1/tasks"), ("GET", "/nothing")),
        *(("PUT", "/v1/tasks"), ("GET", "/metrics"), ("GET", "/docs"), ("GET", "/openapi.json")),
        ("GET", "/problems/not-found"),
    ],
)
def test_every_response_has_security_headers(served: Client, method: str, path: str) -> None:
    """And none that names the software."""
    headers = served.request(method, path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert ("script-src" in policy) == (path == "/docs")
    assert not {"server", "x-powered-by"} & set(headers)


def test_docs_off_removes_the_documentation_page_and_the_openapi_document(moto: str) -> None:
    app = create_app(builders.settings(moto, docs="off"))
    with serving(app) as url, Client(base_url=url) as client:
        assert client.get("/docs").status_code == 404
        assert client.get("/openapi.json").status_code == 404
        assert client.put("/v1/tasks").headers["Allow"] == "GET, HEAD, POST"


@pytest.fixture(scope="module")
def cors_client(moto: str) -> Iterator[Client]:
    """A client of an app that allows two origins."""
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


def test_no_origin_is_allowed_by_default(served: Client) -> None:
    response = served.get("/livez", headers={"Origin": ORIGIN})
    assert "access-control-allow-origin" not in response.headers
    assert preflight(served, ORIGIN).status_code == 405


def test_configured_origins_are_allowed_without_cookies(cors_client: Client) -> None:
    allowed = preflight(cors_client, ORIGIN)
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "access-control-allow-credentials" not in allowed.headers
    response = cors_client.get("/v1/tasks", headers={"Origin": ORIGIN})
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "ETag" in response.headers["Access-Control-Expose-Headers"]
    other = cors_client.get("/v1/tasks", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("origin", "method"), [("https://elsewhere.example", "GET"), (ORIGIN, "PUT")]
)
def test_a_refused_preflight_request_gets_a_problem_document(
    cors_client: Client, origin: str, method: str
) -> None:
    refused = preflight(cors_client, origin, method)
    assert refused.status_code == 400
    assert refused.json()["type"] == "/problems/origin-not-allowed"
    assert refused.json()["request_id"] == refused.headers["X-Request-Id"]


@pytest.mark.parametrize(
    "wrong", ["*", "example.com", "https://a.example/path", "https://a,https://b"]
)
def test_the_process_does_not_start_with_an_invalid_origin(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """A star would allow every page."""
    monkeypatch.setenv("CURSOR_SECRET", builders.SECRET)
    monkeypatch.setenv("CORS_ORIGINS", wrong)
    with pytest.raises(SystemExit, match="CORS_ORIGINS"):
        read_settings()


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
def test_a_log_line_has_the_ids_of_a_valid_traceparent(
    served: Client, capsys: pytest.CaptureFixture[str], traceparent: str, trace: tuple[Any, Any]
) -> None:
    """Valid by W3C Trace Context, of this version or a later one."""
    served.get("/livez", headers={"traceparent": traceparent})
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (line["trace_id"], line["parent_id"]) == trace


def test_a_log_line_has_the_keys_id_the_workspace_and_the_clients_address(
    moto: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(moto) as secured:
        key = secured.make(Scope.READ, workspace="acme")
        secured.client.get("/v1/tasks", headers=bearer(key["key"]))
        line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (line["key"], line["workspace"]) == (key["id"], "acme")
    assert line["client"] == "127.0.0.1"


@pytest.mark.parametrize(
    "path",
    [
        *("/livez", "/readyz", "/metrics", "/docs", "/docs/assets/favicon.png", "/openapi.json"),
        *("/v1/tasks", "/v1/tasks?limit=0", "/v1/keys", "/problems/not-found", "/nothing"),
    ],
)
def test_head_returns_the_status_and_headers_of_get_without_a_body(
    served: Client, path: str
) -> None:
    get, head = served.get(path), served.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers.keys() == get.headers.keys()
    # The metrics change with each request.
    varying = {"date", "x-request-id", *(["content-length"] if path == "/metrics" else [])}
    for name in set(get.headers) - varying:
        assert head.headers[name] == get.headers[name]


def test_head_of_a_task_is_revalidated_like_get(served: Client) -> None:
    task = served.create()
    path = f"/v1/tasks/{task['id']}"
    assert served.head(path).headers["ETag"] == task["etag"]
    assert served.head(path, headers={"If-None-Match": task["etag"]}).status_code == 304


def test_head_is_405_where_get_is(served: Client) -> None:
    response = served.head("/v1/keys/x")
    assert (response.status_code, response.headers["Allow"]) == (405, "DELETE")


def test_head_needs_a_key_as_get_does_and_is_counted_as_head(guarded_client: Client) -> None:
    assert guarded_client.head("/v1/tasks").status_code == 401
    metrics = guarded_client.get("/metrics").text
    assert 'http_requests_total{method="HEAD",route="/v1/tasks",status="401"} 1.0' in metrics


class Crash(Exception):  # noqa: N818 - raised instead of an error
    pass


def test_secrets_appear_in_no_response_log_line_metric_or_error_message(
    moto: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURSOR_SECRET", "short-canary")
    monkeypatch.setenv("BOOTSTRAP_KEY", BOOTSTRAP[:-1] + "x")
    with pytest.raises(SystemExit) as exited:
        read_settings()
    with serve(moto) as secured, logged() as records:
        key = secured.make(*Scope)["key"]
        texts = list(responses_to_keys(secured.client, key))
        with monkeypatch.context() as patched:
            patched.setattr("api.keys.authorization.key_format.parse", crash)
            response = secured.client.get("/v1/tasks", headers=bearer(key))
        assert response.status_code == 500
        texts += [response.text, secured.client.get("/metrics").text]
    captured = capsys.readouterr()
    texts += [captured.out, captured.err, records.getvalue(), str(exited.value)]
    assert "Crash" in records.getvalue()
    secrets = [builders.SECRET, "short-canary", key, BOOTSTRAP]
    secrets += [one.split("_")[2] for one in (key, BOOTSTRAP)]
    for secret in secrets:
        assert not [text for text in texts if secret in text]


def responses_to_keys(client: Client, key: str) -> Iterator[str]:
    """Send valid and invalid keys in every header; yield the responses, headers and bodies."""
    variants = [bearer(key), bearer(key + "x"), bearer(BOOTSTRAP), {"X-Api-Key": key}]
    variants += [{"Authorization": key}, {"Cookie": key}, {"If-None-Match": key}]
    for headers in variants:
        for method in ("GET", "POST", "PATCH", "DELETE", "TRACE"):
            for path in ("/v1/tasks", "/v1/keys", "/v1/tasks/x", "/readyz", "/openapi.json"):
                response = client.request(method, path, headers=headers, content=b'{"title": 1}')
                yield str(response.headers) + response.text


def crash(*_: Any) -> None:
    raise Crash


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Yield everything that is logged, with tracebacks, in the format of production."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)
