"""The package under AWS's own emulator of Lambda: started, called, killed, and walked."""

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
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api import keys, problem_json
from api.settings import Settings
from tests.emulator import preview
from tests.emulator.conftest import Emulate
from tests.emulator.emulator import Emulator, FunctionError, binary
from tests.handlers import contract_test
from tests.handlers.smoke_test import run
from tests.support import doors
from tests.support.builders import Client
from tests.support.doors import BOOTSTRAP, bearer
from tests.support.faults import Fault, FaultProxy
from tests.support.gateway import Gateway, function_url
from tests.support.processes import ROOT
from tests.support.server import running

WARM_CALLS = 200
LIVEZ = function_url(httpx.Request("GET", "https://preview.example/livez"))
WANTED = {"workspace": "default", "label": "test", "scopes": list(keys.Scope)}
NOBODY = "http://127.0.0.1:9"


def golden(name: str) -> Any:
    return json.loads((ROOT / f"tests/data/events/{name}.json").read_text())


NO_REQUESTS = {"queue": golden("queue"), "nothing": None, "object": {}, "list": [], "text": "text"}


def client_of(emulator: Emulator, key: str) -> Client:
    """Make a client whose requests become events of a function URL."""
    gateway = Gateway(emulator, "function_url")
    return Client(base_url="https://preview.example", transport=gateway, headers=bearer(key))


@contextmanager
def admitted(emulator: Emulator) -> Iterator[Client]:
    """Give a client with a key that the bootstrap key has made."""
    with client_of(emulator, BOOTSTRAP) as operator:
        made = operator.post("/v1/keys", json=WANTED)
    assert made.status_code == 201, made.text
    with client_of(emulator, made.json()["key"]) as client:
        yield client


def measured(invocation: list[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Find what an invocation sent of a metric, where CloudWatch's format says that it is one."""
    return [
        document
        for document in invocation
        for directive in document.get("_aws", {}).get("CloudWatchMetrics", [])
        if metric in [each["Name"] for each in directive["Metrics"]]
    ]


# What Lambda is told


def test_the_preview_is_read_whole() -> None:
    """Each variable of Terraform's is one that the app reads, under a name that it has."""
    described = preview.read()
    assert {name.lower() for name in described.variables} <= set(Settings.model_fields)
    assert described.variables["AUTH"] == "on"
    Settings.model_validate({name.lower(): to for name, to in described.variables.items()})


def test_it_runs_on_the_python_of_the_preview(task_root: Path) -> None:
    """What the emulator starts is the runtime that Terraform names."""
    assert preview.read().runtime in binary().parts


# Starts and calls


def test_a_container_starts_once_and_then_is_warm(
    emulator: Emulator, report: Callable[[str], None]
) -> None:
    """The first call waits for the start; those after it have the same process."""
    seconds = []
    processes = set()
    for _ in range(1 + WARM_CALLS):
        began = time.perf_counter()
        assert emulator(LIVEZ)["statusCode"] == 200
        seconds.append(time.perf_counter() - began)
        processes |= {emulator.runtime} if len(seconds) in {1, WARM_CALLS} else set()
    assert len(processes) == 1
    invocations = emulator.invocations()
    # Sent when it is first seen, by each registry that is made.
    builds = [len(measured(each, "task_tracker_build")) for each in invocations]
    assert builds == [1] + [0] * WARM_CALLS
    cold, warm = seconds[0], statistics.median(seconds[1:])
    report(f"cold {cold * 1000:.0f} ms, warm {warm * 1000:.1f} ms: {cold / warm:.0f} to 1")
    assert cold > warm


def test_nothing_but_the_package_and_the_runtime_is_imported(
    emulator: Emulator, task_root: Path
) -> None:
    """Neither the sources of this project nor the environment of its tests."""
    emulator(LIVEZ)
    mapped = Path(f"/proc/{emulator.runtime}/maps").read_text()
    assert f"{task_root}/pydantic_core" in mapped
    assert str(ROOT / ".venv") not in mapped
    environment = Path(f"/proc/{emulator.runtime}/environ").read_text().split("\0")
    assert not [each for each in environment if each.startswith("PYTHON")]
    assert Path(f"/proc/{emulator.runtime}/cwd").resolve() == task_root


def test_each_invocation_has_its_line_and_its_metrics(emulator: Emulator) -> None:
    """One line of the log and one count in CloudWatch's format, each of its own request."""
    with admitted(emulator) as client:
        task = client.create()
        client.get(f"/v1/tasks/{task['id']}")
        client.get("/v1/tasks/nothing")
    lines = [
        [each["status"] for each in invocation if each.get("message") == "request"]
        for invocation in emulator.invocations()
    ]
    counts = [
        [(each["status"], each["http_requests_total"]) for each in counted]
        for counted in (measured(each, "http_requests_total") for each in emulator.invocations())
    ]
    assert lines == [[201], [201], [200], [404]]
    assert counts == [[(str(status), [1.0])] for (status,) in lines]


def test_a_warm_function_answers_as_a_server_does(
    store: str, emulate: Emulate, report: Callable[[str], None]
) -> None:
    """Status, headers and body, of whatever a client with a key can ask."""
    build = preview.read().variables["BUILD"]
    cases = {
        name: provoke
        for name, (fixture, provoke) in contract_test.CASES.items()
        if fixture == "client" and ("function_url", name) not in contract_test.LISTED
    }
    with (
        emulate(store, RATE_LIMIT="1000") as emulator,
        admitted(emulator) as client,
        doors.door(store, build=build) as door,
    ):
        server = door.tenant("default", *keys.Scope)
        for name, provoke in cases.items():
            assert normalised(provoke(client)) == normalised(provoke(server)), name
    report(f"{len(cases)} cases with the same answer from the server and from the package")


def normalised(response: httpx.Response) -> contract_test.Answer:
    """Take out of an answer what is new each time, the day, and what is left of a key's rate."""
    status, headers, body = contract_test.normalised(response)
    without_rate = [each for each in headers if not each[0].startswith("ratelimit-")]
    return status, without_rate, re.sub(r'"\d{4}-\d\d-\d\d"', '"<day>"', body)


# What goes wrong


def test_a_kill_in_the_middle_of_a_write_loses_nothing(store: str, emulate: Emulate) -> None:
    """The next call has a new process; what was written is there, and is not written again."""
    silent = [Fault.SILENT]

    def plan(operation: str) -> Fault | None:
        return silent.pop() if armed and silent and "Transact" in operation else None

    armed = False
    with (
        FaultProxy(store, plan) as proxy,
        emulate(proxy.url) as emulator,
        admitted(emulator) as client,
        ThreadPoolExecutor() as pool,
    ):
        before = client.create("Before")
        first = emulator.runtime
        armed = True
        cut = pool.submit(client.create_once, "order-17", "Cut")
        while not proxy.seen["TransactWriteItems", Fault.SILENT]:
            assert not cut.done(), cut.result().text
            time.sleep(0.01)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(FunctionError, match="signal: killed"):
            cut.result()
        proxy.settle()
        again = client.create_once("order-17", "Cut")
        assert emulator.runtime != first
        assert (again.status_code, again.headers.get("idempotent-replayed")) == (201, "true")
        assert client.get(f"/v1/tasks/{before['id']}").json() == before
        assert sorted(client.titles()) == ["Before", "Cut"]


@pytest.mark.parametrize("event", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_what_is_no_request_is_refused_in_plain_words(
    event: Any, moto: str, emulate: Emulate
) -> None:
    """By a problem and not by a function error, which would make Lambda try it again."""
    with emulate(moto) as emulator:
        answer = emulator(event)
        problem = json.loads(answer["body"])
        assert (answer["statusCode"], problem["status"]) == (400, 400)
        assert answer["headers"]["content-type"] == problem_json.MEDIA_TYPE
        assert "whole request" in problem["detail"]
        assert emulator(LIVEZ)["statusCode"] == 200
        assert "Traceback" not in emulator.written()


def test_a_store_that_is_not_there_is_a_problem(emulate: Emulate) -> None:
    """From the first call on: the start does not fail for it."""
    with emulate(NOBODY) as emulator, client_of(emulator, BOOTSTRAP) as client:
        assert client.get("/livez").status_code == 200
        refused = client.post("/v1/keys", json=WANTED)
        assert (refused.status_code, refused.json()["status"]) == (503, 503)
        assert refused.headers["content-type"] == problem_json.MEDIA_TYPE
        assert refused.headers["retry-after"]
        assert "Traceback" not in emulator.written()


def test_a_store_that_throttles_is_a_problem(store: str, emulate: Emulate) -> None:
    """For as long as it does."""
    with (
        FaultProxy(store) as proxy,
        emulate(proxy.url) as emulator,
        admitted(emulator) as client,
    ):
        task = client.create()
        proxy.plan = lambda _: Fault.THROTTLED
        refused = client.get(f"/v1/tasks/{task['id']}")
        assert (refused.status_code, refused.json()["status"]) == (503, 503)
        assert refused.headers["content-type"] == problem_json.MEDIA_TYPE
        proxy.plan = lambda _: None
        assert client.get(f"/v1/tasks/{task['id']}").json() == task


# The whole walk


def test_the_smoke_test_walks_it(emulator: Emulator, report: Callable[[str], None]) -> None:
    """As the workflow walks a preview: with its bootstrap key, over HTTP."""
    gateway = Gateway(emulator, "function_url")

    async def pass_on(scope: Scope, receive: Receive, send: Send) -> None:
        asked = Request(scope, receive)
        sent = httpx.Request(
            asked.method, str(asked.url), headers=asked.headers.raw, content=await asked.body()
        )
        answer = gateway.handle_request(sent)
        headers = dict(answer.headers)
        await Response(answer.read(), answer.status_code, headers)(scope, receive, send)

    with running(uvicorn.Config(pass_on, port=0, lifespan="off", log_config=None)) as url:
        done = run(url, BOOTSTRAP_KEY=BOOTSTRAP)
    report(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("does what it should.\n")
