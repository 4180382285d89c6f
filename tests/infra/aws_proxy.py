"""A proxy in front of moto that records each call by its access key, and adds what moto lacks."""

import itertools
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import botocore.session

from tests.infra.amp_stub import AlertManagerDefinitions, Response

# Services whose calls have no name in the request: the name in signatures, and that of the model.
REST_MODELS = {
    "apigateway": "apigatewayv2",
    "aps": "amp",
    "lambda": "lambda",
    "route53": "route53",
    "s3": "s3",
}
HOP_BY_HOP = {"connection", "host", "transfer-encoding"}
PROTECTED = b"""<ErrorResponse><Error><Type>Sender</Type><Code>OperationNotPermitted</Code>
<Message>Load balancer cannot be deleted because deletion protection is enabled</Message>
</Error><RequestId>1</RequestId></ErrorResponse>"""

# Every so many requests, a connection is closed without a response, as networks and AWS do.
DROPPED_EVERY = 50

# (service, operation), as the AWS SDKs name them, but the service as in signatures.
Call = tuple[str, str]


class AwsProxy:
    """A proxy at `url`. `calls` holds the distinct calls of each access key."""

    def __init__(self, moto_url: str) -> None:
        self.calls: defaultdict[str, set[Call]] = defaultdict(set)
        self._moto = urlsplit(moto_url)
        self._elb = boto3.client(
            "elbv2",
            endpoint_url=moto_url,
            region_name="eu-central-1",
            aws_access_key_id="proxy",
            aws_secret_access_key="proxy",
        )
        self._scaling_tags: dict[str, str] = {}
        self._definitions = AlertManagerDefinitions()
        self._received = itertools.count(1)
        self.dropped = 0
        self.url = ""

    @contextmanager
    def running(self) -> Iterator["AwsProxy"]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if proxy.drops():
                    self.close_connection = True
                    return
                status, headers, response = proxy.handle(
                    self.command, self.path, dict(self.headers), body
                )
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(response)

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.url = f"http://127.0.0.1:{server.server_port}"
            yield self
            server.shutdown()

    def drops(self) -> bool:
        """Return whether this request gets no response."""
        drops = next(self._received) % DROPPED_EVERY == 0
        self.dropped += drops
        return drops

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        """Record the call, and return moto's response, a refusal, or a stub's response."""
        signed = re.search(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/", str(headers))
        if signed:
            key, service = signed.groups()
            operation = _operation(service, method, path, headers, body)
            self.calls[key].add((service, operation))
            if operation == "DeleteLoadBalancer" and self._protected(body):
                return 400, [("Content-Length", str(len(PROTECTED)))], PROTECTED
            if service == "application-autoscaling":
                self._scaling_tags |= json.loads(body).get("Tags", {})
                if operation.endswith("Resource"):
                    return self._tags_of_scaling(operation, json.loads(body))
            if stubbed := self._definitions.response(operation, path, body):
                return stubbed
            if operation == "DescribeServices":
                return _with_all_running(self._forward(method, path, headers, body))
        return self._forward(method, path, headers, body)

    def _tags_of_scaling(self, operation: str, request: dict[str, Any]) -> Response:
        """Tag the only scalable target, which moto cannot."""
        for key in request.get("TagKeys", []):
            self._scaling_tags.pop(key, None)
        listed = {"Tags": self._scaling_tags} if operation == "ListTagsForResource" else {}
        response = json.dumps(listed).encode()
        return 200, [("Content-Length", str(len(response)))], response

    def _protected(self, body: bytes) -> bool:
        (arn,) = parse_qs(body.decode())["LoadBalancerArn"]
        found = self._elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        return {"Key": "deletion_protection.enabled", "Value": "true"} in found

    def _forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        kept = {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}
        connection = HTTPConnection(str(self._moto.hostname), self._moto.port)
        try:
            connection.request(method, path, body, kept | {"Host": self._moto.netloc})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        returned = [
            (name, value)
            for name, value in response.getheaders()
            if name.lower() not in HOP_BY_HOP | {"content-length"}
        ]
        length = response.headers["Content-Length"] if method == "HEAD" else None
        returned.append(("Content-Length", length or str(len(content))))
        return response.status, returned, content


def _with_all_running(response: Response) -> Response:
    """Let each service run the ECS tasks that it desires; moto runs one number of them in all."""
    status, headers, body = response
    document = json.loads(body)
    for service in document.get("services", []):
        service["runningCount"] = service["desiredCount"]
    body = json.dumps(document).encode()
    kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
    return status, [*kept, ("Content-Length", str(len(body)))], body


def _operation(service: str, method: str, path: str, headers: dict[str, str], body: bytes) -> str:
    """Return the operation's name, as the SDKs have it."""
    lower = {name.lower(): value for name, value in headers.items()}
    if target := lower.get("x-amz-target"):
        return target.rpartition(".")[2]
    if action := re.search(rb"(?:^|&)Action=(\w+)", body):
        return action[1].decode()
    return _rest_operation(service, method, path)


def _rest_operation(service: str, method: str, path: str) -> str:
    url = urlsplit(path)
    values = parse_qs(url.query, keep_blank_values=True)
    if "x-id" in values:
        return values["x-id"][0]
    query = set(values)
    for operation, wanted, pattern, needed in _rest_patterns(service):
        if wanted == method and needed <= query and re.fullmatch(pattern, url.path.rstrip("/")):
            return operation
    raise AssertionError(f"unknown call: {service} {method} {path}")


@cache
def _rest_patterns(service: str) -> list[tuple[str, str, str, set[str]]]:
    """Return operation, method, path and query names; those that demand most come first."""
    model: Any = botocore.session.get_session().get_service_model(REST_MODELS[service])
    found = []
    # A header distinguishes it from PutObject.
    for name in set(model.operation_names) - {"CopyObject"}:
        http = model.operation_model(name).http
        uri = urlsplit(http["requestUri"])
        pattern = re.sub(r"\\\{\w+\\\+\\\}", ".+", re.escape(uri.path.rstrip("/")))
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", pattern)
        query = set(parse_qs(uri.query, keep_blank_values=True))
        found.append((name, http["method"], pattern, query))
    return sorted(found, key=lambda each: (-len(each[3]), each[2].count("[^/]+")))
