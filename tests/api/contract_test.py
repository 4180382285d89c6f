"""The OpenAPI document and the service say the same: every status it names can be had."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from api import problem_json
from api.keys import Scope
from api.main import create_app
from api.models import VISIBLE
from tests.support.builders import MERGE_PATCH, Client, settings
from tests.support.doors import BOOTSTRAP, bearer

JSON = {"Content-Type": "application/json"}
PATCH = {"Content-Type": MERGE_PATCH, "If-Match": "*"}
TASKS, TASK = "/v1/tasks", "/v1/tasks/{task_id}"
KEYS, KEY = "/v1/keys", "/v1/keys/{key_id}"
NOBODYS = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
NOBODY = f"/v1/tasks/{NOBODYS}"
NEW_KEY = {"label": "x", "scopes": ["tasks:read"]}
STALE = {"If-Match": '"0000000000000000"'}
TOO_LARGE = b'{"title": "' + b"x" * 131072 + b'"}'

Provocation = Callable[[Client], httpx.Response]


def _on_task(method: str, headers: dict[str, str], **options: Any) -> Provocation:
    def provoke(client: Client) -> httpx.Response:
        task = client.create(status="done")
        filled = {name: value.format(**task) for name, value in headers.items()}
        return client.request(method, f"/v1/tasks/{task['id']}", headers=filled, **options)

    return provoke


def _simply(method: str, path: str, **options: Any) -> Provocation:
    return lambda client: client.request(method, path, **options)


def _revoke(client: Client) -> httpx.Response:
    made = client.post(KEYS, json=NEW_KEY).json()
    return client.delete(f"{KEYS}/{made['id']}")


def _without_a_key(method: str, path: str) -> Provocation:
    return _simply(method, path.format(task_id=NOBODYS, key_id=NOBODYS))


def _with_a_key_for(scope: Scope, method: str, path: str) -> Provocation:
    def provoke(client: Client) -> httpx.Response:
        wanted = {"label": "x", "scopes": [scope]}
        made = client.post(KEYS, json=wanted, headers=bearer(BOOTSTRAP)).json()
        filled = path.format(task_id=NOBODYS, key_id=NOBODYS)
        # Its rate is one, and two at once.
        answers = [client.request(method, filled, headers=bearer(made["key"])) for _ in range(4)]
        return answers[0] if answers[0].status_code == 403 else answers[-1]

    return provoke


GUARDED: dict[tuple[str, str], tuple[Scope, Scope]] = {
    ("post", TASKS): (Scope.WRITE, Scope.READ),
    ("get", TASKS): (Scope.READ, Scope.WRITE),
    ("get", TASK): (Scope.READ, Scope.WRITE),
    ("patch", TASK): (Scope.WRITE, Scope.READ),
    ("delete", TASK): (Scope.WRITE, Scope.READ),
    ("post", KEYS): (Scope.ADMIN, Scope.WRITE),
    ("get", KEYS): (Scope.ADMIN, Scope.WRITE),
    ("delete", KEY): (Scope.ADMIN, Scope.WRITE),
}
AT_THE_DOOR: dict[tuple[str, str, int], Provocation] = {
    (method, path, status): provocation
    for (method, path), (right, wrong) in GUARDED.items()
    for status, provocation in {
        401: _without_a_key(method, path),
        403: _with_a_key_for(wrong, method, path),
        429: _with_a_key_for(right, method, path),
    }.items()
}
PROVOCATIONS: dict[tuple[str, str, int], Provocation] = {
    ("post", TASKS, 201): _simply("POST", TASKS, json={"title": "x"}),
    ("post", TASKS, 409): lambda client: client.create_once("k"),
    ("post", TASKS, 413): _simply("POST", TASKS, content=TOO_LARGE, headers=JSON),
    ("post", TASKS, 415): _simply("POST", TASKS, content=b"title=x"),
    ("post", TASKS, 422): _simply("POST", TASKS, json={}),
    ("post", TASKS, 503): _simply("POST", TASKS, json={"title": "x"}),
    ("get", TASKS, 200): _simply("GET", TASKS),
    ("get", TASKS, 400): _simply("GET", TASKS, params={"cursor": "forged"}),
    ("get", TASKS, 422): _simply("GET", TASKS, params={"limit": 0}),
    ("get", TASKS, 503): _simply("GET", TASKS),
    ("get", TASK, 200): _on_task("GET", {}),
    ("get", TASK, 304): _on_task("GET", {"If-None-Match": "{etag}"}),
    ("get", TASK, 404): _simply("GET", NOBODY),
    ("get", TASK, 503): _simply("GET", NOBODY),
    ("patch", TASK, 200): _on_task("PATCH", PATCH, content=b'{"title": "y"}'),
    ("patch", TASK, 404): _simply("PATCH", NOBODY, headers=PATCH, content=b"{}"),
    ("patch", TASK, 409): _on_task("PATCH", PATCH, content=b'{"status": "cancelled"}'),
    ("patch", TASK, 412): _on_task("PATCH", PATCH | STALE, content=b"{}"),
    ("patch", TASK, 413): _on_task("PATCH", PATCH, content=TOO_LARGE),
    ("patch", TASK, 415): _on_task("PATCH", PATCH | JSON, content=b"{}"),
    ("patch", TASK, 422): _on_task("PATCH", PATCH, content=b'{"title": null}'),
    ("patch", TASK, 428): _on_task("PATCH", {"Content-Type": MERGE_PATCH}, content=b"{}"),
    ("patch", TASK, 503): _simply("PATCH", NOBODY, headers=PATCH, content=b"{}"),
    ("delete", TASK, 204): _on_task("DELETE", {"If-Match": "{etag}"}),
    ("delete", TASK, 404): _simply("DELETE", NOBODY, headers={"If-Match": "*"}),
    ("delete", TASK, 412): _on_task("DELETE", STALE),
    ("delete", TASK, 422): _on_task("DELETE", {"If-Match": "bare"}),
    ("delete", TASK, 428): _on_task("DELETE", {}),
    ("delete", TASK, 503): _simply("DELETE", NOBODY, headers={"If-Match": "*"}),
    ("get", "/livez", 200): _simply("GET", "/livez"),
    ("get", "/readyz", 200): _simply("GET", "/readyz"),
    ("get", "/readyz", 503): _simply("GET", "/readyz"),
    ("post", KEYS, 201): _simply("POST", KEYS, json=NEW_KEY),
    ("post", KEYS, 413): _simply("POST", KEYS, content=TOO_LARGE, headers=JSON),
    ("post", KEYS, 415): _simply("POST", KEYS, content=b"label=x"),
    ("post", KEYS, 422): _simply("POST", KEYS, json={}),
    ("post", KEYS, 503): _simply("POST", KEYS, json=NEW_KEY),
    ("get", KEYS, 200): _simply("GET", KEYS),
    ("get", KEYS, 400): _simply("GET", KEYS, params={"cursor": "forged"}),
    ("get", KEYS, 422): _simply("GET", KEYS, params={"limit": 0}),
    ("get", KEYS, 503): _simply("GET", KEYS),
    ("delete", KEY, 204): _revoke,
    ("delete", KEY, 404): _simply("DELETE", f"{KEYS}/{NOBODYS}"),
    ("delete", KEY, 503): _simply("DELETE", f"{KEYS}/{NOBODYS}"),
    **AT_THE_DOOR,
}

# Where the service has to be in trouble for it.
FIXTURES: dict[Any, str] = {
    503: "storeless_client",
    ("post", 409): "contended_client",
    **dict.fromkeys((401, 403, 429), "guarded_client"),
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = create_app(settings("http://127.0.0.1:9"))
    parsed: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return parsed


def test_the_document_names_only_statuses_that_are_provoked(document: dict[str, Any]) -> None:
    """No status is promised that nothing brings about, and none is missing."""
    documented = {
        (method, path, int(status))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for status in operation["responses"]
    }
    assert documented == set(PROVOCATIONS)


@pytest.mark.parametrize("case", PROVOCATIONS, ids=lambda case: " ".join(map(str, case)))
def test_each_status_comes_with_what_the_document_says(
    case: tuple[str, str, int], document: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Status, media type, body and headers are the documented ones."""
    method, path, status = case
    fixture = FIXTURES.get((method, status), FIXTURES.get(status, "client"))
    client = request.getfixturevalue(fixture)
    response = PROVOCATIONS[case](client)
    assert response.status_code == status, response.text
    assert response.headers["X-Request-Id"]
    documented = document["paths"][path][method]["responses"][str(status)]
    headers = documented.get("headers", {}).items()
    assert {name.lower() for name, header in headers if header.get("required")} <= set(
        response.headers
    )
    if content := documented.get("content"):
        ((media_type, body),) = content.items()
        assert response.headers["Content-Type"] == media_type
        schema = {**body["schema"], "components": document["components"]}
        Draft202012Validator(schema).validate(response.json())


def test_every_failure_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    """FastAPI's own error schemas are nowhere in the document."""
    assert "HTTPValidationError" not in json.dumps(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                assert (int(status) >= 400) == (
                    problem_json.MEDIA_TYPE in response.get("content", {})
                )


def test_limits_are_in_the_document(document: dict[str, Any]) -> None:
    """A client can know every bound before it meets it."""
    fields = document["components"]["schemas"]["NewTask"]["properties"]
    assert fields["title"] | {"title": ""} == {
        "type": "string",
        "minLength": 1,
        "maxLength": 200,
        "pattern": VISIBLE,
        "title": "",
    }
    assert fields["labels"]["maxItems"] == 20
    assert fields["labels"]["items"]["maxLength"] == 50
    assert fields["description"]["maxLength"] == 8000
    for name in ("project", "assignee"):
        assert fields[name]["anyOf"][0]["maxLength"] == 100


def test_a_change_has_no_defaults_in_the_document(document: dict[str, Any]) -> None:
    """A generated client must not send what its user did not."""
    schema = document["components"]["schemas"]["TaskChange"]
    assert not any("default" in field for field in schema["properties"].values())
    assert schema.get("required", []) == []
