"""The function: every kind of event that AWS documents, whole and broken, sent through the app."""

import asyncio
import importlib
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api import problem_json
from handlers import events
from handlers.function import Function
from tests.support import builders
from tests.support.gateway import Context, functioning
from tests.support.processes import ROOT

GOLDEN = {file.stem: file for file in sorted((ROOT / "tests/data/events").iterdir())}
CLIENT = "198.51.100.24"
CREATED = {"title": "Grüße senden", "project": "café"}
# Events, the status of their answers, and the senders that they name.
ASKED: dict[str, tuple[int, str | None]] = {
    "balancer": (201, CLIENT),
    "balancer_health_check": (200, None),
    "balancer_of_many": (201, CLIENT),
    "balancer_query": (200, CLIENT),
    "function_url": (201, "2001:db8:7::19"),
    "function_url_encoded_path": (404, CLIENT),
    "http_api": (201, CLIENT),
    "http_api_payload_one": (201, CLIENT),
    "http_api_query": (200, CLIENT),
    "rest_api": (201, CLIENT),
    "rest_api_console_test": (200, None),
    "rest_api_custom_domain": (201, CLIENT),
    "rest_api_query": (200, CLIENT),
    "rest_api_stage_like_path": (201, CLIENT),
}
NO_REQUESTS = {"queue", "schedule"}

each_request = pytest.mark.parametrize("name", ASKED)


def golden(name: str, **changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(GOLDEN[name].read_text())
    return event | changes


@pytest.fixture(scope="module")
def function(moto: str) -> Iterator[Function]:
    """One container of the function, with an empty table."""
    with functioning(builders.settings(moto)) as function:
        yield function


def headers(answer: dict[str, Any]) -> dict[str, str]:
    single = {name: values[0] for name, values in answer.get("multiValueHeaders", {}).items()}
    return {**answer.get("headers", {}), **single}


def test_every_golden_event_is_asked() -> None:
    """No file lies there that no test sends."""
    assert set(GOLDEN) == set(ASKED) | NO_REQUESTS


@each_request
def test_an_event_is_answered(name: str, function: Function) -> None:
    """With status, type and request id, as text; a task is made of the body's own letters."""
    answer = function(golden(name), Context())
    status, _ = ASKED[name]
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (status, False)
    sent = headers(answer)
    assert sent["content-type"] == (
        problem_json.MEDIA_TYPE if status >= 400 else "application/json"
    )
    assert sent["x-request-id"]
    body = json.loads(answer["body"])
    if status == 201:
        assert sent["location"] == f"/v1/tasks/{body['id']}"
        assert body | CREATED == body
        assert sent["x-request-id"] == "order-17"
    if name.endswith("_query"):
        assert [task["project"] for task in body["items"]] == ["café"] * len(body["items"])


@pytest.mark.parametrize("name", [name for name in ASKED if name.endswith("_query")])
def test_a_query_is_decoded_once(name: str, function: Function) -> None:
    """Whether it came encoded or not, the filter finds what it names."""
    function(golden("balancer"), Context())
    assert json.loads(function(golden(name), Context())["body"])["items"]


@each_request
def test_the_sender_is_whom_the_platform_saw(name: str, function: Function) -> None:
    """Never what a header claims; words that are no address are nobody."""
    scope = events.read(golden(name), Context(), function.config).scope
    client = scope["client"]
    assert (client and client[0]) == ASKED[name][1]


@each_request
def test_metrics_are_never_there(name: str, function: Function) -> None:
    """Whatever address an event claims."""
    event = json.loads(GOLDEN[name].read_text().replace(CLIENT, "127.0.0.1"))
    for key in ("path", "rawPath"):
        event |= {key: "/metrics"} if key in event else {}
    event["pathParameters"] = {"proxy": "metrics"}
    event["requestContext"] |= {"stage": "$default", "path": "/metrics"}
    if "http" in event["requestContext"]:
        event["requestContext"]["http"]["method"] = "GET"
    event["httpMethod"] = "GET"
    assert function(event, Context())["statusCode"] == 404


def test_cookies_are_one_header(function: Function) -> None:
    """As a browser would have sent them."""
    scope = events.read(golden("http_api"), Context(), function.config).scope
    assert (b"cookie", b"theme=dark; lang=de") in scope["headers"]


def test_several_values_of_a_header_stay_apart(function: Function) -> None:
    """Where the event has them apart."""
    event = golden("rest_api")
    event["multiValueHeaders"]["If-Match"] = ['"a"', '"b"']
    scope = events.read(event, Context(), function.config).scope
    assert [value for name, value in scope["headers"] if name == b"if-match"] == [b'"a"', b'"b"']


@pytest.mark.parametrize("value", ["café", "日本", "\ud83d", "\u0000", "\r\nx: y"])
@pytest.mark.parametrize("name", ["http_api", "rest_api", "balancer"])
def test_no_header_value_breaks_an_answer(name: str, value: str, function: Function) -> None:
    """Letters outside of Latin-1, halves of characters, control characters."""
    event = golden(name)
    event["headers"] = dict.fromkeys(("x-request-id", "x-forwarded-proto"), value)
    event["headers"]["content-type"] = "application/json"
    event.pop("multiValueHeaders", None)
    answer = function(event, Context())
    assert answer["statusCode"] == 201
    assert headers(answer)["x-request-id"] not in (value, "order-17")


@pytest.mark.parametrize("host", ["[2001:db8::5]:8443", "tracker.example:x", "a:b:c", ""])
@pytest.mark.parametrize("name", ["http_api", "rest_api", "balancer"])
def test_no_host_breaks_an_answer(name: str, host: str, function: Function) -> None:
    """An address of version 6 has colons of its own, and a port can be no number."""
    event = golden(name)
    event["headers"] |= {"host": host, "x-forwarded-port": "x"}
    event.pop("multiValueHeaders", None)
    assert function(event, Context())["statusCode"] == 201


@pytest.mark.parametrize(
    "absent",
    ["headers", "multiValueHeaders", "queryStringParameters", "cookies", "pathParameters"],
)
@pytest.mark.parametrize("name", ["http_api_query", "rest_api_query", "balancer_query"])
def test_what_is_null_is_missing(name: str, absent: str, function: Function) -> None:
    """A request needs no headers, no query and no cookies."""
    answers = [function(golden(name) | {absent: None}, Context())]
    without = golden(name)
    without.pop(absent, None)
    answers.append(function(without, Context()))
    assert [answer["statusCode"] for answer in answers] == [200, 200]
    assert "headers" in answers[0]


def test_a_balancer_is_answered_in_the_form_that_it_asked_in(function: Function) -> None:
    """With multi-value headers it reads nothing else, and without them likewise."""
    assert "headers" not in function(golden("balancer_of_many"), Context())
    assert "multiValueHeaders" not in function(golden("balancer"), Context())


@pytest.mark.parametrize("name", ["http_api", "function_url"])
def test_nothing_has_no_type(name: str, function: Function) -> None:
    """An answer without a body is not said to be JSON."""
    made = json.loads(function(golden(name), Context())["body"])
    path = f"/v1/tasks/{made['id']}"
    event = golden("function_url", rawPath=path, body=None, isBase64Encoded=False)
    event["requestContext"]["http"]["method"] = "DELETE"
    event["headers"]["if-match"] = made["etag"]
    answer = function(event, Context())
    assert (answer["statusCode"], answer["body"]) == (204, "")
    assert "content-type" not in answer["headers"]


def test_a_head_has_no_body(function: Function) -> None:
    """As under every HTTP server."""
    event = golden("balancer_health_check", httpMethod="HEAD")
    answer = function(event, Context())
    assert answer["body"] == ""


# What is no request


def test_a_scheduled_event_keeps_the_function_warm(function: Function) -> None:
    """It does no harm, and says that it did."""
    assert function(golden("schedule"), Context()) == {"warm": True}


BROKEN: list[Any] = [
    *(None, [], "text", 7, {}, {"requestContext": {}}, {"version": "2.0"}, {"httpMethod": "GET"}),
    golden("queue"),
    {"version": "2.0", "rawPath": "/livez", "requestContext": {"http": {}}},
    {"version": "2.0", "requestContext": {"http": {"method": "GET"}}},
    {"version": "2.0", "rawPath": 7, "requestContext": {"http": {"method": "GET"}}},
    {"httpMethod": "GET", "requestContext": "elb"},
    {"httpMethod": "GET", "requestContext": {"elb": {}}},
    {"httpMethod": {}, "path": "/", "requestContext": {}},
    golden("balancer", headers=["x"]),
    golden("function_url", body="A"),
    golden("rest_api", body={"title": "x"}),
    golden("rest_api", body="\ud83d"),
    golden("balancer_of_many", multiValueHeaders={"host": 7}),
]


@pytest.mark.parametrize("event", BROKEN, ids=repr)
def test_what_is_no_request_is_refused_in_plain_words(event: Any, function: Function) -> None:
    """By a problem, as the app would, and never by a stack trace."""
    answer = function(event, Context())
    problem = json.loads(answer["body"])
    assert (answer["statusCode"], problem["status"]) == (400, 400)
    assert answer["headers"]["content-type"] == problem_json.MEDIA_TYPE
    assert problem["request_id"] == Context().aws_request_id


def test_what_is_refused_is_not_logged(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it was, it may hold a secret."""
    function({"version": "2.0", "rawPath": "canary-7f3a", "headers": "canary-7f3a"}, None)
    assert [record.getMessage() for record in caplog.records] == ["the event is no HTTP request"]
    assert "canary" not in repr(vars(caplog.records[0]))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_no_member_of_an_event_can_break_the_function(
    data: st.DataObject, function: Function
) -> None:
    """Whatever stands in the place of any one of them."""
    event = golden(data.draw(st.sampled_from(sorted(ASKED))))
    target = data.draw(st.sampled_from([event, event["requestContext"]]))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(anything)
    answer = function(event, Context())
    assert 200 <= answer["statusCode"] < 500


# Logs, and the start


def test_a_request_is_one_line(function: Function, capfd: pytest.CaptureFixture[str]) -> None:
    """The app's own, in JSON; Mangum writes none, whoever listens."""
    seen: list[str] = []
    listener = logging.Handler(logging.DEBUG)
    listener.emit = lambda record: seen.append(record.name)  # type: ignore[method-assign]
    root = logging.getLogger()
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.INFO)
    try:
        function(golden("http_api"), Context())
    finally:
        root.removeHandler(listener)
        root.setLevel(level)
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["id"] == "order-17"
    assert seen == []


@pytest.fixture
def environment(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A container's environment; what its start changes is put back."""
    monkeypatch.setenv("CURSOR_SECRET", builders.SECRET)
    monkeypatch.setenv("DYNAMODB_ENDPOINT", moto)
    monkeypatch.setenv("TABLE_NAME", "tasks-of-a-container")
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    sys.modules.pop("handlers.http", None)
    yield monkeypatch
    root.handlers[:], root.level = kept, level
    if module := sys.modules.pop("handlers.http", None):
        module.handler.repository.wire.close()
        module.handler.loop.close()


def test_the_container_starts_from_its_environment(environment: pytest.MonkeyPatch) -> None:
    """Once, and then answers; a local table is made, as on a server."""
    module = importlib.import_module("handlers.http")
    answers = [module.handler(golden("balancer_health_check"), Context()) for _ in range(2)]
    assert [answer["statusCode"] for answer in answers] == [200, 200]
    ready = golden("balancer_health_check", path="/readyz")
    assert module.handler(ready, Context())["statusCode"] == 200


def test_a_wrong_environment_is_not_shown(environment: pytest.MonkeyPatch) -> None:
    """The start fails with the setting's name, without its value."""
    environment.setenv("CURSOR_SECRET", "canary-7f3a")
    with pytest.raises(ValidationError, match="cursor_secret") as failure:
        importlib.import_module("handlers.http")
    assert "canary-7f3a" not in str(failure.value)


def test_a_loop_of_somebody_else_does_no_harm(function: Function) -> None:
    """The function has one of its own, whatever the current one is."""
    asyncio.set_event_loop(None)
    assert function(golden("http_api_query"), Context())["statusCode"] == 200
