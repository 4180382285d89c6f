"""The smoke test: green on an API that works, red at the step that does not, clean after both."""

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from api.main import create_app
from handlers.function import Function
from terraform.scripts import smoke
from tests.support import builders
from tests.support.builders import Client
from tests.support.gateway import Gateway, functioning
from tests.support.processes import ROOT
from tests.support.server import serving

URL = "https://k5n2m7w3q9.lambda-url.eu-central-1.on.aws/"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
STEPS = ["livez", "readyz", "create", "list", "change", "stale change", "delete", "deleted"]

Breakage = Callable[[Scope], tuple[int, Any] | None]


def run(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it as `make smoke` does; a proxy that the environment names is not there."""
    nowhere = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    return subprocess.run(
        [sys.executable, "terraform/scripts/smoke.py"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **nowhere, "URL": url, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def broken(moto: str, breakage: Breakage) -> Iterator[str]:
    """Serve an app some of whose answers are others."""
    app = create_app(builders.settings(moto))

    def breaking(inner: ASGIApp) -> ASGIApp:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            wrong = breakage(scope) if scope["type"] == "http" else None
            if wrong is None:
                await inner(scope, receive, send)
                return
            status, body = wrong
            kind = b"application/json" if status < 400 else b"application/problem+json"
            head = {"status": status, "headers": [(b"content-type", kind)]}
            await send({"type": "http.response.start", **head})
            await send({"type": "http.response.body", "body": json.dumps(body).encode()})

        return answer

    app.add_middleware(breaking)
    with serving(app) as url:
        with Client(base_url=url) as client:
            while client.get("/readyz").status_code not in {200, 599}:
                pass
        yield url


def test_it_is_green_on_an_api_that_works(moto: str) -> None:
    """It says what it asked and what came, and leaves nothing behind."""
    with broken(moto, lambda _: None) as url:
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
            f"Smoke: {url} does what it should.",
        ]
        assert left_in(url) == []


def left_in(url: str) -> list[Any]:
    with Client(base_url=url) as client:
        return client.walk()


def _when(step: str, method: str, path: str, answer: tuple[int, Any]) -> Breakage:
    """Break the answers of one step: the second PATCH, the last GET."""
    seen: dict[str, int] = {}

    def breakage(scope: Scope) -> tuple[int, Any] | None:
        if scope["method"] != method or not re.fullmatch(path, scope["path"]):
            return None
        seen[step] = seen.get(step, 0) + 1
        return None if step == "stale change" and seen[step] == 1 else answer

    return breakage


ONE = r"/v1/tasks/\w+"
BREAKAGES: dict[str, Breakage] = {
    "livez": _when("livez", "GET", "/livez", (599, {})),
    "readyz": _when("readyz", "GET", "/readyz", (599, {"detail": "No table."})),
    "create": _when("create", "POST", "/v1/tasks", (500, {})),
    "list": _when("list", "GET", "/v1/tasks", (500, {})),
    "change": _when("change", "PATCH", ONE, (200, {"title": "Smoke", "etag": "x"})),
    "stale change": _when("stale change", "PATCH", ONE, (200, {})),
    "delete": _when("delete", "DELETE", ONE, (500, {})),
    "deleted": _when("deleted", "GET", ONE, (200, {})),
}


@pytest.mark.parametrize("step", BREAKAGES)
def test_it_is_red_at_the_step_that_is_broken(step: str, moto: str) -> None:
    """And says which; whatever the walk had made is gone again, where it can be deleted."""
    breakage = BREAKAGES[step]
    on = True
    with broken(moto, lambda scope: breakage(scope) if on else None) as url:
        done = run(url)
        on = False
        left = left_in(url)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Smoke: {step}: ")
    assert "does what it should" not in done.stdout
    assert len(left) == (step == "delete")


def test_every_step_can_be_red() -> None:
    """None of them is only for show."""
    assert list(BREAKAGES) == STEPS


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1", "GET /livez: no answer from http://127.0.0.1:1"),
        ("", "URL must be an address"),
        ("ftp://x", "URL must be an address"),
        (URL, "there are no AWS credentials"),
    ],
)
def test_it_says_what_is_missing(url: str, said: str) -> None:
    """An address, somebody there, or credentials to sign with."""
    done = run(url, AWS_EC2_METADATA_DISABLED="true", HOME="/nonexistent")
    assert done.returncode == 1
    assert done.stderr.startswith("Smoke: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


# Signed, to a function


@pytest.fixture
def function(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    with functioning(builders.settings(moto)) as function:
        yield function


def through(transport: httpx.BaseTransport, seen: list[Request]) -> smoke.Send:
    """Send requests to where a transport brings them, and keep them."""

    def send(asked: Request) -> smoke.Answer:
        seen.append(asked)
        sent = httpx.Request(
            asked.get_method(), asked.full_url, headers=asked.headers, content=_content(asked)
        )
        answer = transport.handle_request(sent)
        return smoke.Answer(answer.status_code, answer.headers, answer.read())

    return send


def _content(asked: Request) -> bytes:
    assert asked.data is None or isinstance(asked.data, bytes)
    return asked.data or b""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _expected_signature(asked: Request) -> str:
    """Sign by AWS's description of it, a request to the service lambda."""
    parts = urlsplit(asked.full_url)
    stamp = asked.headers["X-amz-date"]
    head = f"host:{parts.netloc}\nx-amz-date:{stamp}\n\nhost;x-amz-date"
    query = "&".join(sorted(parts.query.split("&"))) if parts.query else ""
    canonical = f"{asked.get_method()}\n{parts.path}\n{query}\n{head}\n{_sha256(_content(asked))}"
    scope = f"{stamp[:8]}/eu-central-1/lambda/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{_sha256(canonical.encode())}"
    key = ("AWS4" + CREDENTIALS["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def test_a_function_url_gets_a_signature(function: Function) -> None:
    """Each request is signed for the service lambda; the key travels beside, and unsigned."""
    seen: list[Request] = []
    send = through(Gateway(function, "function_url"), seen)
    assert smoke.main({"URL": URL, "KEY": "tt_key"}, send) == 0
    for asked in seen:
        authorization = asked.headers["Authorization"]
        assert authorization.endswith(f"Signature={_expected_signature(asked)}")
        assert "SignedHeaders=host;x-amz-date," in authorization
    keys = [asked.headers.get("X-api-key") for asked in seen]
    # Whether it lives and is ready, nobody needs a key to ask.
    assert keys == [None, None] + ["tt_key"] * (len(seen) - 2)


def test_a_refusal_of_aws_is_not_taken_for_the_apps(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which permissions are missing."""
    forbidden = smoke.Answer(403, {"content-type": "application/json"}, b'{"Message":"Forbidden"}')
    assert smoke.main({"URL": URL}, lambda _: forbidden) == 1
    assert "lambda:InvokeFunctionUrl and lambda:InvokeFunction" in capsys.readouterr().err


# With a key that opens /v1/keys alone


class Keyed(httpx.BaseTransport):
    """Stands before an app: one key makes others, and only those that were made open tasks."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner
        self.alive: set[str] = set()
        self.wanted: list[Any] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        path = request.url.path
        if path == "/v1/keys" and key == "bootstrap":
            self.wanted.append(json.loads(request.read()))
            self.alive.add("made")
            return httpx.Response(201, json={"id": "1", "key": "made"})
        if path == "/v1/keys/1" and key == "bootstrap" and request.method == "DELETE":
            self.alive.remove("made")
            return httpx.Response(204)
        if path.startswith("/v1") and key not in self.alive:
            status = 403 if key == "bootstrap" else 401
            type_ = {"Content-Type": "application/problem+json"}
            return httpx.Response(status, json={"detail": "No."}, headers=type_)
        return self._inner.handle_request(request)


@pytest.mark.parametrize("given", ["KEY", "BOOTSTRAP_KEY"])
def test_a_bootstrap_key_makes_one_for_the_walk(given: str, function: Function) -> None:
    """With a workspace of its own and no more than it needs; it is revoked at the end."""
    door = Keyed(Gateway(function, "http_api"))
    send = through(door, [])
    assert smoke.main({"URL": "https://tracker.example", given: "bootstrap"}, send) == 0
    scopes = ["tasks:read", "tasks:write"]
    assert door.wanted == [{"workspace": "smoke", "label": "smoke", "scopes": scopes}]
    assert door.alive == set()


def test_a_made_key_is_revoked_when_the_walk_fails(function: Function) -> None:
    """Nothing is left behind, least of all a key."""

    class Failing(Keyed):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "PATCH":
                return httpx.Response(500)
            return super().handle_request(request)

    door = Failing(Gateway(function, "http_api"))
    send = through(door, [])
    assert smoke.main({"URL": "https://tracker.example", "KEY": "bootstrap"}, send) == 1
    assert (len(door.wanted), door.alive) == (1, set())


def test_a_missing_key_is_named(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    """The app asks for one, and none was given."""
    door = Keyed(Gateway(function, "http_api"))
    assert smoke.main({"URL": "https://tracker.example"}, through(door, [])) == 1
    assert "Pass a key as KEY=" in capsys.readouterr().err
