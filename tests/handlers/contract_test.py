"""One contract: what is asked of a server and of a Lambda function has the same answer."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from api.main import create_app
from api.settings import Settings
from tests.api.contract_test import FIXTURES, JSON, PROVOCATIONS, TASKS
from tests.support import builders
from tests.support.builders import Client
from tests.support.doors import BOOTSTRAP
from tests.support.faults import Fault, FaultProxy
from tests.support.gateway import KINDS, Gateway, functioning
from tests.support.server import serving

Provocation = Callable[[Client], httpx.Response]
Answer = tuple[int, list[tuple[str, str]], str]

SERVER = "server"
# Header fields of a connection, which a function has none of, and uvicorn's own.
OF_THE_SERVER = {"date", "server", "connection", "transfer-encoding", "keep-alive"}
# What is made anew for each answer, wherever in it that stands.
MADE_ANEW = {
    "<key>": r"\btt_[0-7][0-9A-HJKMNP-TV-Z]{25}_[0-9a-f]{64}_[0-9a-f]{8}\b",
    "<id>": r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "<tag or request id>": r"\b[0-9a-f]{16}\b",
    "<cursor>": r'(?<="next_cursor":")[^"]+',
}
# What differs, and why it must.
LISTED: dict[tuple[str, str], str] = {
    **{(kind, "metrics"): "nobody scrapes a function" for kind in KINDS},
    ("balancer", "a header twice"): "without multi-value headers it sends the last value",
    ("balancer", "a parameter twice"): "likewise",
}


def _ask(method: str, path: str, **options: Any) -> Provocation:
    return lambda client: client.request(method, path, **options)


def _replay(client: Client) -> httpx.Response:
    client.create_once("again", "Once")
    return client.create_once("again", "Once")


def _reuse(client: Client) -> httpx.Response:
    client.create_once("other", "Once")
    return client.create_once("other", "Twice")


def _second_page(client: Client) -> httpx.Response:
    for title in "ab":
        client.create(title, project="pages")
    first = client.page(project="pages", limit=1)
    following = {"project": "pages", "limit": 1, "cursor": first["next_cursor"]}
    return client.get(TASKS, params=following)


def _cached(*, twice: bool) -> Provocation:
    def ask(client: Client) -> httpx.Response:
        task = client.create()
        tags = [task["etag"], '"0000000000000000"'] if twice else [task["etag"]]
        headers = [("If-None-Match", tag) for tag in tags]
        return client.get(f"{TASKS}/{task['id']}", headers=headers)

    return ask


OTHERS: dict[str, Provocation] = {
    "metrics": _ask("GET", "/metrics"),
    "page": _ask("GET", "/docs"),
    "document": _ask("GET", "/openapi.json"),
    "root": _ask("GET", "/"),
    "no such path": _ask("GET", "/v1/nothing"),
    "a slash too many": _ask("GET", "/v1/tasks/"),
    "no such method": _ask("PUT", TASKS),
    "options": _ask("OPTIONS", TASKS),
    "head": _ask("HEAD", "/livez"),
    "head of nothing": _ask("HEAD", "/nothing"),
    "half of JSON": _ask("POST", TASKS, content=b'{"title": ', headers=JSON),
    "no body": _ask("POST", TASKS, headers=JSON),
    "not UTF-8": _ask("POST", TASKS, content=b'{"title": "\xff"}', headers=JSON),
    "not a tongue": _ask("POST", TASKS, json={"title": "日本 🗾 é"}),
    "a large body": _ask("POST", TASKS, json={"title": "x", "description": "é" * 8000}),
    "many faults": _ask("POST", TASKS, json={"title": "", "status": 7, "colour": "é"}),
    "path in UTF-8": _ask("GET", "/v1/tasks/caf\u00e9"),
    "encoded path": _ask("GET", "/v1/tasks/%41%2f%E2%82%AC%20"),
    "encoded query": _ask("GET", f"{TASKS}?project=caf%C3%A9%20au+lait%2Bb&colour=%FF"),
    "blank parameter": _ask("GET", f"{TASKS}?limit=&colour"),
    "a parameter twice": _ask("GET", f"{TASKS}?status=none&status=todo"),
    "a header twice": _cached(twice=True),
    "cached": _cached(twice=False),
    "cookies": _ask("GET", "/livez", headers=[("Cookie", "a=1"), ("Cookie", "b=2; c=3")]),
    "own request id": _ask("GET", "/livez", headers={"X-Request-Id": "mine-1"}),
    "strange header": _ask("GET", "/livez", headers={"X-Request-Id": "caf\u00e9".encode()}),
    "replay": _replay,
    "key used again": _reuse,
    "second page": _second_page,
}
CASES: dict[str, tuple[str, Provocation]] = {
    **{
        " ".join(map(str, case)): (
            FIXTURES.get((case[0], case[2]), FIXTURES.get(case[2], "client")),
            provoke,
        )
        for case, provoke in PROVOCATIONS.items()
    },
    **{name: ("client", provoke) for name, provoke in OTHERS.items()},
}


def _contended(moto: str, stack: ExitStack) -> Settings:
    proxy = FaultProxy(moto, lambda name: Fault.CONFLICT if name == "TransactWriteItems" else None)
    return builders.settings(stack.enter_context(proxy).url)


def _guarded(moto: str, stack: ExitStack) -> Settings:
    return builders.settings(moto, auth="on", bootstrap_key=BOOTSTRAP, rate_limit=1)


# What a fixture of the other contract test means for each side, with a table of its own.
SERVICES: dict[str, Callable[[str, ExitStack], Settings]] = {
    "client": lambda moto, _: builders.settings(moto),
    "storeless_client": lambda *_: builders.settings("http://127.0.0.1:9"),
    "contended_client": _contended,
    "guarded_client": _guarded,
}
# Callers that are counted: each case has a service of its own.
COUNTED = {"guarded_client"}


@contextmanager
def sides(fixture: str, moto: str) -> Iterator[dict[str, Client]]:
    """Give a client of a server, and one of a function for each kind of event."""
    with ExitStack() as stack:
        server = serving(create_app(SERVICES[fixture](moto, stack)))
        clients = {SERVER: Client(base_url=stack.enter_context(server))}
        for kind in KINDS:
            function = stack.enter_context(functioning(SERVICES[fixture](moto, stack)))
            gateway = Gateway(function, kind)
            clients[kind] = Client(base_url="https://tracker.example", transport=gateway)
        for client in clients.values():
            stack.enter_context(client)
        while fixture != "storeless_client" and clients[SERVER].get("/readyz").status_code != 200:
            pass
        yield clients


@pytest.fixture(scope="module")
def services(moto: str) -> Iterator[Callable[[str], dict[str, Client]]]:
    """Both sides of each fixture, made when a case first asks for them."""
    made: dict[str, dict[str, Client]] = {}
    with ExitStack() as stack:

        def make(fixture: str) -> dict[str, Client]:
            if fixture in COUNTED or fixture not in made:
                made[fixture] = stack.enter_context(sides(fixture, moto))
            return made[fixture]

        yield make


def normalised(response: httpx.Response) -> Answer:
    """Take out of an answer what is new each time, and what only a connection has."""
    headers = [
        (name.lower(), _scrubbed(value))
        for name, value in response.headers.multi_items()
        if name.lower() not in OF_THE_SERVER
    ]
    return response.status_code, sorted(headers), _scrubbed(response.text)


def _scrubbed(text: str) -> str:
    for word, pattern in MADE_ANEW.items():
        text = re.sub(pattern, word, text)
    return text


def test_a_function_answers_as_a_server_does(
    services: Callable[[str], dict[str, Client]], report: Callable[[str], None]
) -> None:
    """Status, headers and body, whichever kind of event brought the request."""
    differences: dict[tuple[str, str], tuple[Answer, Answer]] = {}
    for case, (fixture, provoke) in CASES.items():
        answers = {side: normalised(provoke(client)) for side, client in services(fixture).items()}
        expected = answers.pop(SERVER)
        differences |= {
            (kind, case): (answer, expected)
            for kind, answer in answers.items()
            if answer != expected
        }
    beyond = {where: both for where, both in differences.items() if where not in LISTED}
    told = f"{len(CASES)} cases by {len(KINDS)} kinds of events, "
    report(f"{told}differences beyond the listed ones: {len(beyond)}")
    assert beyond == {}
    assert differences.keys() == LISTED.keys()


def test_the_provocations_are_what_they_say(services: Callable[[str], dict[str, Client]]) -> None:
    """A case of which both sides make something else would compare nothing."""
    for (method, path, status), provoke in PROVOCATIONS.items():
        fixture, _ = CASES[f"{method} {path} {status}"]
        assert provoke(services(fixture)["rest_api"]).status_code == status


def test_no_endpoint_is_left_out() -> None:
    """Whatever the document has is asked for on both sides."""
    paths = create_app(builders.settings("http://127.0.0.1:9")).openapi()["paths"]
    endpoints = {(method, path) for path, operations in paths.items() for method in operations}
    assert endpoints <= {(method, path) for method, path, _ in PROVOCATIONS}
