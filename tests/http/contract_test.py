"""The OpenAPI document is true: every status that it names can be provoked, and is as described."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from api.keys import service as key_service
from api.main import create_app
from api.principal import Scope
from api.problem import MEDIA_TYPE
from api.values import TEXT_PATTERN
from tests.support.builders import MERGE_PATCH, Client, settings
from tests.support.secured_app import BOOTSTRAP, bearer

JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}
PATCH = {"Content-Type": MERGE_PATCH, "If-Match": "*"}
TASKS, TASK = "/v1/tasks", "/v1/tasks/{task_id}"
BULK = "/v1/tasks/bulk"
CHANGES = "/v1/changes"
STREAM = "/v1/changes/stream"
SHORT = {"seconds": "0"}
RESTORE, TRASH = "/v1/tasks/{task_id}/restore", "/v1/trash"
COMMENTS, COMMENT = f"{TASK}/comments", f"{TASK}/comments/{{comment_id}}"
NAMES = ("/v1/projects", "/v1/labels", "/v1/assignees")
KEYS, KEY = "/v1/keys", "/v1/keys/{key_id}"
UNKNOWN_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
UNKNOWN_TASK = f"/v1/tasks/{UNKNOWN_ID}"
UNKNOWN_COMMENT = f"{UNKNOWN_TASK}/comments/{UNKNOWN_ID}"
NEW_KEY = {"label": "x", "scopes": ["tasks:read"]}
NEW_BULK = {"items": [{"create": {"title": "x"}}, {"delete": {"id": UNKNOWN_ID, "etag": "*"}}]}
CREATES = {"items": NEW_BULK["items"][:1]}
# The headers that a client can act on; a response has only those that are documented for it.
CLIENTS_HEADERS = {
    *("accept-patch", "accept-post", "allow", "etag", "idempotent-replayed", "location"),
    *("retry-after", "www-authenticate", "x-request-id"),
}
NEW_TEXT = b'{"text": "y"}'
ONCE = {"Idempotency-Key": "k"}
STALE = {"If-Match": '"0000000000000000"'}
TOO_LARGE = b'{"title": "' + b"x" * 131072 + b'"}'

Provocation = Callable[[Client], httpx.Response]


def _on_task(method: str, headers: dict[str, str], **options: Any) -> Provocation:
    def provoke(client: Client) -> httpx.Response:
        task = client.create(status="done")
        filled = {name: value.format(**task) for name, value in headers.items()}
        return client.request(method, f"/v1/tasks/{task['id']}", headers=filled, **options)

    return provoke


def _on_comment(method: str, headers: dict[str, str], **options: Any) -> Provocation:
    def provoke(client: Client) -> httpx.Response:
        task, comment = _commented_task(client)
        filled = {name: value.format(**comment) for name, value in headers.items()}
        return client.request(
            method, client.comments_path(task, comment), headers=filled, **options
        )

    return provoke


def _commented_task(client: Client) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a task and its only comment; under contention the first one can be written only."""
    for task in client.walk():
        if task["comment_count"] == 1:
            return task, client.get(client.comments_path(task)).json()["items"][0]
    task = client.create()
    return task, client.comment(task)


def _of_task(method: str, **options: Any) -> Provocation:
    return lambda client: client.request(method, client.comments_path(client.create()), **options)


def _request(method: str, path: str, **options: Any) -> Provocation:
    return lambda client: client.request(method, path, **options)


def _atomic_stale(client: Client) -> httpx.Response:
    deletion = {"id": client.create()["id"], "etag": STALE["If-Match"]}
    return client.post(f"{BULK}?atomic=true", json={"items": [{"delete": deletion}]})


def _restore(client: Client) -> httpx.Response:
    path = f"{TASKS}/{client.create()['id']}"
    client.delete(path, headers={"If-Match": "*"})
    return client.post(f"{path}/restore")


def _changes(client: Client) -> httpx.Response:
    page = client.get(CHANGES).json()
    # A fresh token is of some seconds ago: what others have changed since comes first.
    page = client.get(CHANGES, params={"token": page["token"]}).json()
    while page["has_more"]:
        page = client.get(CHANGES, params={"token": page["token"]}).json()
    client.delete(f"{TASKS}/{client.create()['id']}", headers={"If-Match": "*"})
    client.create()
    return client.get(CHANGES, params={"token": page["token"]})


def _changes_without_store(path: str) -> Provocation:
    """Without a token the feed needs no store."""

    def provoke(client: Client) -> httpx.Response:
        token = client.get(CHANGES).json()["token"]
        return client.get(path, params={"token": token})

    return provoke


def _page_again(client: Client) -> httpx.Response:
    etag = client.get(TASKS).headers["ETag"]
    return client.get(TASKS, headers={"If-None-Match": etag})


def _revoke(client: Client) -> httpx.Response:
    key = client.post(KEYS, json=NEW_KEY).json()
    return client.delete(f"{KEYS}/{key['id']}")


def _too_many_keys(client: Client) -> httpx.Response:
    for _ in range(key_service.MAX_KEYS_PER_WORKSPACE):
        client.post(KEYS, json=NEW_KEY)
    return client.post(KEYS, json=NEW_KEY)


def _misdirected(method: str, path: str) -> Provocation:
    return _request(method, _filled(path), headers={"Host": "elsewhere.example"})


def _without_key(method: str, path: str) -> Provocation:
    return _request(method, _filled(path))


def _filled(path: str) -> str:
    return path.format(task_id=UNKNOWN_ID, comment_id=UNKNOWN_ID, key_id=UNKNOWN_ID)


def _with_key_for(scope: Scope, method: str, path: str) -> Provocation:
    def provoke(client: Client) -> httpx.Response:
        new = {"label": "x", "scopes": [scope]}
        key = client.post(KEYS, json=new, headers=bearer(BOOTSTRAP)).json()["key"]
        # The key's burst is two requests.
        params = SHORT if path == STREAM else {}
        responses = [
            client.request(method, _filled(path), headers=bearer(key), params=params)
            for _ in range(4)
        ]
        return responses[0] if responses[0].status_code == 403 else responses[-1]

    return provoke


# The scope that each operation requires, and one that does not suffice.
SCOPES: dict[tuple[str, str], tuple[Scope, Scope]] = {
    ("post", TASKS): (Scope.WRITE, Scope.READ),
    ("get", TASKS): (Scope.READ, Scope.WRITE),
    ("get", TASK): (Scope.READ, Scope.WRITE),
    ("patch", TASK): (Scope.WRITE, Scope.READ),
    ("delete", TASK): (Scope.WRITE, Scope.READ),
    ("post", RESTORE): (Scope.WRITE, Scope.READ),
    ("get", TRASH): (Scope.READ, Scope.WRITE),
    ("post", COMMENTS): (Scope.WRITE, Scope.READ),
    ("get", COMMENTS): (Scope.READ, Scope.WRITE),
    ("get", COMMENT): (Scope.READ, Scope.WRITE),
    ("patch", COMMENT): (Scope.WRITE, Scope.READ),
    ("delete", COMMENT): (Scope.WRITE, Scope.READ),
    ("get", CHANGES): (Scope.READ, Scope.WRITE),
    ("get", STREAM): (Scope.READ, Scope.WRITE),
    ("post", BULK): (Scope.WRITE, Scope.READ),
    **{("get", path): (Scope.READ, Scope.WRITE) for path in NAMES},
    ("post", KEYS): (Scope.ADMIN, Scope.WRITE),
    ("get", KEYS): (Scope.ADMIN, Scope.WRITE),
    ("delete", KEY): (Scope.ADMIN, Scope.WRITE),
}
AUTHORIZATION: dict[tuple[str, str, int], Provocation] = {
    (method, path, status): provocation
    for (method, path), (right, wrong) in SCOPES.items()
    for status, provocation in {
        401: _without_key(method, path),
        403: _with_key_for(wrong, method, path),
        421: _misdirected(method, path),
        429: _with_key_for(right, method, path),
    }.items()
}
PROVOCATIONS: dict[tuple[str, str, int], Provocation] = {
    ("post", TASKS, 201): _request("POST", TASKS, json={"title": "x"}),
    ("post", TASKS, 409): lambda client: client.create_once("k"),
    ("post", TASKS, 413): _request("POST", TASKS, content=TOO_LARGE, headers=JSON),
    ("post", TASKS, 415): _request("POST", TASKS, content=b"title=x"),
    ("post", TASKS, 422): _request("POST", TASKS, json={}),
    ("post", TASKS, 503): _request("POST", TASKS, json={"title": "x"}),
    ("get", TASKS, 200): _request("GET", TASKS),
    ("get", TASKS, 304): _page_again,
    ("get", TASKS, 400): _request("GET", TASKS, params={"cursor": "forged"}),
    ("get", TASKS, 422): _request("GET", TASKS, params={"limit": 0}),
    ("get", TASKS, 503): _request("GET", TASKS),
    ("get", TASK, 200): _on_task("GET", {}),
    ("get", TASK, 304): _on_task("GET", {"If-None-Match": "{etag}"}),
    ("get", TASK, 404): _request("GET", UNKNOWN_TASK),
    ("get", TASK, 503): _request("GET", UNKNOWN_TASK),
    ("patch", TASK, 200): _on_task("PATCH", PATCH, content=b'{"title": "y"}'),
    ("patch", TASK, 404): _request("PATCH", UNKNOWN_TASK, headers=PATCH, content=b"{}"),
    ("patch", TASK, 409): _on_task("PATCH", PATCH, content=b'{"status": "cancelled"}'),
    ("patch", TASK, 412): _on_task("PATCH", PATCH | STALE, content=b"{}"),
    ("patch", TASK, 413): _on_task("PATCH", PATCH, content=TOO_LARGE),
    ("patch", TASK, 415): _on_task("PATCH", PATCH | TEXT, content=b"{}"),
    ("patch", TASK, 422): _on_task("PATCH", PATCH, content=b'{"title": null}'),
    ("patch", TASK, 428): _on_task("PATCH", {"Content-Type": MERGE_PATCH}, content=b"{}"),
    ("patch", TASK, 503): _request("PATCH", UNKNOWN_TASK, headers=PATCH, content=b"{}"),
    ("delete", TASK, 204): _on_task("DELETE", {"If-Match": "{etag}"}),
    ("delete", TASK, 404): _request("DELETE", UNKNOWN_TASK, headers={"If-Match": "*"}),
    ("delete", TASK, 412): _on_task("DELETE", STALE),
    ("delete", TASK, 422): _on_task("DELETE", {"If-Match": "bare"}),
    ("delete", TASK, 428): _on_task("DELETE", {}),
    ("delete", TASK, 503): _request("DELETE", UNKNOWN_TASK, headers={"If-Match": "*"}),
    ("post", RESTORE, 200): _restore,
    ("post", RESTORE, 404): _request("POST", f"{UNKNOWN_TASK}/restore"),
    ("post", RESTORE, 503): _request("POST", f"{UNKNOWN_TASK}/restore"),
    ("get", TRASH, 200): _request("GET", TRASH),
    ("get", TRASH, 400): _request("GET", TRASH, params={"cursor": "forged"}),
    ("get", TRASH, 422): _request("GET", TRASH, params={"limit": 0}),
    ("get", TRASH, 503): _request("GET", TRASH),
    ("post", COMMENTS, 201): _of_task("POST", json={"text": "x"}),
    ("post", COMMENTS, 404): _request("POST", f"{UNKNOWN_TASK}/comments", json={"text": "x"}),
    ("post", COMMENTS, 409): _of_task("POST", json={"text": "x"}),
    ("post", COMMENTS, 413): _of_task("POST", content=TOO_LARGE, headers=JSON),
    ("post", COMMENTS, 415): _of_task("POST", content=b"text=x"),
    ("post", COMMENTS, 422): _of_task("POST", json={"text": " "}),
    ("post", COMMENTS, 503): _request("POST", f"{UNKNOWN_TASK}/comments", json={"text": "x"}),
    ("get", COMMENTS, 200): _of_task("GET"),
    ("get", COMMENTS, 400): _of_task("GET", params={"cursor": "forged"}),
    ("get", COMMENTS, 404): _request("GET", f"{UNKNOWN_TASK}/comments"),
    ("get", COMMENTS, 422): _of_task("GET", params={"limit": 0}),
    ("get", COMMENTS, 503): _request("GET", f"{UNKNOWN_TASK}/comments"),
    ("get", COMMENT, 200): _on_comment("GET", {}),
    ("get", COMMENT, 304): _on_comment("GET", {"If-None-Match": "{etag}"}),
    ("get", COMMENT, 404): _request("GET", UNKNOWN_COMMENT),
    ("get", COMMENT, 503): _request("GET", UNKNOWN_COMMENT),
    ("patch", COMMENT, 200): _on_comment("PATCH", PATCH, content=NEW_TEXT),
    ("patch", COMMENT, 404): _request("PATCH", UNKNOWN_COMMENT, headers=PATCH, content=NEW_TEXT),
    ("patch", COMMENT, 409): _on_comment("PATCH", PATCH | ONCE, content=NEW_TEXT),
    ("patch", COMMENT, 412): _on_comment("PATCH", PATCH | STALE, content=NEW_TEXT),
    ("patch", COMMENT, 413): _on_comment("PATCH", PATCH, content=TOO_LARGE),
    ("patch", COMMENT, 415): _on_comment("PATCH", PATCH | TEXT, content=NEW_TEXT),
    ("patch", COMMENT, 422): _on_comment("PATCH", PATCH, content=b"{}"),
    ("patch", COMMENT, 428): _on_comment("PATCH", JSON, content=NEW_TEXT),
    ("patch", COMMENT, 503): _request("PATCH", UNKNOWN_COMMENT, headers=PATCH, content=NEW_TEXT),
    ("delete", COMMENT, 204): _on_comment("DELETE", {"If-Match": "{etag}"}),
    ("delete", COMMENT, 404): _request("DELETE", UNKNOWN_COMMENT, headers={"If-Match": "*"}),
    ("delete", COMMENT, 409): _on_comment("DELETE", {"If-Match": "*"}),
    ("delete", COMMENT, 412): _on_comment("DELETE", STALE),
    ("delete", COMMENT, 422): _on_comment("DELETE", {"If-Match": "bare"}),
    ("delete", COMMENT, 428): _on_comment("DELETE", {}),
    ("delete", COMMENT, 503): _request("DELETE", UNKNOWN_COMMENT, headers={"If-Match": "*"}),
    ("get", CHANGES, 200): _changes,
    ("get", CHANGES, 410): _request("GET", CHANGES, params={"token": "forged"}),
    ("get", CHANGES, 422): _request("GET", CHANGES, params={"limit": 0}),
    ("get", CHANGES, 503): _changes_without_store(CHANGES),
    ("get", STREAM, 200): _request("GET", STREAM, params=SHORT),
    ("get", STREAM, 410): _request("GET", STREAM, params={"token": "forged"}),
    ("get", STREAM, 422): _request("GET", STREAM, params={"seconds": -1}),
    ("get", STREAM, 503): _changes_without_store(STREAM),
    ("post", BULK, 200): _request("POST", BULK, json=NEW_BULK),
    ("post", BULK, 404): _request("POST", f"{BULK}?atomic=true", json=NEW_BULK),
    ("post", BULK, 409): _request("POST", f"{BULK}?atomic=true", json=CREATES),
    ("post", BULK, 412): _atomic_stale,
    ("post", BULK, 413): _request("POST", BULK, content=TOO_LARGE, headers=JSON),
    ("post", BULK, 415): _request("POST", BULK, content=b"items="),
    ("post", BULK, 422): _request("POST", BULK, json={"items": []}),
    ("post", BULK, 503): _request("POST", BULK, json=NEW_BULK, headers={"Idempotency-Key": "k"}),
    **{("get", path, status): _request("GET", path) for path in NAMES for status in (200, 503)},
    ("get", "/livez", 200): _request("GET", "/livez"),
    ("get", "/livez", 413): _request("GET", "/livez", content=TOO_LARGE),
    ("get", "/readyz", 413): _request("GET", "/readyz", content=TOO_LARGE),
    ("get", "/readyz", 200): _request("GET", "/readyz"),
    ("get", "/readyz", 503): _request("GET", "/readyz"),
    ("post", KEYS, 201): _request("POST", KEYS, json=NEW_KEY),
    ("post", KEYS, 409): _too_many_keys,
    ("post", KEYS, 413): _request("POST", KEYS, content=TOO_LARGE, headers=JSON),
    ("post", KEYS, 415): _request("POST", KEYS, content=b"label=x"),
    ("post", KEYS, 422): _request("POST", KEYS, json={}),
    ("post", KEYS, 503): _request("POST", KEYS, json=NEW_KEY),
    ("get", KEYS, 200): _request("GET", KEYS),
    ("get", KEYS, 400): _request("GET", KEYS, params={"cursor": "forged"}),
    ("get", KEYS, 422): _request("GET", KEYS, params={"limit": 0}),
    ("get", KEYS, 503): _request("GET", KEYS),
    ("delete", KEY, 204): _revoke,
    ("delete", KEY, 404): _request("DELETE", f"{KEYS}/{UNKNOWN_ID}"),
    ("delete", KEY, 422): _request("DELETE", f"{KEYS}/{UNKNOWN_ID}?with_created=perhaps"),
    ("delete", KEY, 503): _request("DELETE", f"{KEYS}/{UNKNOWN_ID}"),
    **AUTHORIZATION,
}

# The client for a status that needs a special app.
FIXTURES: dict[Any, str] = {
    None: "client",
    503: "storeless_client",
    ("post", 409): "contended_client",
    ("patch", COMMENT, 409): "once_contended_client",
    ("delete", COMMENT, 409): "once_contended_client",
    **dict.fromkeys((401, 403, 429), "guarded_client"),
}


def fixture_of(case: tuple[str, str, int]) -> str:
    method, _, status = case
    return next(FIXTURES[key] for key in (case, (method, status), status, None) if key in FIXTURES)


@pytest.fixture(autouse=True)
def few_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow few keys, so that a case soon creates too many."""
    monkeypatch.setattr(key_service, "MAX_KEYS_PER_WORKSPACE", 20)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = create_app(settings("http://127.0.0.1:9"))
    parsed: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return parsed


def test_the_document_names_exactly_the_statuses_that_are_provoked_here(
    document: dict[str, Any],
) -> None:
    documented = {
        (method, path, int(status))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for status in operation["responses"]
    }
    assert documented == set(PROVOCATIONS)


@pytest.mark.parametrize("case", PROVOCATIONS, ids=lambda case: " ".join(map(str, case)))
def test_a_response_is_as_documented(
    case: tuple[str, str, int], document: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Status, media type, body and required headers."""
    method, path, status = case
    client = request.getfixturevalue(fixture_of(case))
    response = PROVOCATIONS[case](client)
    assert response.status_code == status, response.text
    assert response.headers["X-Request-Id"]
    documented = document["paths"][path][method]["responses"][str(status)]
    headers = {name.lower(): header for name, header in documented["headers"].items()}
    assert {name for name, header in headers.items() if header.get("required")} <= set(
        response.headers
    )
    assert CLIENTS_HEADERS & set(response.headers) <= headers.keys()
    if content := documented.get("content"):
        ((media_type, body),) = content.items()
        assert response.headers["Content-Type"] == media_type
        schema = {**body["schema"], "components": document["components"]}
        Draft202012Validator(schema).validate(response.json())


def test_every_failure_is_documented_as_a_problem_document(document: dict[str, Any]) -> None:
    """FastAPI's own error schemas do not occur."""
    assert "HTTPValidationError" not in json.dumps(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                assert (int(status) >= 400) == (MEDIA_TYPE in response.get("content", {}))


def test_the_document_contains_the_limits_of_a_tasks_fields(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["NewTask"]["properties"]
    limits = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": TEXT_PATTERN}
    assert fields["title"].items() >= limits.items()
    assert fields["labels"]["maxItems"] == 20
    assert fields["labels"]["items"]["maxLength"] == 50
    assert fields["description"]["maxLength"] == 8000
    for name in ("project", "assignee"):
        assert fields[name]["anyOf"][0]["maxLength"] == 100


def test_the_fields_of_a_change_have_no_defaults_in_the_document(document: dict[str, Any]) -> None:
    """A generated client would send them and overwrite the task's fields."""
    schema = document["components"]["schemas"]["TaskChange"]
    assert not any("default" in field for field in schema["properties"].values())
    assert schema.get("required", []) == []
