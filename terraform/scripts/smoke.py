"""Smoke test: create, list, change and delete a task: `KEY=tt_... make smoke URL=https://...`.

KEY comes from the environment, so that no API key appears in a list of processes. With a
bootstrap key, as KEY or BOOTSTRAP_KEY, it creates an API key for the test and revokes it at the
end. Requests to a Lambda function URL are signed with the AWS credentials that botocore finds; the
API key is then sent in X-Api-Key.
"""

import json
import os
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, Request

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

# These scripts run by path, so the repository is not on Python's path.
sys.path.insert(0, str(Path(__file__).parents[2]))

from terraform.scripts.safe_http import RefusedError, opener

# A cold start takes seconds; API Gateway times out after 30.
TIMEOUT_SECONDS = 30
# DynamoDB's indexes lag behind the table.
INDEX_LAG_SECONDS = 10
FUNCTION_URL = re.compile(r"[a-z0-9]+\.lambda-url\.([a-z0-9-]+)\.on\.aws")
PROBLEM = "application/problem+json"
MERGE_PATCH = "application/merge-patch+json"
DENIED_BY_AWS = (
    "denied by AWS. The credentials need lambda:InvokeFunctionUrl and lambda:InvokeFunction on the "
    "function, and must not be expired."
)
NO_CREDENTIALS = (
    "A function URL needs signed requests, but there are no AWS credentials. Set AWS_PROFILE, or "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN)."
)
NEW_KEY = {"workspace": "smoke", "label": "smoke", "scopes": ["tasks:read", "tasks:write"]}

Headers = dict[str, str]


class SmokeError(Exception):
    """A step failed. The message names the step and the difference."""


class Response(NamedTuple):
    """An HTTP response; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        try:
            body = json.loads(self.body)
        except ValueError:
            body = None
        return body if isinstance(body, dict) else {}

    @property
    def is_from_app(self) -> bool:
        """Tell an error of the API from one of AWS or a proxy in front of it."""
        return self.status < 400 or self.headers.get("content-type") == PROBLEM


Send = Callable[[Request], Response]


def sender(through: OpenerDirector) -> Send:
    """Return a function that sends requests through an opener."""

    def send(outgoing: Request) -> Response:
        try:
            received = through.open(outgoing, timeout=TIMEOUT_SECONDS)
        except HTTPError as error:
            received = error
        with received:
            headers = {name.lower(): value for name, value in received.headers.items()}
            return Response(received.status, headers, received.read())

    return send


class Api:
    """A client of the API at a URL, with an API key or without."""

    def __init__(self, url: str, key: str, send: Send) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._send = send
        function_url = FUNCTION_URL.fullmatch(urlsplit(url).hostname or "")
        self._region = function_url[1] if function_url else None

    def with_key(self, key: str) -> "Api":
        return Api(self._url, key, self._send)

    def request(
        self, method: str, path: str, body: Any = None, headers: Headers | None = None
    ) -> Response:
        """Send a request and print the status.

        Raises:
            SmokeError: there was no response, or AWS or a proxy denied access.
        """
        content = None if body is None else json.dumps(body).encode()
        outgoing = Request(self._url + path, content, method=method)  # noqa: S310 - see opener
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            outgoing.add_header(name, value)
        self._authorize(outgoing)
        try:
            response = self._send(outgoing)
        except (OSError, HTTPException) as error:
            raise SmokeError(f"{method} {path}: no response from {self._url} ({error})") from error
        print(f"{method} {path}: {response.status}")
        if response.status in {401, 403} and not response.is_from_app:
            denied = DENIED_BY_AWS if self._region else "denied by a proxy in front of the API."
            raise SmokeError(f"{method} {path}: {response.status}, {denied}")
        return response

    def _authorize(self, outgoing: Request) -> None:
        if self._key:
            name = "X-Api-Key" if self._region else "Authorization"
            outgoing.add_header(name, self._key if self._region else f"Bearer {self._key}")
        if self._region:
            for name, value in _signature(outgoing, self._region).items():
                outgoing.add_header(name, value)


def _signature(outgoing: Request, region: str) -> Headers:
    """Sign method, URL, time and body. Other headers can change on the way."""
    credentials = botocore.session.get_session().get_credentials()
    if credentials is None:
        raise SmokeError(NO_CREDENTIALS)
    signed = AWSRequest(outgoing.method, outgoing.full_url, data=outgoing.data or b"")
    SigV4Auth(credentials.get_frozen_credentials(), "lambda", region).add_auth(signed)
    return dict(signed.headers.items())


def expect(response: Response, status: int, step: str, *, hint: str = "") -> dict[str, Any]:
    """Check the status of a response, and return its JSON body.

    Raises:
        SmokeError: the status is another one.
    """
    if response.status == status:
        return response.json()
    problem = response.json() if response.is_from_app else {}
    detail = problem.get("detail") or problem.get("title") or ""
    hint = "Pass an API key as KEY=..." if response.status == 401 else hint
    raise SmokeError(f"{step}: expected {status}, got {response.status}. {detail} {hint}".rstrip())


def check(holds: bool, step: str, message: str) -> None:
    if not holds:
        raise SmokeError(f"{step}: {message}")


def field(body: dict[str, Any], name: str, step: str) -> str:
    check(isinstance(body.get(name), str), step, f"the response has no {name}.")
    return str(body[name])


def run_steps(api: Api) -> None:
    """Create, list, change and delete a task."""
    project = f"smoke-{uuid.uuid4().hex[:12]}"
    response = api.request("POST", "/v1/tasks", {"title": "Smoke", "project": project})
    task = expect(response, 201, "create")
    path = f"/v1/tasks/{field(task, 'id', 'create')}"
    try:
        _list(api, task["id"], project)
        etag = _change(api, path, field(task, "etag", "create"))
        _delete(api, path, etag)
    except BaseException:
        _clean_up(api, path)
        raise


def _list(api: Api, task_id: str, project: str) -> None:
    """Repeat the list until the index contains the task."""
    deadline = time.monotonic() + INDEX_LAG_SECONDS
    while True:
        page = expect(api.request("GET", f"/v1/tasks?project={project}"), 200, "list")
        ids = [task["id"] for task in page.get("items", [])]
        if ids == [task_id]:
            return
        check(time.monotonic() < deadline, "list", f"expected {[task_id]}, got {ids}.")
        time.sleep(1)


def _change(api: Api, path: str, etag: str) -> str:
    headers = {"If-Match": etag, "Content-Type": MERGE_PATCH}
    changed = expect(api.request("PATCH", path, {"title": "Changed"}, headers), 200, "change")
    check(changed.get("title") == "Changed", "change", "the title did not change.")
    check(changed.get("etag") != etag, "change", "the ETag did not change.")
    stale = api.request("PATCH", path, {"title": "Stale"}, headers)
    expect(stale, 412, "stale change", hint="A stale If-Match overwrote a newer change.")
    return field(changed, "etag", "change")


def _delete(api: Api, path: str, etag: str) -> None:
    expect(api.request("DELETE", path, headers={"If-Match": etag}), 204, "delete")
    expect(api.request("GET", path), 404, "deleted")


def _clean_up(api: Api, path: str) -> None:
    """Delete the task after a failure; an error here must not hide the first one."""
    try:
        api.request("DELETE", path, headers={"If-Match": "*"})
    except SmokeError as error:
        print(error, file=sys.stderr)


@contextmanager
def authorized(api: Api, key: str, bootstrap: str) -> Iterator[Api]:
    """Provide a client with an API key; with a bootstrap key, create one and revoke it."""
    if key and not bootstrap:
        # A bootstrap key cannot list tasks.
        status = api.with_key(key).request("GET", "/v1/tasks?limit=1").status
        bootstrap = key if status == 403 else ""
    if not bootstrap:
        yield api.with_key(key)
        return
    operator = api.with_key(bootstrap)
    created = expect(operator.request("POST", "/v1/keys", NEW_KEY), 201, "create a key")
    path = f"/v1/keys/{field(created, 'id', 'create a key')}"
    try:
        yield api.with_key(field(created, "key", "create a key"))
    finally:
        expect(operator.request("DELETE", path), 204, "revoke the key")


def smoke(url: str, key: str, bootstrap: str, send: Send) -> None:
    """Run all steps.

    Raises:
        SmokeError: a step failed.
    """
    api = Api(url, "", send)
    expect(api.request("GET", "/livez"), 200, "livez")
    expect(api.request("GET", "/readyz"), 200, "readyz", hint="Does the table exist?")
    with authorized(api, key, bootstrap) as client:
        run_steps(client)


def main(environ: Mapping[str, str], send: Send | None = None) -> int:
    url, key, bootstrap = (environ.get(name, "") for name in ("URL", "KEY", "BOOTSTRAP_KEY"))
    try:
        smoke(url, key, bootstrap, send or sender(opener(url, environ)))
    except (SmokeError, RefusedError) as error:
        print(f"Smoke test failed: {error}", file=sys.stderr)
        return 1
    print(f"Smoke test passed: {url}")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
