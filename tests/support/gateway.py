"""What stands in front of a Lambda function: requests made events, and answers responses.

The shapes are those that AWS documents for each kind of caller. Events and answers pass through
JSON, as they do there.
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

PEER = "203.0.113.7"
STAGE = "live"
# What is handed on as text; a body of another type comes in base64.
TEXT = ("text/", "application/json", "application/javascript", "application/xml")

Event = dict[str, Any]
Pairs = list[tuple[str, str]]


class Context(NamedTuple):
    """The members of Lambda's context that the function looks at."""

    aws_request_id: str = "8f1c6f0e-93b5-4d0c-8f5e-2a1d7e5b0c11"


class Gateway(httpx.BaseTransport):
    """Carries requests to a function as one of its kinds of callers would."""

    def __init__(self, function: Callable[[Any, Any], Any], kind: str) -> None:
        self._function = function
        self._make = KINDS[kind]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        event = json.loads(json.dumps(self._make(request)))
        answer = json.loads(json.dumps(self._function(event, Context())))
        content = answer["body"].encode()
        if answer["isBase64Encoded"]:
            content = base64.b64decode(content, validate=True)
        return httpx.Response(answer["statusCode"], headers=_sent(answer), content=content)


@contextmanager
def functioning(settings: Settings) -> Iterator[Function]:
    """Make the app as a function, as a container does when it starts."""
    function = Function(settings)
    try:
        yield function
    finally:
        function.repository.wire.close()
        # A connection that was closed leaves in the loop's next turn.
        function.loop.run_until_complete(asyncio.sleep(0))
        function.loop.close()


def http_api(request: httpx.Request) -> Event:
    """An HTTP API decodes the path; on a stage that is not the default one, it begins with it."""
    event = _payload_two(request, f"/{STAGE}{unquote(request.url.path)}")
    event["requestContext"]["stage"] = STAGE
    return event


def function_url(request: httpx.Request) -> Event:
    """A function URL hands the path on as it came."""
    return _payload_two(request, _raw_path(request))


def rest_api(request: httpx.Request) -> Event:
    """A REST API has every value of a header and of a parameter, beside the last of each."""
    headers, query = _headers(request), _decoded(request)
    path = _raw_path(request)
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": request.method,
        "headers": dict(headers),
        "multiValueHeaders": _gathered(headers),
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": _gathered(query) or None,
        "pathParameters": {"proxy": path[1:]},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/{proxy+}",
            "httpMethod": request.method,
            "path": f"/{STAGE}{path}",
            "stage": STAGE,
            "domainName": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
            "identity": {"sourceIp": PEER},
        },
        **_body(request, ("",)),
    }


def balancer(request: httpx.Request) -> Event:
    """A balancer hands path and query on as they came, and the last value of what is repeated."""
    return {
        **_balanced(request),
        "headers": dict(_forwarded(request)),
        "queryStringParameters": dict(_undecoded(request)),
    }


def balancer_of_many(request: httpx.Request) -> Event:
    """With multi-value headers it hands on each value."""
    return {
        **_balanced(request),
        "multiValueHeaders": _gathered(_forwarded(request)),
        "multiValueQueryStringParameters": _gathered(_undecoded(request)),
    }


KINDS: dict[str, Callable[[httpx.Request], Event]] = {
    "http_api": http_api,
    "rest_api": rest_api,
    "function_url": function_url,
    "balancer": balancer,
    "balancer_of_many": balancer_of_many,
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
            "http": {"method": request.method, "path": path, "sourceIp": PEER},
            "stage": "$default",
        },
        **_body(request, TEXT),
    }


def _balanced(request: httpx.Request) -> Event:
    group = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/tracker/1a2b3c4d"
    return {
        "requestContext": {"elb": {"targetGroupArn": group}},
        "httpMethod": request.method,
        "path": _raw_path(request),
        **_body(request, TEXT),
        # A balancer has no null: a body that is not there is empty.
        "body": _body(request, TEXT)["body"] or "",
    }


def _forwarded(request: httpx.Request) -> Pairs:
    return [*_headers(request), ("x-forwarded-for", PEER), ("x-forwarded-proto", "https")]


def _raw_path(request: httpx.Request) -> str:
    return request.url.raw_path.partition(b"?")[0].decode()


def _headers(request: httpx.Request) -> Pairs:
    return [(name.lower().decode(), value.decode()) for name, value in request.headers.raw]


def _decoded(request: httpx.Request) -> Pairs:
    return parse_qsl(request.url.query.decode(), keep_blank_values=True)


def _undecoded(request: httpx.Request) -> Pairs:
    parts = [part.partition("=") for part in request.url.query.decode().split("&") if part]
    return [(name, value) for name, _, value in parts]


def _gathered(pairs: Pairs) -> dict[str, list[str]]:
    gathered: dict[str, list[str]] = {}
    for name, value in pairs:
        gathered.setdefault(name, []).append(value)
    return gathered


def _body(request: httpx.Request, text: tuple[str, ...]) -> Event:
    content = request.read()
    if request.headers.get("content-type", "").startswith(text):
        try:
            return {"body": content.decode() or None, "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(content).decode() or None, "isBase64Encoded": bool(content)}


def _sent(answer: Event) -> Pairs:
    """Give an answer's headers as a client sees them, cookies from where payload 2.0 has them."""
    single = answer.get("headers", {})
    several = answer.get("multiValueHeaders", {})
    pairs = [(name, value) for name, value in single.items() if name not in several]
    pairs += [(name, value) for name, values in several.items() for value in values]
    return pairs + [("set-cookie", cookie) for cookie in answer.get("cookies", [])]
