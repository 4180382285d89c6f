"""The smoke test passes on a working API, fails at the step that is broken, and cleans up."""

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from api.local.processes import ROOT
from api.main import create_app
from handlers.function import Function
from terraform.scripts import smoke
from tests.support import builders
from tests.support.builders import Client
from tests.support.gateway import Gateway, running_function
from tests.support.secured_app import BOOTSTRAP
from tests.support.server import serving

URL = "https://k5n2m7w3q9.lambda-url.eu-central-1.on.aws/"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
READY_SECONDS = 20

# Returns the status and the JSON of a wrong response, or None for the app's own.
Breakage = Callable[[Scope], tuple[int, Any] | None]


def run(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the smoke test as `make smoke` does; a proxy in the environment does not respond."""
    proxy = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    return subprocess.run(
        [sys.executable, "terraform/scripts/smoke.py"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **proxy, "URL": url, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def serving_broken(moto: str, breakage: Breakage) -> Iterator[str]:
    """Serve an app with some wrong responses."""
    app = create_app(builders.settings(moto))

    def breaking(inner: ASGIApp) -> ASGIApp:
        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            wrong = breakage(scope) if scope["type"] == "http" else None
            if wrong is None:
                await inner(scope, receive, send)
                return
            status, body = wrong
            kind = b"application/json" if status < 400 else b"application/problem+json"
            head = {"status": status, "headers": [(b"content-type", kind)]}
            await send({"type": "http.response.start", **head})
            await send({"type": "http.response.body", "body": json.dumps(body).encode()})

        return respond

    app.add_middleware(breaking)
    with serving(app) as url:
        deadline = time.monotonic() + READY_SECONDS
        with Client(base_url=url) as client:
            while client.get("/readyz").status_code not in {200, 599}:
                assert time.monotonic() < deadline
        yield url


def tasks_of(url: str) -> list[Any]:
    with Client(base_url=url) as client:
        return client.walk()


def test_a_working_api_passes(moto: str) -> None:
    """The output has every request with its status, and no task remains."""
    with serving_broken(moto, lambda _: None) as url:
        done = run(url)
        assert (done.returncode, done.stderr) == (0, "")
        lines = [re.sub(r"smoke-\w+|[0-9A-Z]{26}", "*", line) for line in done.stdout.splitlines()]
        assert lines == [
            "GET /livez: 200",
            "GET /readyz: 200",
            "POST /v1/tasks: 201",
            "GET /v1/tasks?project=*: 200",
            "PATCH /v1/tasks/*: 200",
            "PATCH /v1/tasks/*: 412",
            "DELETE /v1/tasks/*: 204",
            "GET /v1/tasks/*: 404",
            f"Smoke test passed: {url}",
        ]
        assert tasks_of(url) == []


def _break(method: str, path: str, status: int, body: Any, *, skip: int = 0) -> Breakage:
    """Break the responses to an operation, except for the first ones."""
    seen: list[str] = []

    def breakage(scope: Scope) -> tuple[int, Any] | None:
        if scope["method"] != method or not re.fullmatch(path, scope["path"]):
            return None
        seen.append(path)
        return (status, body) if len(seen) > skip else None

    return breakage


TASK = r"/v1/tasks/\w+"
BREAKAGES: dict[str, Breakage] = {
    "livez": _break("GET", "/livez", 599, {}),
    "readyz": _break("GET", "/readyz", 599, {"detail": "No table."}),
    "create": _break("POST", "/v1/tasks", 500, {}),
    "list": _break("GET", "/v1/tasks", 500, {}),
    "change": _break("PATCH", TASK, 200, {"title": "Smoke", "etag": "x"}),
    "stale change": _break("PATCH", TASK, 200, {}, skip=1),
    "delete": _break("DELETE", TASK, 500, {}),
    "deleted": _break("GET", TASK, 200, {}),
}


@pytest.mark.parametrize("step", BREAKAGES)
def test_a_broken_step_is_named(step: str, moto: str) -> None:
    """The exit code is 1, and the task is deleted, unless deleting is what is broken."""
    breakage = BREAKAGES[step]
    broken = True
    with serving_broken(moto, lambda scope: breakage(scope) if broken else None) as url:
        done = run(url)
        broken = False
        left = tasks_of(url)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Smoke test failed: {step}: ")
    assert "passed" not in done.stdout
    assert len(left) == (step == "delete")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:1", "GET /livez: no response from http://127.0.0.1:1"),
        ("", "URL must be like"),
        ("ftp://x", "URL must be like"),
        (URL, "there are no AWS credentials"),
    ],
)
def test_a_wrong_environment_is_explained(url: str, message: str) -> None:
    """An unreachable or invalid URL, and missing AWS credentials, are not tracebacks."""
    done = run(url, AWS_EC2_METADATA_DISABLED="true", HOME="/nonexistent")
    assert done.returncode == 1
    assert done.stderr.startswith("Smoke test failed: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


# Through a function


@pytest.fixture
def function(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    """A function that requires API keys, and AWS credentials to sign requests with."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    with running_function(builders.settings(moto, auth="on", bootstrap_key=BOOTSTRAP)) as function:
        yield function


class Recorder:
    """Sends requests to a function, and keeps them with the status of their responses."""

    def __init__(self, function: Function, kind: str, *, failing: str = "") -> None:
        self._gateway = Gateway(function, kind)
        self._failing = failing
        self.seen: list[tuple[Request, int]] = []

    def __call__(self, request: Request) -> smoke.Response:
        sent = httpx.Request(
            request.get_method(),
            request.full_url,
            headers=request.headers,
            content=_content(request),
        )
        if request.get_method() == self._failing:
            response = httpx.Response(500)
        else:
            response = self._gateway.handle_request(sent)
        self.seen.append((request, response.status_code))
        return smoke.Response(response.status_code, response.headers, response.read())


def _content(request: Request) -> bytes:
    assert request.data is None or isinstance(request.data, bytes)
    return request.data or b""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _expected_signature(request: Request) -> str:
    """Sign a request to the service `lambda` as AWS documents it."""
    parts = urlsplit(request.full_url)
    stamp = request.headers["X-amz-date"]
    head = f"host:{parts.netloc}\nx-amz-date:{stamp}\n\nhost;x-amz-date"
    query = "&".join(sorted(parts.query.split("&"))) if parts.query else ""
    path, body = parts.path, _sha256(_content(request))
    canonical = f"{request.get_method()}\n{path}\n{query}\n{head}\n{body}"
    scope = f"{stamp[:8]}/eu-central-1/lambda/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{_sha256(canonical.encode())}"
    key = ("AWS4" + CREDENTIALS["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def test_requests_to_a_function_url_are_signed(function: Function) -> None:
    """The signature covers host and time; the API key is in X-Api-Key, and /livez needs none."""
    send = Recorder(function, "function_url")
    assert smoke.main({"URL": URL, "KEY": BOOTSTRAP}, send) == 0
    for request, _ in send.seen:
        authorization = request.headers["Authorization"]
        assert authorization.endswith(f"Signature={_expected_signature(request)}")
        assert "SignedHeaders=host;x-amz-date," in authorization
    keys = [request.headers.get("X-api-key") for request, _ in send.seen]
    assert keys[:2] == [None, None]
    assert all(keys[2:])


def test_a_refusal_by_aws_is_not_taken_for_the_apps(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the missing permissions."""
    forbidden = smoke.Response(
        403, {"content-type": "application/json"}, b'{"Message":"Forbidden"}'
    )
    assert smoke.main({"URL": URL}, lambda _: forbidden) == 1
    assert "lambda:InvokeFunctionUrl and lambda:InvokeFunction" in capsys.readouterr().err


@pytest.mark.parametrize("variable", ["KEY", "BOOTSTRAP_KEY"])
@pytest.mark.parametrize("failing", ["", "PATCH"])
def test_a_bootstrap_key_creates_a_key_for_the_walk(
    variable: str, failing: str, function: Function
) -> None:
    """The key has its own workspace and only the scopes it needs, and is revoked at the end."""
    send = Recorder(function, "http_api", failing=failing)
    code = smoke.main({"URL": "https://tracker.example", variable: BOOTSTRAP}, send)
    assert code == (1 if failing else 0)
    (creation,) = [
        request
        for request, status in send.seen
        if request.selector == "/v1/keys" and (request.get_method(), status) == ("POST", 201)
    ]
    scopes = ["tasks:read", "tasks:write"]
    wanted = {"workspace": "smoke", "label": "smoke", "scopes": scopes}
    assert json.loads(_content(creation)) == wanted
    last, status = send.seen[-1]
    assert (last.get_method(), status) == ("DELETE", 204)
    assert last.selector.startswith("/v1/keys/")


def test_a_missing_key_is_explained(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    """The app requires an API key, and none is given."""
    send = Recorder(function, "http_api")
    assert smoke.main({"URL": "https://tracker.example"}, send) == 1
    assert "Pass an API key as KEY=" in capsys.readouterr().err
