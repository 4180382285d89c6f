"""Events as AWS documents them, read into ASGI scopes: in the places of Mangum's own readers.

An event that lacks what makes a request fails here with whatever Python says of it: a KeyError, a
TypeError. A member that is null is as good as missing; `read` sees to that for all kinds.
"""

from collections.abc import Iterator
from functools import cached_property
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlencode

from mangum.handlers import ALB, APIGateway, HTTPGateway
from mangum.types import LambdaConfig, LambdaEvent, LambdaHandler, Response, Scope

Headers = list[tuple[bytes, bytes]]


class PayloadTwo(HTTPGateway):
    """A request through an HTTP API, or to a function URL."""

    # Mangum's own is made anew each time that it is asked for.
    @cached_property
    def scope(self) -> Scope:
        context, headers = self.event["requestContext"], _headers(self.event)
        if cookies := self.event.get("cookies"):
            headers.append((b"cookie", _bytes("; ".join(cookies))))
        return _scope(
            self.event,
            method=context["http"]["method"],
            path=_below_stage(self.event["rawPath"], context.get("stage")),
            query=self.event.get("rawQueryString", ""),
            headers=headers,
            address=context["http"].get("sourceIp"),
        )

    def __call__(self, response: Response) -> dict[str, Any]:
        """Answer as Mangum does, which also gives a type to a body that is not there."""
        answer = super().__call__(response)
        if not any(name.lower() == b"content-type" for name, _ in response["headers"]):
            del answer["headers"]["content-type"]
        return answer


class PayloadOne(APIGateway):
    """A request through a REST API, or through an HTTP API that was asked for the older format."""

    @cached_property
    def scope(self) -> Scope:
        query = _many(self.event, "QueryStringParameters")
        return _scope(
            self.event,
            method=self.event["httpMethod"],
            path=_own_path(self.event),
            # Here they are decoded already.
            query=urlencode(list(query), errors="replace"),
            headers=_headers(self.event),
            address=(self.event["requestContext"].get("identity") or {}).get("sourceIp"),
        )


class Balancer(ALB):
    """A request through an application load balancer, with or without multi-value headers."""

    @cached_property
    def scope(self) -> Scope:
        headers = _headers(self.event)
        hops = [value for name, value in headers if name == b"x-forwarded-for"]
        query = _many(self.event, "QueryStringParameters")
        return _scope(
            self.event,
            method=self.event["httpMethod"],
            path=self.event["path"],
            # It hands them on as they came, still encoded.
            query="&".join(f"{name}={value}" for name, value in query),
            headers=headers,
            # The balancer adds its peer at the end; what stands before was sent by anybody.
            address=_without_port(b",".join(hops).decode().rpartition(",")[2]),
        )


def read(event: LambdaEvent, context: Any, config: LambdaConfig) -> LambdaHandler:
    """Find the reader of an event, and let it read.

    Raises:
        AttributeError, LookupError, TypeError, ValueError: it is no request, or not a whole one.
    """
    event = {name: member for name, member in event.items() if member is not None}
    reader = _kind(event)(event, context, config)
    reader.scope["aws.context"] = context
    _ = reader.body
    return reader


def _kind(event: LambdaEvent) -> type[LambdaHandler]:
    if event.get("version") == "2.0":
        return PayloadTwo
    # Of an event that is no request at all, one of these is not there.
    method, context = event["httpMethod"], event["requestContext"]
    return Balancer if method and "elb" in context else PayloadOne


def _scope(  # noqa: PLR0913 - the parts of a request
    event: LambdaEvent, *, method: str, path: str, query: str, headers: Headers, address: Any
) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "http_version": "1.1",
        "method": method.upper(),
        "scheme": "https",
        "path": unquote(path) or "/",
        "raw_path": _bytes(path),
        "root_path": "",
        "query_string": _bytes(query),
        "headers": headers,
        "client": _client(address),
        # The Host header says it, and there it may be no name and port at all.
        "server": None,
        "aws.event": event,
    }


def _headers(event: LambdaEvent) -> Headers:
    return [(_bytes(name.lower()), _bytes(value)) for name, value in _many(event, "Headers")]


def _many(event: LambdaEvent, what: str) -> Iterator[tuple[str, str]]:
    """Give names and values, from where all values of a name are, or else from where one is."""
    several = event.get(f"multiValue{what}")
    if several:
        yield from ((name, value) for name, values in several.items() for value in values or ())
    else:
        single = event.get(what[0].lower() + what[1:], {})
        yield from ((name, value) for name, value in single.items() if value is not None)


def _bytes(text: str) -> bytes:
    # JSON can hold half a character, which no encoding knows.
    return text.encode(errors="replace")


def _client(address: Any) -> tuple[str, int] | None:
    """Give the sender's address if it is one: a console's test has other words there."""
    try:
        return str(ip_address(address)), 0
    except ValueError:
        return None


def _without_port(hop: str) -> str:
    """Take the port away that a balancer can be told to write down, too."""
    hop = hop.strip()
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _own_path(event: LambdaEvent) -> str:
    """Take from a path what API Gateway put before it: a stage, or a custom domain's base path.

    A custom domain's events have the base path in both paths and the stage in none; those of the
    API's own host have the stage in the context's path, and only some of them in the other.
    """
    path, context = event["path"], event["requestContext"]
    matched = (event.get("pathParameters") or {}).get("proxy")
    if matched and unquote(path).endswith(f"/{unquote(matched)}"):
        return f"/{matched}"
    own_host = ".execute-api." in context.get("domainName", "")
    if own_host and context.get("path", path) == path:
        return _below_stage(path, context.get("stage"))
    return str(path)


def _below_stage(path: str, stage: str | None) -> str:
    prefix = f"/{stage}"
    return path.removeprefix(prefix) if f"{path}/".startswith(f"{prefix}/") else path
