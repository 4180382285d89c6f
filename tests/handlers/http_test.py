"""The function's response to every kind of event that AWS documents, and to malformed events."""

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

from api.local.processes import ROOT
from api.problem import MEDIA_TYPE
from handlers.function import Function
from tests.support import builders
from tests.support.gateway import Context, running_function

GOLDEN = {file.stem: file for file in sorted((ROOT / "tests/data/events").iterdir())}
CLIENT = "198.51.100.24"
CREATED = {"title": "Grüße senden", "project": "café"}
# For each event, the status of the response and the address of the client.
REQUESTS: dict[str, tuple[int, str]] = {
    "function_url": (201, "2001:db8:7::19"),
    "function_url_encoded_path": (404, CLIENT),
    "http_api": (201, CLIENT),
    "http_api_default_stage": (201, CLIENT),
    "http_api_mapping_key": (201, CLIENT),
    "http_api_payload_one": (201, CLIENT),
    "http_api_query": (200, CLIENT),
    "http_api_route": (201, CLIENT),
    "load_balancer": (201, CLIENT),
    "load_balancer_health_check": (200, "unknown"),
    "load_balancer_multi_value": (201, CLIENT),
    "load_balancer_query": (200, CLIENT),
    "rest_api": (201, CLIENT),
    "rest_api_console_test": (200, "unknown"),
    "rest_api_custom_domain": (201, CLIENT),
    "rest_api_query": (200, CLIENT),
    "rest_api_stage_like_path": (201, CLIENT),
    "rest_api_v1_proxy": (201, CLIENT),
    "rest_api_v1_proxy_custom_domain": (201, CLIENT),
}
NOT_REQUESTS = {"queue", "schedule", "scheduler"}
ONE_OF_EACH = pytest.mark.parametrize("name", ["http_api", "rest_api", "load_balancer"])


def golden(name: str, **changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(GOLDEN[name].read_text())
    return event | changes


@pytest.fixture(scope="module")
def function(moto: str) -> Iterator[Function]:
    """One container of the function, with an empty table."""
    with running_function(builders.settings(moto)) as function:
        yield function


def headers(response: dict[str, Any]) -> dict[str, str]:
    multiple = response.get("multiValueHeaders", {})
    return {**response.get("headers", {}), **{name: values[0] for name, values in multiple.items()}}


def test_every_golden_event_is_used() -> None:
    """A file in tests/data/events that no test sends would prove nothing."""
    assert set(GOLDEN) == set(REQUESTS) | NOT_REQUESTS


@pytest.mark.parametrize("name", REQUESTS)
def test_the_response_to_each_event(
    name: str, function: Function, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every event gets its response as text, and the client's address is not a forged one."""
    response = function(golden(name), Context())
    status, client = REQUESTS[name]
    assert (response["statusCode"], response["isBase64Encoded"]) == (status, False)
    assert json.loads(capfd.readouterr().err.splitlines()[-1])["client"] == client
    content_type = MEDIA_TYPE if status >= 400 else "application/json"
    sent = headers(response)
    assert sent["content-type"] == content_type
    assert sent["x-request-id"]
    body = json.loads(response["body"])
    if status == 201:
        assert sent["location"] == f"/v1/tasks/{body['id']}"
        assert body | CREATED == body
        assert sent["x-request-id"] == "order-17"


@pytest.mark.parametrize("name", [name for name in REQUESTS if name.endswith("_query")])
def test_a_query_is_decoded_once(name: str, function: Function) -> None:
    """A filter matches, whether the event's query is percent-encoded or not."""
    function(golden("load_balancer"), Context())
    tasks = json.loads(function(golden(name), Context())["body"])["items"]
    assert {task["project"] for task in tasks} == {"café"}


def test_a_function_has_no_metrics_endpoint(function: Function) -> None:
    """/metrics does not exist, even if the event claims a loopback client."""
    event = golden("function_url", rawPath="/metrics")
    event["requestContext"]["http"] |= {"method": "GET", "path": "/metrics"}
    event["requestContext"]["http"]["sourceIp"] = "127.0.0.1"
    assert function(event, Context())["statusCode"] == 404


def test_cookies_become_one_header(function: Function) -> None:
    """Payload 2.0 has cookies in a list; the app receives one Cookie header."""
    scope = function.infer(golden("http_api"), Context()).scope
    assert [b"cookie", b"theme=dark; lang=de"] in scope["headers"]


@pytest.mark.parametrize("value", ["café", "日本", "\u0000", "\r\nx: y"])
@ONE_OF_EACH
def test_a_header_value_cannot_cause_a_failure(name: str, value: str, function: Function) -> None:
    """A request id that is not visible ASCII is replaced, and the scheme is not checked."""
    event = golden(name)
    event["headers"] = dict.fromkeys(("x-request-id", "x-forwarded-proto"), value)
    event["headers"]["content-type"] = "application/json"
    event.pop("multiValueHeaders", None)
    response = function(event, Context())
    assert response["statusCode"] == 201
    assert headers(response)["x-request-id"] not in (value, "order-17")


@pytest.mark.parametrize("host", ["[2001:db8::5]:8443", "tracker.example:x", "a:b:c", ""])
@ONE_OF_EACH
def test_a_host_cannot_cause_a_failure(name: str, host: str, function: Function) -> None:
    """The Host header may be an IPv6 address or malformed, and the port not a number."""
    event = golden(name)
    event["headers"] |= {"host": host, "x-forwarded-port": "x"}
    event.pop("multiValueHeaders", None)
    assert function(event, Context())["statusCode"] == 201


@pytest.mark.parametrize(
    "absent",
    ["headers", "multiValueHeaders", "queryStringParameters", "cookies", "pathParameters"],
)
@pytest.mark.parametrize("name", ["http_api_query", "rest_api_query", "load_balancer_query"])
def test_null_is_the_same_as_missing(name: str, absent: str, function: Function) -> None:
    """An event may have null for headers, query, cookies or path parameters, or lack them."""
    without = golden(name)
    without.pop(absent, None)
    responses = [function(event, Context()) for event in (golden(name, **{absent: None}), without)]
    assert [response["statusCode"] for response in responses] == [200, 200]
    assert "headers" in responses[0]


@pytest.mark.parametrize("identity", [None, {}, {"sourceIp": None}])
def test_an_event_may_lack_the_clients_address(identity: Any, function: Function) -> None:
    """A null `identity` and a missing `sourceIp` are an unknown client."""
    event = golden("rest_api")
    event["requestContext"]["identity"] = identity
    assert function(event, Context())["statusCode"] == 201


def test_a_load_balancer_gets_the_form_that_it_sent(function: Function) -> None:
    """With multi-value headers it ignores `headers`, and without them `multiValueHeaders`."""
    assert "headers" not in function(golden("load_balancer_multi_value"), Context())
    assert "multiValueHeaders" not in function(golden("load_balancer"), Context())


def test_a_response_without_content_has_no_content_type(function: Function) -> None:
    """A 204 does not declare JSON."""
    created = json.loads(function(golden("http_api"), Context())["body"])
    path = f"/v1/tasks/{created['id']}"
    event = golden("function_url", body=None, isBase64Encoded=False, rawPath=path)
    event["requestContext"]["http"] |= {"method": "DELETE", "path": path}
    event["headers"]["if-match"] = created["etag"]
    response = function(event, Context())
    assert (response["statusCode"], response["body"]) == (204, "")
    assert "content-type" not in response["headers"]


def test_the_response_to_head_has_no_body(function: Function) -> None:
    """HEAD returns the headers of GET alone."""
    event = golden("load_balancer_health_check", httpMethod="HEAD")
    assert function(event, Context())["body"] == ""


# What precedes the path in public


def _create(event: dict[str, Any], function: Function) -> str:
    response = function(event, Context())
    assert response["statusCode"] == 201
    return headers(response)["location"]


@pytest.mark.parametrize(
    ("name", "base_path"),
    [
        ("rest_api", "/live"),
        ("rest_api_v1_proxy", "/live"),
        ("rest_api_v1_proxy_custom_domain", "/tracker"),
        ("http_api", "/live"),
        ("http_api_mapping_key", "/tracker"),
    ],
)
def test_links_begin_with_the_base_path(name: str, base_path: str, moto: str) -> None:
    """BASE_PATH precedes Location and is the server in the OpenAPI document."""
    with running_function(builders.settings(moto, base_path=base_path)) as function:
        assert _create(golden(name), function).startswith(f"{base_path}/v1/tasks/")
        document = function(golden("load_balancer_health_check", path="/openapi.json"), Context())
        assert json.loads(document["body"])["servers"][0]["url"] == base_path


def test_the_base_path_is_removed_where_the_route_does_not_tell(moto: str) -> None:
    """A mapping key can be in all paths of an event whose route is `$default`."""
    event = golden("http_api_default_stage", rawPath="/tracker/v1/tasks")
    with running_function(builders.settings(moto, base_path="/tracker")) as function:
        assert _create(event, function).startswith("/tracker/v1/tasks/")


def test_a_path_that_only_begins_like_a_stage_is_kept(moto: str) -> None:
    """/livez is not the stage /live and a z."""
    event = golden("rest_api_console_test")
    with running_function(builders.settings(moto, base_path="/live")) as function:
        assert function(event, Context())["statusCode"] == 200


# Events that are not HTTP requests


@pytest.mark.parametrize("name", ["schedule", "scheduler"])
def test_a_scheduled_event_keeps_the_function_warm(name: str, function: Function) -> None:
    """An event of an EventBridge rule, or of EventBridge Scheduler, is not an error."""
    assert function(golden(name), Context()) == {"warm": True}


UNREADABLE: list[Any] = [
    *(None, [], "text", 7, {}, {"requestContext": {}}, {"version": "2.0"}, {"httpMethod": "GET"}),
    golden("queue"),
    {"version": "2.0", "rawPath": "/livez", "requestContext": {"http": {}}},
    {"version": "2.0", "requestContext": {"http": {"method": "GET"}}},
    {"version": "2.0", "requestContext": {"http": {"method": "GET", "path": 7}}},
    {"httpMethod": "GET", "requestContext": "elb"},
    {"httpMethod": "GET", "requestContext": {"elb": {}}},
    {"httpMethod": {}, "path": "/", "requestContext": {}},
    golden("load_balancer", headers=["x"]),
    golden("function_url", body="A"),
    golden("rest_api", body={"title": "x"}),
    golden("rest_api", body="\ud83d"),
    golden("load_balancer_multi_value", multiValueHeaders={"accept": 7}),
]


@pytest.mark.parametrize("event", UNREADABLE, ids=repr)
def test_an_unreadable_event_gets_a_problem_document(event: Any, function: Function) -> None:
    """An event that is not a whole HTTP request is a 400, and not a function error."""
    response = function(event, Context())
    problem = json.loads(response["body"])
    assert (response["statusCode"], problem["status"]) == (400, 400)
    assert problem["type"] == "/problems/unreadable-event"
    assert response["headers"]["content-type"] == MEDIA_TYPE
    assert problem["request_id"] == Context().aws_request_id


def test_an_unreadable_event_is_not_logged(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says that an event was unreadable, and nothing of its content."""
    function({"version": "2.0", "rawPath": "canary-7f3a", "headers": "canary-7f3a"}, None)
    assert [each.getMessage() for each in caplog.records] == ["the event is not an HTTP request"]
    assert "canary" not in repr(vars(caplog.records[0]))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_a_malformed_event_is_not_a_server_error(data: st.DataObject, function: Function) -> None:
    """Whatever value a member of an event has, the status is below 500."""
    event = golden(data.draw(st.sampled_from(sorted(REQUESTS))))
    target = data.draw(st.sampled_from([event, event["requestContext"]]))
    # A method that is not text comes from no gateway.
    name = data.draw(st.sampled_from(sorted(target.keys() - {"httpMethod"})))
    target[name] = data.draw(anything)
    response = function(event, Context())
    assert 200 <= response["statusCode"] < 500


# Logs, and the start


def test_a_request_is_logged_once(function: Function, capfd: pytest.CaptureFixture[str]) -> None:
    """The app writes one JSON line, and Mangum, whose line would contain the path, writes none."""
    mangum = logging.getLogger("mangum.http")
    assert not mangum.isEnabledFor(logging.INFO)
    function(golden("http_api"), Context())
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["id"] == "order-17"


@pytest.fixture
def environment(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The environment of a container; what the start changes is restored."""
    monkeypatch.setenv("CURSOR_SECRET", builders.SECRET)
    monkeypatch.setenv("DYNAMODB_ENDPOINT", moto)
    monkeypatch.setenv("TABLE_NAME", "tasks-of-a-container")
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    sys.modules.pop("handlers.http", None)
    yield monkeypatch
    root.handlers[:], root.level = kept, level
    if module := sys.modules.pop("handlers.http", None):
        module.handler.repository.transport.close()
        module.handler.loop.close()


def test_a_container_starts_from_its_environment(environment: pytest.MonkeyPatch) -> None:
    """The import creates the function, and the table in a local store."""
    handler = importlib.import_module("handlers.http").handler
    for path in ("/livez", "/livez", "/readyz"):
        event = golden("load_balancer_health_check", path=path)
        assert handler(event, Context())["statusCode"] == 200


def test_an_invalid_setting_is_named_without_its_value(environment: pytest.MonkeyPatch) -> None:
    """The start fails with the name of the setting; its value may be a secret."""
    environment.setenv("CURSOR_SECRET", "canary-7f3a")
    with pytest.raises(ValidationError, match="cursor_secret") as failure:
        importlib.import_module("handlers.http")
    assert "canary-7f3a" not in str(failure.value)


def test_the_function_keeps_its_event_loop(function: Function) -> None:
    """The function works although other code has unset the current event loop."""
    asyncio.set_event_loop(None)
    assert function(golden("http_api_query"), Context())["statusCode"] == 200
