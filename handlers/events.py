"""Corrections of what Mangum 0.22 misreads in AWS's events (docs/decisions/0014)."""

import re
from typing import Any
from urllib.parse import unquote

from mangum.types import ASGI, LambdaEvent
from starlette.types import Message, Receive, Scope, Send

# Mangum fails if the host is an IPv6 address or the port is not a number. The app reads neither.
UNUSED_HEADERS = {"host", "x-forwarded-port"}
# A load balancer can be configured to write the client's port after its address.
ADDRESS_AND_PORT = re.compile(r"([\d.]+):\d+|\[(.+)\]:\d+")
# In the path of a route: {task_id}, or {proxy+} for all that follows.
PARAMETER = re.compile(r"\{([^{}+]+)\+?\}")


def normalise(event: LambdaEvent) -> LambdaEvent:
    """Return a copy of an event that Mangum can read.

    Raises:
        AttributeError, LookupError, TypeError, ValueError: it is not a whole HTTP request.
    """
    event = {"headers": {}, **_without_nulls(event)}
    for name in event.keys() & {"headers", "multiValueHeaders"}:
        fields = event[name].items()
        event[name] = {key: value for key, value in fields if key.lower() not in UNUSED_HEADERS}
    context = event["requestContext"]
    # Payload 2.0 has the path and the client's address in context.http.
    request = context.get("http", event)
    # Behind a mapping key of a custom domain, only rawPath lacks the key.
    path = event["rawPath"] if "rawPath" in event else request["path"]
    request["path"] = _without_prefix(path, event)
    client = context.get("http") or context.setdefault("identity", {})
    client.setdefault("sourceIp", "")
    return event


def corrected(app: ASGI) -> ASGI:
    """Correct the client's address, and send no body in the response to a HEAD request."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if "body" in message else message)

        scope["client"] = (_last_hop(scope["client"][0]), 0)
        await app(scope, receive, send_head if scope["method"] == "HEAD" else send)

    return run


def _without_nulls(value: Any) -> Any:
    """Drop members that are null: Mangum expects that what is not there is missing."""
    if isinstance(value, dict):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    return value


def _without_prefix(path: str, event: LambdaEvent) -> str:
    """Return a path without what precedes its route: a stage, or a custom domain's base path.

    The route `$default` has no path that would tell.
    """
    decoded, route = unquote(path), unquote(_route_path(event))
    if route.startswith("/") and decoded.endswith(route):
        return path.removeprefix(decoded.removesuffix(route))
    stage = f"/{event['requestContext'].get('stage')}"
    has_stage = _has_stage(path, event["requestContext"])
    return path.removeprefix(stage) if has_stage and f"{path}/".startswith(f"{stage}/") else path


def _route_path(event: LambdaEvent) -> str:
    """Return a route's path with its parameters filled in; REST APIs call it the resource."""
    template: str = event.get("resource") or event.get("routeKey", "").partition(" ")[2]
    parameters = event.get("pathParameters", {})
    return PARAMETER.sub(lambda name: str(parameters.get(name[1], name[0])), template)


def _has_stage(path: str, context: dict[str, Any]) -> bool:
    """Return whether a path that arrived by the route `$default` starts with the stage.

    An HTTP API puts the stage into every path, under payload 1.0 except on a custom domain.
    """
    own_host = ".execute-api." in context.get("domainName", "")
    return "http" in context or (own_host and context.get("path") == path)


def _last_hop(forwarded: str) -> str:
    """Return the client's address; a load balancer appends it to what the client has sent."""
    hop = forwarded.rpartition(",")[2].strip()
    found = ADDRESS_AND_PORT.fullmatch(hop)
    return (found[1] or found[2]) if found else hop
