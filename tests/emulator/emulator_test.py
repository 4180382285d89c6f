"""The package under AWS's emulator of Lambda's runtime."""

import json
import os
import re
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette import types
from starlette.requests import Request
from starlette.responses import Response

from api.local.processes import ROOT
from api.principal import Scope
from api.problem import MEDIA_TYPE
from api.settings import Settings
from tests.emulator import preview
from tests.emulator.conftest import Emulate
from tests.emulator.emulator import Emulator, FunctionError, binary
from tests.handlers import contract_test
from tests.handlers.smoke_test import run
from tests.support import secured_app
from tests.support.builders import Client
from tests.support.faults import Fault, FaultProxy
from tests.support.gateway import Gateway, function_url
from tests.support.secured_app import BOOTSTRAP, bearer
from tests.support.server import running

WARM_CALLS = 200
LIVEZ = function_url(httpx.Request("GET", "https://preview.example/livez"))
WANTED = {"workspace": "default", "label": "test", "scopes": list(Scope)}
UNREACHABLE = "http://127.0.0.1:9"
KILL_SECONDS = 20


def client_of(emulator: Emulator, key: str) -> Client:
    """Return a client whose requests become events of a function URL."""
    gateway = Gateway(emulator, "function_url")
    return Client(base_url="https://preview.example", transport=gateway, headers=bearer(key))


@contextmanager
def client_with_key(emulator: Emulator) -> Iterator[Client]:
    """Yield a client with an API key that the bootstrap key has created."""
    with client_of(emulator, BOOTSTRAP) as operator:
        created = operator.post("/v1/keys", json=WANTED)
    assert created.status_code == 201, created.text
    with client_of(emulator, created.json()["key"]) as client:
        yield client


def documents_with(metric: str, invocation: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the documents of an invocation that CloudWatch reads a metric from."""
    return [
        document
        for document in invocation
        for directive in document.get("_aws", {}).get("CloudWatchMetrics", [])
        if metric in [each["Name"] for each in directive["Metrics"]]
    ]


def test_the_app_accepts_the_settings_of_a_preview() -> None:
    """Every environment variable in Terraform is a setting of the app, with a valid value."""
    described = preview.read()
    assert {name.lower() for name in described.variables} <= set(Settings.model_fields)
    assert described.variables["AUTH"] == "on"
    Settings.model_validate({name.lower(): text for name, text in described.variables.items()})


def test_the_emulator_has_the_runtime_of_the_preview() -> None:
    """The tests run the Python version that Terraform names."""
    assert preview.read().runtime in binary().parts


def test_a_container_serves_many_invocations(
    emulator: Emulator, report: Callable[[str], None]
) -> None:
    """The first invocation includes the start; the others run in the same, warm process."""
    seconds = []
    processes = set()
    for _ in range(1 + WARM_CALLS):
        began = time.perf_counter()
        assert emulator(LIVEZ)["statusCode"] == 200
        seconds.append(time.perf_counter() - began)
        processes |= {emulator.runtime} if len(seconds) in {1, WARM_CALLS} else set()
    assert len(processes) == 1
    # Each start sends this metric once.
    starts = [len(documents_with("task_tracker_build", each)) for each in emulator.invocations()]
    assert starts == [1] + [0] * WARM_CALLS
    cold, warm = seconds[0], statistics.median(seconds[1:])
    report(f"cold {cold * 1000:.0f} ms, warm {warm * 1000:.1f} ms: {cold / warm:.0f} to 1")
    assert cold > warm


def test_the_function_uses_the_package_alone(emulator: Emulator, task_root: Path) -> None:
    """The process uses neither the sources of the project nor the virtual environment."""
    emulator(LIVEZ)
    mapped = Path(f"/proc/{emulator.runtime}/maps").read_text()
    assert f"{task_root}/pydantic_core" in mapped
    assert str(ROOT / ".venv") not in mapped
    environment = Path(f"/proc/{emulator.runtime}/environ").read_text().split("\0")
    assert not [each for each in environment if each.startswith("PYTHON")]
    assert Path(f"/proc/{emulator.runtime}/cwd").resolve() == task_root


def test_each_invocation_logs_its_request_and_its_metrics(emulator: Emulator) -> None:
    """An invocation writes one request line, and counts its own request only."""
    with client_with_key(emulator) as client:
        task = client.create()
        client.get(f"/v1/tasks/{task['id']}")
        client.get("/v1/tasks/nothing")
    invocations = emulator.invocations()
    lines = [
        [each["status"] for each in invocation if each.get("message") == "request"]
        for invocation in invocations
    ]
    counts = [
        [
            (document["status"], document["http_requests_total"])
            for document in documents_with("http_requests_total", invocation)
        ]
        for invocation in invocations
    ]
    assert lines == [[201], [201], [200], [404]]
    assert counts == [[(str(status), [1.0])] for (status,) in lines]


def test_package_and_server_return_the_same_responses(
    store: str, emulate: Emulate, report: Callable[[str], None]
) -> None:
    """Status, headers and body are equal for every case that a client with a key can send."""
    build = preview.read().variables["BUILD"]
    cases = {
        name: case.provoke
        for name, case in contract_test.CASES.items()
        if case.service == "client" and ("function_url", name) not in contract_test.DIFFERENCES
    }
    with (
        emulate(store, RATE_LIMIT="1000") as emulator,
        client_with_key(emulator) as client,
        secured_app.serve(store, build=build) as secured,
    ):
        server = secured.tenant("default", *Scope)
        for name, provoke in cases.items():
            assert normalised(provoke(client)) == normalised(provoke(server)), name
    report(f"{len(cases)} cases with the same response from the server and from the package")


def normalised(response: httpx.Response) -> contract_test.Comparable:
    """Return what must be equal; dates and the remaining rate limit are not."""
    status, headers, body = contract_test.normalised(response)
    without_rate = [each for each in headers if not each[0].startswith("ratelimit-")]
    return status, without_rate, re.sub(r'"\d{4}-\d\d-\d\d"', '"<day>"', body)


# Failures


def test_a_write_survives_a_kill(store: str, emulate: Emulate) -> None:
    """After a kill during a write, the next invocation has a new process and repeats nothing."""
    silent = [Fault.SILENT]

    def plan(operation: str) -> Fault | None:
        return silent.pop() if armed and silent and "Transact" in operation else None

    armed = False
    with (
        FaultProxy(store, plan) as proxy,
        emulate(proxy.url) as emulator,
        client_with_key(emulator) as client,
        ThreadPoolExecutor() as pool,
    ):
        before = client.create("Before")
        first = emulator.runtime
        armed = True
        write = pool.submit(client.create_once, "order-17", "Interrupted")
        deadline = time.monotonic() + KILL_SECONDS
        while not proxy.seen["TransactWriteItems", Fault.SILENT]:
            assert not write.done(), write.result().text
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(FunctionError, match="signal: killed"):
            write.result()
        proxy.settle()
        again = client.create_once("order-17", "Interrupted")
        assert emulator.runtime != first
        assert (again.status_code, again.headers.get("idempotent-replayed")) == (201, "true")
        assert client.get(f"/v1/tasks/{before['id']}").json() == before
        assert sorted(client.titles()) == ["Before", "Interrupted"]


@pytest.mark.parametrize("event", [None, {}, [], "text", {"Records": [{"body": "{}"}]}], ids=repr)
def test_an_unreadable_event_gets_a_problem_document(
    event: Any, moto: str, emulate: Emulate
) -> None:
    """It is not a function error, after which Lambda would retry the event."""
    with emulate(moto) as emulator:
        response = emulator(event)
        problem = json.loads(response["body"])
        assert (response["statusCode"], problem["status"]) == (400, 400)
        assert response["headers"]["content-type"] == MEDIA_TYPE
        assert problem["type"] == "/problems/unreadable-event"
        assert emulator(LIVEZ)["statusCode"] == 200
        assert "Traceback" not in emulator.log()


def test_an_unreachable_store_is_a_problem(emulate: Emulate) -> None:
    """The function starts without its store, and responds with 503 to what needs it."""
    with emulate(UNREACHABLE) as emulator, client_of(emulator, BOOTSTRAP) as client:
        assert client.get("/livez").status_code == 200
        refused = client.post("/v1/keys", json=WANTED)
        assert (refused.status_code, refused.json()["status"]) == (503, 503)
        assert refused.headers["content-type"] == MEDIA_TYPE
        assert refused.headers["retry-after"]
        assert "Traceback" not in emulator.log()


def test_the_smoke_test_passes(emulator: Emulator, report: Callable[[str], None]) -> None:
    """As in the preview's workflow: over HTTP, and with the bootstrap key."""
    gateway = Gateway(emulator, "function_url")

    async def forward(scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        request = Request(scope, receive)
        content = await request.body()
        forwarded = httpx.Request(
            request.method, str(request.url), headers=request.headers.raw, content=content
        )
        response = gateway.handle_request(forwarded)
        headers = dict(response.headers)
        await Response(response.read(), response.status_code, headers)(scope, receive, send)

    with running(uvicorn.Config(forward, port=0, lifespan="off", log_config=None)) as url:
        done = run(url, BOOTSTRAP_KEY=BOOTSTRAP)
    report(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Smoke test passed: " in done.stdout.splitlines()[-1]
