"""The server and the Lambda function return the same response to the same request."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from api.board.assets import load_assets
from api.keys import service as key_service
from api.main import create_app
from api.settings import Settings
from tests.http.contract_test import JSON, PROVOCATIONS, TASKS, UNKNOWN_ID, fixture_of
from tests.support import builders
from tests.support.builders import Client
from tests.support.bulk_items import change, create, delete, send
from tests.support.faults import Contention, FaultProxy
from tests.support.gateway import KINDS, Gateway, running_function
from tests.support.secured_app import BOOTSTRAP
from tests.support.server import serving

pytestmark = pytest.mark.slow

Provocation = Callable[[Client], httpx.Response]
Comparable = tuple[int, list[tuple[str, str]], str]

SERVER = "server"
READY_SECONDS = 20
# Header fields that belong to a connection, to TLS or to uvicorn.
SERVER_FIELDS = {
    *("date", "server", "connection", "transfer-encoding", "keep-alive"),
    "strict-transport-security",
}
# Text that differs with every response.
UNIQUE_TEXT = {
    "<key>": r"\btt_[0-7][0-9A-HJKMNP-TV-Z]{25}_[0-9a-f]{64}_[0-9a-f]{8}\b",
    "<id>": r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "<tag or request id>": r"\b[0-9a-f]{16}\b",
    "<cursor>": r'(?<="next_cursor":")[^"]+',
    "<token>": r'(?<="token":")[^"]+',
}
# A function serves no streams.
SERVER_ONLY = "/v1/changes/stream"
# The responses that differ, and why they must.
DIFFERENCES: dict[tuple[str, str], str] = {
    **{(kind, "metrics"): "a function has no /metrics" for kind in KINDS},
    **{
        (kind, name): "it names all paths, and a function has no streams"
        for kind in KINDS
        for name in ("unknown path", "encoded path", "head of an unknown path")
    },
    ("load_balancer", "a header twice"): "without multi-value headers it sends the last value",
    **{
        ("load_balancer", f"{name} twice"): "without multi-value headers it sends the last value"
        for name in ("Idempotency-Key", "If-Match", "Content-Type")
    },
    ("load_balancer", "a parameter twice"): "without multi-value headers it sends the last value",
}


def _request(method: str, path: str, **options: Any) -> Provocation:
    return lambda client: client.request(method, path, **options)


def _replay(client: Client) -> httpx.Response:
    client.create_once("again", "Once")
    return client.create_once("again", "Once")


def _reuse(client: Client) -> httpx.Response:
    client.create_once("other", "Once")
    return client.create_once("other", "Twice")


def _bulk_replay(client: Client) -> httpx.Response:
    items = [create("Once"), delete({"id": UNKNOWN_ID}, "*")]
    send(client, *items, key="bulk")
    return send(client, *items, key="bulk")


def _second_page(client: Client) -> httpx.Response:
    for title in "ab":
        client.create(title, project="pages")
    first = client.page(project="pages", limit=1)
    following = {"project": "pages", "limit": 1, "cursor": first["next_cursor"]}
    return client.get(TASKS, params=following)


def _brief_page(client: Client) -> httpx.Response:
    client.create("brief", project="brief")
    return client.get(TASKS, params={"project": "brief", "view": "brief"})


def _labels(client: Client) -> httpx.Response:
    client.create("labelled", labels=["日本", "paper"])
    return client.get("/v1/labels")


def _cached(*, twice: bool) -> Provocation:
    def read(client: Client) -> httpx.Response:
        task = client.create()
        tags = [task["etag"], '"0000000000000000"'] if twice else [task["etag"]]
        headers = [("If-None-Match", tag) for tag in tags]
        return client.get(f"{TASKS}/{task['id']}", headers=headers)

    return read


def _twice(name: str, first: str, second: str) -> Provocation:
    """Change a task with two lines of one header."""

    def change(client: Client) -> httpx.Response:
        task = client.create()
        lines = [(name, line.format(**task)) for line in (first, second)]
        rest = {"If-Match": "*", "Content-Type": builders.MERGE_PATCH}
        headers = [*lines, *((other, rest[other]) for other in rest if other != name)]
        path = f"{TASKS}/{task['id']}"
        return client.patch(path, content=b'{"title": "y"}', headers=headers)

    return change


def _read_twice(name: str) -> Provocation:
    return _request("GET", TASKS, headers=[(name, "Bearer x"), (name, "Bearer y")])


def _head(path: str) -> Provocation:
    return lambda client: client.head(path.format(**client.create()))


OTHERS: dict[str, Provocation] = {
    "metrics": _request("GET", "/metrics"),
    "documentation page": _request("GET", "/docs"),
    "root": _request("GET", "/"),
    "board": _request("GET", "/", headers={"Accept": "text/html"}),
    "file of the board": _request("GET", f"/board/{load_assets().version}/main.js"),
    "icon of the board": _request("GET", f"/board/{load_assets().version}/icon.svg"),
    "head of the board": _request("HEAD", "/", headers={"Accept": "text/html"}),
    "unknown path": _request("GET", "/v1/nothing"),
    "trailing slash": _request("GET", "/v1/tasks/"),
    "wrong method": _request("PUT", TASKS),
    "options": _request("OPTIONS", TASKS),
    "head": _request("HEAD", "/livez"),
    "head of tasks": _head(f"{TASKS}?project=none"),
    "head of a task": _head(f"{TASKS}/{{id}}"),
    "head of keys": _head("/v1/keys"),
    "head of documents": _head("/docs"),
    "head of a problem": _head("/problems/not-found"),
    "head of an unknown path": _request("HEAD", "/nothing"),
    "truncated JSON": _request("POST", TASKS, content=b'{"title": ', headers=JSON),
    "no body": _request("POST", TASKS, headers=JSON),
    "not UTF-8": _request("POST", TASKS, content=b'{"title": "\xff"}', headers=JSON),
    "not ASCII": _request("POST", TASKS, json={"title": "日本 🗾 é"}),
    "a large body": _request("POST", TASKS, json={"title": "x", "description": "é" * 8000}),
    "many errors": _request("POST", TASKS, json={"title": "", "status": 7, "colour": "é"}),
    "path in UTF-8": _request("GET", "/v1/tasks/caf\u00e9"),
    "encoded path": _request("GET", "/v1/tasks/%41%2f%E2%82%AC%20"),
    "encoded query": _request("GET", f"{TASKS}?project=caf%C3%A9%20au+lait%2Bb&colour=%FF"),
    "blank parameter": _request("GET", f"{TASKS}?limit=&colour"),
    "a parameter twice": _request("GET", f"{TASKS}?status=none&status=todo"),
    "a header twice": _cached(twice=True),
    "If-Match twice": _twice("If-Match", "{etag}", '"0000000000000000"'),
    "Idempotency-Key twice": _twice("Idempotency-Key", "a", "b"),
    "Content-Type twice": _twice("Content-Type", "text/plain", builders.MERGE_PATCH),
    "cached": _cached(twice=False),
    "cookies": _request("GET", "/livez", headers=[("Cookie", "a=1"), ("Cookie", "b=2; c=3")]),
    "own request id": _request("GET", "/livez", headers={"X-Request-Id": "mine-1"}),
    "header that is not ASCII": _request(
        "GET", "/livez", headers={"X-Request-Id": "caf\u00e9".encode()}
    ),
    "replay": _replay,
    "replay of a bulk": _bulk_replay,
    "refused atomic bulk": lambda client: send(
        client, create(), change({"id": UNKNOWN_ID}, "*"), atomic=True
    ),
    "idempotency key reused": _reuse,
    "second page": _second_page,
    "brief page": _brief_page,
    "labels in use": _labels,
}


class Case(NamedTuple):
    """A request, the service that it needs, and the status that it provokes, if that is known."""

    service: str
    provoke: Provocation
    status: int | None = None


def _service(case: tuple[str, str, int]) -> str:
    return "secured" if case[-1] in {401, 403} else fixture_of(case)


CASES: dict[str, Case] = {
    **{
        f"{method} {path} {status}": Case(_service((method, path, status)), provoke, status)
        for (method, path, status), provoke in PROVOCATIONS.items()
        # Only under AUTH=off, which a function refuses.
        if status != 421 and path != SERVER_ONLY
    },
    **{name: Case("client", provoke) for name, provoke in OTHERS.items()},
    "Authorization twice": Case("secured", _read_twice("Authorization"), 401),
    "X-Api-Key twice": Case("secured", _read_twice("X-Api-Key"), 401),
}


def _contended(moto: str, stack: ExitStack, after: int = 0) -> Settings:
    proxy = FaultProxy(moto, Contention(after=after))
    return builders.settings(stack.enter_context(proxy).url)


def _secured(moto: str, rate_limit: int) -> Settings:
    return builders.settings(moto, auth="on", bootstrap_key=BOOTSTRAP, rate_limit=rate_limit)


# Settings with a table of their own, by the fixture of tests/http/contract_test.py.
SERVICES: dict[str, Callable[[str, ExitStack], Settings]] = {
    "client": lambda moto, _: builders.settings(moto),
    "storeless_client": lambda *_: builders.settings("http://127.0.0.1:9"),
    "contended_client": _contended,
    "once_contended_client": lambda moto, stack: _contended(moto, stack, after=1),
    "guarded_client": lambda moto, _: _secured(moto, rate_limit=1),
    # The same with a rate that no case exceeds, so that cases can share it.
    "secured": lambda moto, _: _secured(moto, rate_limit=1000),
}
# Each case that exceeds a rate needs a service of its own.
RATE_LIMITED = {"guarded_client"}


@contextmanager
def sides(fixture: str, moto: str) -> Iterator[dict[str, Client]]:
    """Yield a client of the server, and one of the function for each kind of event."""
    with ExitStack() as stack:
        server = serving(create_app(SERVICES[fixture](moto, stack)))
        clients = {SERVER: Client(base_url=stack.enter_context(server))}
        for kind in KINDS:
            function = stack.enter_context(running_function(SERVICES[fixture](moto, stack)))
            gateway = Gateway(function, kind)
            clients[kind] = Client(base_url="https://tracker.example", transport=gateway)
        for client in clients.values():
            stack.enter_context(client)
        if fixture != "storeless_client":
            _wait_until_ready(clients[SERVER])
        yield clients


def _wait_until_ready(client: Client) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline


@pytest.fixture(autouse=True)
def few_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow few keys, so that a case soon creates too many."""
    monkeypatch.setattr(key_service, "MAX_KEYS_PER_WORKSPACE", 20)


@pytest.fixture(scope="module")
def services(moto: str) -> Iterator[Callable[[str], dict[str, Client]]]:
    """The clients for each fixture, created when a case first needs them."""
    made: dict[str, dict[str, Client]] = {}
    with ExitStack() as stack:

        def make(fixture: str) -> dict[str, Client]:
            if fixture in RATE_LIMITED or fixture not in made:
                made[fixture] = stack.enter_context(sides(fixture, moto))
            return made[fixture]

        yield make


def normalised(response: httpx.Response) -> Comparable:
    """Return what must be equal: without unique text, and without fields of the connection."""
    text = _without_unique_text(response.text)
    headers = [
        (name.lower(), _without_unique_text(value))
        for name, value in response.headers.multi_items()
        if name.lower() not in SERVER_FIELDS
    ]
    # A token is longer, the more was delivered of late.
    if ("content-length", str(len(response.content))) in headers and "<token>" in text:
        headers.remove(("content-length", str(len(response.content))))
    return response.status_code, sorted(headers), text


def _without_unique_text(text: str) -> str:
    for word, pattern in UNIQUE_TEXT.items():
        text = re.sub(pattern, word, text)
    return text


def test_function_and_server_return_the_same_responses(
    services: Callable[[str], dict[str, Client]], report: Callable[[str], None]
) -> None:
    """Status, headers and body are equal for every kind of event, except for listed differences."""
    differences: dict[tuple[str, str], tuple[Comparable, Comparable]] = {}
    for name, case in CASES.items():
        clients = services(case.service)
        found = {side: normalised(case.provoke(client)) for side, client in clients.items()}
        expected = found.pop(SERVER)
        # A case that provoked another status on both sides would prove nothing.
        assert case.status in {None, expected[0]}, name
        differences |= {
            (kind, name): (response, expected)
            for kind, response in found.items()
            if response != expected
        }
    unlisted = {where: both for where, both in differences.items() if where not in DIFFERENCES}
    count = f"{len(CASES)} cases by {len(KINDS)} kinds of events"
    report(f"{count}, unlisted differences: {len(unlisted)}")
    assert unlisted == {}
    assert differences.keys() == DIFFERENCES.keys()


def test_the_documents_of_function_and_server_are_the_same_but_for_streams() -> None:
    """Under each, /openapi.json describes the operations that it serves."""
    settings = builders.settings("http://127.0.0.1:9")
    server = create_app(settings).openapi()
    function = create_app(settings, as_function=True).openapi()
    assert server["paths"].pop(SERVER_ONLY)
    assert function["paths"] == server["paths"]
    assert function["info"] == server["info"]


def test_every_operation_has_a_case() -> None:
    """Every operation of the OpenAPI document is compared."""
    paths = create_app(builders.settings("http://127.0.0.1:9")).openapi()["paths"]
    endpoints = {(method, path) for path, operations in paths.items() for method in operations}
    assert endpoints <= {(method, path) for method, path, _ in PROVOCATIONS}
