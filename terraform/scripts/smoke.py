"""Walk an API from end to end and leave nothing behind: `make smoke URL=https://... KEY=tt_...`.

From the environment, so that no key is on a command line: URL, and KEY where the API asks for one.
A key that opens nothing but /v1/keys, given as KEY or as BOOTSTRAP_KEY, is used to make one for the
walk, which is revoked at its end. Function URLs of AWS get a signature made with the credentials
that botocore finds; the key then travels in X-Api-Key.
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
from typing import Any, NamedTuple
from urllib import request
from urllib.error import HTTPError
from urllib.parse import urlsplit

# A cold start takes seconds, and AWS itself gives up after 30.
TIMEOUT_SECONDS = 30
# An index learns of a new task later than the table does.
PATIENCE_SECONDS = 10
FUNCTION_URL = re.compile(r"[a-z0-9]+\.lambda-url\.([a-z0-9-]+)\.on\.aws")
PROBLEM = "application/problem+json"
MERGE_PATCH = "application/merge-patch+json"
WANTED_KEY = {"workspace": "smoke", "label": "smoke", "scopes": ["tasks:read", "tasks:write"]}

Headers = dict[str, str]


class SmokeError(Exception):
    """Something is wrong; the message says what was asked, and what came."""


class Answer(NamedTuple):
    """What came back."""

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
    def is_the_apps(self) -> bool:
        return self.status < 400 or self.headers.get("content-type") == PROBLEM


Send = Callable[[request.Request], Answer]


class _NoRedirects(request.HTTPRedirectHandler):
    """A redirect would take key and signature somewhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def send(asked: request.Request) -> Answer:
    """Send a request past every proxy."""
    opener = request.build_opener(request.ProxyHandler({}), _NoRedirects)
    try:
        with opener.open(asked, timeout=TIMEOUT_SECONDS) as response:
            return _answer(response.status, response)
    except HTTPError as error:
        with error:
            return _answer(error.code, error)


def _answer(status: int, response: Any) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status, headers, response.read())


class Api:
    """An API at an address, asked with a key or without one."""

    def __init__(self, url: str, key: str, send: Send) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SmokeError(f"URL must be an address such as https://api.example.com, not {url!r}")
        self._url = url.rstrip("/")
        self._key = key
        self._send = send
        found = FUNCTION_URL.fullmatch(parts.hostname)
        self._region = found[1] if found else None

    def with_key(self, key: str) -> "Api":
        return Api(self._url, key, self._send)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Headers | None = None
    ) -> Answer:
        """Ask, and print what came.

        Raises:
            SmokeError: nothing came, or nothing of the app's.
        """
        content = None if body is None else json.dumps(body).encode()
        asked = request.Request(self._url + path, content, method=method)  # noqa: S310 - checked above
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            asked.add_header(name, value)
        self._authorize(asked)
        try:
            answer = self._send(asked)
        except (OSError, HTTPException) as error:
            raise SmokeError(f"{method} {path}: no answer from {self._url} ({error})") from error
        print(f"{method} {path}: {answer.status}")
        if answer.status in {401, 403} and not answer.is_the_apps:
            raise SmokeError(f"{method} {path}: {answer.status}, {self._refusal()}")
        return answer

    def _authorize(self, asked: request.Request) -> None:
        if self._key:
            name = "X-Api-Key" if self._region else "Authorization"
            asked.add_header(name, self._key if self._region else f"Bearer {self._key}")
        if self._region:
            for name, value in _signature(asked, self._region).items():
                asked.add_header(name, value)

    def _refusal(self) -> str:
        if self._region:
            return (
                "and not by the app: AWS takes no request from these credentials. They need "
                "lambda:InvokeFunctionUrl and lambda:InvokeFunction on the function, and must not "
                "be expired."
            )
        return "and not by the app: something in front of it lets nobody in."


def _signature(asked: request.Request, region: str) -> Headers:
    """Sign address, time and body, and no header that could be changed on the way."""
    import botocore.session  # noqa: PLC0415 - most addresses want no signature
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    credentials = botocore.session.get_session().get_credentials()
    if credentials is None:
        raise SmokeError(
            "A function URL wants a signature, and there are no AWS credentials. Set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or AWS_PROFILE."
        )
    signed = AWSRequest(asked.method, asked.full_url, data=asked.data or b"")
    SigV4Auth(credentials.get_frozen_credentials(), "lambda", region).add_auth(signed)
    return dict(signed.headers.items())


def expect(answer: Answer, status: int, step: str, *, because: str = "") -> dict[str, Any]:
    """Insist on a status, and give the body.

    Raises:
        SmokeError: it is another one.
    """
    if answer.status == status:
        return answer.json()
    said = answer.json().get("detail") or answer.json().get("title") if answer.is_the_apps else ""
    hint = " Pass a key as KEY=..." if answer.status == 401 else because
    raise SmokeError(f"{step}: {status} was expected, and {answer.status} came. {said or ''}{hint}")


def insist(holds: bool, step: str, sentence: str) -> None:
    if not holds:
        raise SmokeError(f"{step}: {sentence}")


def member(body: dict[str, Any], name: str, step: str) -> str:
    insist(isinstance(body.get(name), str), step, f"the answer has no {name}.")
    return str(body[name])


def walk(api: Api) -> None:
    """Make a task, find, change and delete it."""
    mark = f"smoke-{uuid.uuid4().hex[:12]}"
    answer = api.ask("POST", "/v1/tasks", {"title": "Smoke", "project": mark})
    task = expect(answer, 201, "create")
    path = f"/v1/tasks/{member(task, 'id', 'create')}"
    try:
        _find(api, task["id"], mark)
        etag = _change(api, path, member(task, "etag", "create"))
        _delete(api, path, etag)
    except BaseException:
        _clean(api, path)
        raise


def _find(api: Api, task_id: str, mark: str) -> None:
    """Ask until the list has it: the index may still be on its way."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        page = expect(api.ask("GET", f"/v1/tasks?project={mark}"), 200, "list")
        items = page.get("items", [])
        if [each["id"] for each in items] == [task_id]:
            return
        insist(time.monotonic() < deadline, "list", f"it has {len(items)} tasks, not the one made.")
        time.sleep(1)


def _change(api: Api, path: str, etag: str) -> str:
    tagged = {"If-Match": etag, "Content-Type": MERGE_PATCH}
    changed = expect(api.ask("PATCH", path, {"title": "Smoke, changed"}, tagged), 200, "change")
    insist(changed.get("title") == "Smoke, changed", "change", "the title is still the old one.")
    insist(changed.get("etag") != etag, "change", "the ETag is still the old one.")
    stale = api.ask("PATCH", path, {"title": "Smoke, lost"}, tagged)
    expect(stale, 412, "stale change", because="Somebody's change would have been lost.")
    return member(changed, "etag", "change")


def _delete(api: Api, path: str, etag: str) -> None:
    expect(api.ask("DELETE", path, headers={"If-Match": etag}), 204, "delete")
    expect(api.ask("GET", path), 404, "deleted")


def _clean(api: Api, path: str) -> None:
    """Delete what a walk that went wrong had made; what went wrong is said already."""
    try:
        api.ask("DELETE", path, headers={"If-Match": "*"})
    except SmokeError as error:
        print(error, file=sys.stderr)


@contextmanager
def admitted(api: Api, key: str, bootstrap: str) -> Iterator[Api]:
    """Give the API as somebody who may use tasks, with a key made for it where none was given."""
    if not bootstrap and key and api.with_key(key).ask("GET", "/v1/tasks?limit=1").status == 403:
        bootstrap = key
    if not bootstrap:
        yield api.with_key(key)
        return
    operator = api.with_key(bootstrap)
    made = expect(operator.ask("POST", "/v1/keys", WANTED_KEY), 201, "make a key")
    path = f"/v1/keys/{member(made, 'id', 'make a key')}"
    try:
        yield api.with_key(member(made, "key", "make a key"))
    finally:
        expect(operator.ask("DELETE", path), 204, "revoke the key")


def smoke(url: str, key: str, bootstrap: str, send: Send) -> None:
    """Try everything in turn.

    Raises:
        SmokeError: at the first thing that is wrong.
    """
    api = Api(url, "", send)
    expect(api.ask("GET", "/livez"), 200, "livez")
    expect(api.ask("GET", "/readyz"), 200, "readyz", because="Does its table exist?")
    with admitted(api, key, bootstrap) as allowed:
        walk(allowed)


def main(environ: Mapping[str, str], send: Send = send) -> int:
    url, key, bootstrap = (environ.get(name, "") for name in ("URL", "KEY", "BOOTSTRAP_KEY"))
    try:
        smoke(url, key, bootstrap, send)
    except SmokeError as error:
        print(f"Smoke: {error}", file=sys.stderr)
        return 1
    print(f"Smoke: {url} does what it should.")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
