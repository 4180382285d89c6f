"""API Gateway, function URLs and load balancers: HTTP requests become events for a function.

The events have the forms that AWS documents.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

import httpx

from api.settings import Settings
from handlers.function import Function

CLIENT_ADDRESS = "203.0.113.7"
DOMAIN = "api.tracker.example"
STAGE = "live"
# Bodies of these types are passed on as text, all others in base64.
TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")

Event = dict[str, Any]
Pairs = list[tuple[str, str]]


class Context(NamedTuple):
    """The member of Lambda's context that the function reads."""

    aws_request_id: str = "8f1c6f0e-93b5-4d0c-8f5e-2a1d7e5b0c11"


class Gateway(httpx.BaseTransport):
    """An HTTP transport that invokes a function with one kind of event."""

    def __init__(self, function: Callable[[Any, Any], Any], kind: str) -> None:
        self._function = function
        self._event_of = KINDS[kind]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        event = json.loads(json.dumps(self._event_of(request)))
        response = json.loads(json.dumps(self._function(event, Context())))
        content = response["body"].encode()
        if response["isBase64Encoded"]:
            content = base64.b64decode(content, validate=True)
        headers = _response_headers(response)
        return httpx.Response(response["statusCode"], headers=headers, content=content)


@contextmanager
def running_function(settings: Settings) -> Iterator[Function]:
    """Create the function as a container does when it starts, and close it at the end."""
    function = Function(settings)
    try:
        yield function
    finally:
        function.repository.transport.close()
        # The loop closes the connections in its next iteration.
        function.loop.run_until_complete(asyncio.sleep(0))
        function.loop.close()


def http_api(request: httpx.Request) -> Event:
    """An HTTP API decodes the path, and puts a stage that is not the default one before it."""
    event = _payload_two(request, f"/{STAGE}{unquote(request.url.path)}")
    event["requestContext"]["stage"] = STAGE
    return event


def http_api_mapping_key(request: httpx.Request) -> Event:
    """A mapping key of a custom domain precedes one path; the other has the stage, as always."""
    event = http_api(request)
    event["requestContext"]["domainName"] = DOMAIN
    event["requestContext"]["http"]["path"] = f"/tracker{unquote(request.url.path)}"
    return event


def http_api_routes(request: httpx.Request) -> Event:
    """A route below /v1 has a parameter with the rest of the path."""
    event = http_api(request)
    below, found, rest = unquote(request.url.path).partition("/v1/")
    if found and not below:
        event |= {"routeKey": "ANY /v1/{proxy+}", "pathParameters": {"proxy": rest}}
    return event


def function_url(request: httpx.Request) -> Event:
    """A function URL passes the path on as it is."""
    return _payload_two(request, _raw_path(request))


def rest_api(request: httpx.Request) -> Event:
    """A REST API passes on every value of headers and parameters, and separately the last one."""
    headers, query = _headers(request), _decoded(request)
    path = _raw_path(request)
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": request.method,
        "headers": dict(headers),
        "multiValueHeaders": _multi_value(headers),
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": _multi_value(query) or None,
        "pathParameters": {"proxy": path[1:]},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/{proxy+}",
            "httpMethod": request.method,
            "path": f"/{STAGE}{path}",
            "stage": STAGE,
            "domainName": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
            "identity": {"sourceIp": CLIENT_ADDRESS},
        },
        **_body(request, ("",)),
    }


def rest_api_custom_domain(request: httpx.Request) -> Event:
    """A custom domain's base path precedes both paths; a resource below /v1 has the rest."""
    event = rest_api(request)
    below, found, rest = event["path"].partition("/v1/")
    if found and not below:
        event |= {"resource": "/v1/{proxy+}", "pathParameters": {"proxy": rest}}
    event["path"] = event["requestContext"]["path"] = f"/tracker{event['path']}"
    event["requestContext"]["domainName"] = DOMAIN
    return event


def load_balancer(request: httpx.Request) -> Event:
    """A load balancer does not decode path and query; it passes on the last value of each name."""
    return {
        **_from_load_balancer(request),
        "headers": dict(_forwarded(request)),
        "queryStringParameters": dict(_undecoded(request)),
    }


def load_balancer_multi_value(request: httpx.Request) -> Event:
    """With multi-value headers enabled, a load balancer passes on every value."""
    return {
        **_from_load_balancer(request),
        "multiValueHeaders": _multi_value(_forwarded(request)),
        "multiValueQueryStringParameters": _multi_value(_undecoded(request)),
    }


KINDS: dict[str, Callable[[httpx.Request], Event]] = {
    "http_api": http_api,
    "http_api_mapping_key": http_api_mapping_key,
    "http_api_routes": http_api_routes,
    "rest_api": rest_api,
    "rest_api_custom_domain": rest_api_custom_domain,
    "function_url": function_url,
    "load_balancer": load_balancer,
    "load_balancer_multi_value": load_balancer_multi_value,
}


def _payload_two(request: httpx.Request, path: str) -> Event:
    headers: dict[str, str] = {}
    for name, value in _headers(request):
        if name != "cookie":
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    cookies = [value for name, value in _headers(request) if name == "cookie"]
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.url.query.decode(),
        "headers": headers,
        **({"cookies": "; ".join(cookies).split("; ")} if cookies else {}),
        "requestContext": {
            "http": {"method": request.method, "path": path, "sourceIp": CLIENT_ADDRESS},
            "stage": "$default",
        },
        **_body(request, TEXT_TYPES),
    }


def _from_load_balancer(request: httpx.Request) -> Event:
    group = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/tracker/1a2b3c4d"
    return {
        "requestContext": {"elb": {"targetGroupArn": group}},
        "httpMethod": request.method,
        "path": _raw_path(request),
        **_body(request, TEXT_TYPES),
        # A load balancer sends an empty text instead of null.
        "body": _body(request, TEXT_TYPES)["body"] or "",
    }


def _forwarded(request: httpx.Request) -> Pairs:
    return [*_headers(request), ("x-forwarded-for", CLIENT_ADDRESS), ("x-forwarded-proto", "https")]


def _raw_path(request: httpx.Request) -> str:
    return request.url.raw_path.partition(b"?")[0].decode()


def _headers(request: httpx.Request) -> Pairs:
    return [(name.lower().decode(), value.decode()) for name, value in request.headers.raw]


def _decoded(request: httpx.Request) -> Pairs:
    return parse_qsl(request.url.query.decode(), keep_blank_values=True)


def _undecoded(request: httpx.Request) -> Pairs:
    parts = [part.partition("=") for part in request.url.query.decode().split("&") if part]
    return [(name, value) for name, _, value in parts]


def _multi_value(pairs: Pairs) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _body(request: httpx.Request, text_types: tuple[str, ...]) -> Event:
    content = request.read()
    if request.headers.get("content-type", "").startswith(text_types):
        try:
            return {"body": content.decode() or None, "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(content).decode() or None, "isBase64Encoded": bool(content)}


def _response_headers(response: Event) -> Pairs:
    single = response.get("headers", {})
    multiple = response.get("multiValueHeaders", {})
    pairs = [(name, value) for name, value in single.items() if name not in multiple]
    return pairs + [(name, value) for name, values in multiple.items() for value in values]
