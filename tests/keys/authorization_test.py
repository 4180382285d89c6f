"""API keys: which requests they authorize, how they are managed, and their rate limits."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from api import key_format
from api.keys.authorization import INVALID_KEYS_BURST, SECONDS_PER_INVALID_KEY
from api.keys.service import CACHE_SECONDS
from api.local.processes import ROOT
from api.principal import Scope
from api.values import rfc3339
from tests.support import secured_app
from tests.support.builders import MERGE_PATCH
from tests.support.faults import Fault, FaultProxy, Plan, once
from tests.support.secured_app import BOOTSTRAP, TASKS, SecuredApp, bearer, with_other_secret

UNKNOWN_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
UNKNOWN_KEY = key_format.generate(UNKNOWN_ID)
NEW_KEY = {"label": "x", "scopes": ["admin"]}
PATCH = {"Content-Type": MERGE_PATCH, "If-Match": "*"}
ENDPOINTS: dict[str, dict[str, Any]] = {
    "GET /livez": {},
    "GET /readyz": {},
    "GET /metrics": {},
    "GET /docs": {},
    "GET /openapi.json": {},
    "POST /v1/tasks": {"json": {"title": "x"}},
    "GET /v1/tasks": {},
    "GET /v1/tasks/{task_id}": {},
    "PATCH /v1/tasks/{task_id}": {"headers": PATCH, "content": b"{}"},
    "DELETE /v1/tasks/{task_id}": {"headers": {"If-Match": "*"}},
    "POST /v1/tasks/bulk": {"json": {"items": [{"create": {"title": "x"}}]}},
    "POST /v1/tasks/{task_id}/restore": {},
    "GET /v1/trash": {},
    "POST /v1/tasks/{task_id}/comments": {"json": {"text": "x"}},
    "GET /v1/tasks/{task_id}/comments": {},
    "GET /v1/tasks/{task_id}/comments/{comment_id}": {},
    "PATCH /v1/tasks/{task_id}/comments/{comment_id}": {
        "headers": PATCH,
        "content": b'{"text": "x"}',
    },
    "DELETE /v1/tasks/{task_id}/comments/{comment_id}": {"headers": {"If-Match": "*"}},
    "GET /v1/changes": {},
    "GET /v1/changes/stream": {"params": {"seconds": 0}},
    "GET /v1/projects": {},
    "GET /v1/labels": {},
    "GET /v1/assignees": {},
    "POST /v1/keys": {"json": NEW_KEY},
    "GET /v1/keys": {},
    "DELETE /v1/keys/{key_id}": {},
}
# The columns of the table in docs/access.md.
STATES = (
    *("no key", "malformed", "unknown", "wrong secret", "expired", "revoked"),
    *("`tasks:read`", "`tasks:write`", "`admin`", "bootstrap", "over its rate"),
)


@pytest.fixture
def app(moto: str) -> Iterator[SecuredApp]:
    with secured_app.serve(moto) as app:
        yield app


def keys_by_state(app: SecuredApp) -> dict[str, str | None]:
    """Create a key in each state but the last."""
    valid = app.make(*Scope)["key"]
    expired = app.make(*Scope, expires_at=rfc3339(app.clock() + timedelta(hours=1)))
    revoked = app.make(*Scope)
    revoke(app, revoked)
    app.clock.advance(hours=1)
    return {
        "no key": None,
        "malformed": valid[:-1] + "x",
        "unknown": UNKNOWN_KEY,
        "wrong secret": with_other_secret(valid),
        "expired": expired["key"],
        "revoked": revoked["key"],
        "`tasks:read`": app.make(Scope.READ)["key"],
        "`tasks:write`": app.make(Scope.WRITE)["key"],
        "`admin`": app.make(Scope.ADMIN)["key"],
        "bootstrap": BOOTSTRAP,
    }


def revoke(app: SecuredApp, key: dict[str, Any]) -> None:
    response = app.client.delete(f"/v1/keys/{key['id']}", headers=bearer(BOOTSTRAP))
    assert response.status_code == 204


def list_keys(app: SecuredApp, **query: Any) -> httpx.Response:
    return app.client.get("/v1/keys", params=query, headers=bearer(BOOTSTRAP))


def request(
    app: SecuredApp, key: str | None, endpoint: str = "GET /v1/tasks", **more: str
) -> httpx.Response:
    ids = dict.fromkeys(("task_id", "comment_id", "key_id"), UNKNOWN_ID)
    method, path = endpoint.format(**ids).split()
    options = dict(ENDPOINTS[endpoint])
    headers = {**options.pop("headers", {}), **(bearer(key) if key else {}), **more}
    return app.client.request(method, path, headers=headers, **options)


def status(app: SecuredApp, key: str | None, endpoint: str = "GET /v1/tasks") -> int:
    return request(app, key, endpoint).status_code


def test_the_documented_statuses_are_those_of_each_endpoint_and_key(
    app: SecuredApp, moto: str
) -> None:
    """docs/access.md lists the status of every endpoint for every state of a key."""
    assert status_table(app, moto) in (ROOT / "docs/access.md").read_text()


def status_table(app: SecuredApp, moto: str) -> str:
    rows: dict[str, list[int]] = {endpoint: [] for endpoint in ENDPOINTS}
    for endpoint, row in rows.items():
        for key in keys_by_state(app).values():
            # Otherwise the earlier invalid keys of this address would be why this one is refused.
            app.timer.seconds += SECONDS_PER_INVALID_KEY
            row.append(status(app, key, endpoint))
    with secured_app.serve(moto, rate_limit=1) as slow:
        for endpoint, row in rows.items():
            slow.timer.seconds += 60
            key = slow.make(*Scope)["key"]
            row.append([status(slow, key, endpoint) for _ in range(3)][-1])
    lines = [f"| | {' | '.join(STATES)} |", f"|---|{'---|' * len(STATES)}"]
    lines += [f"| `{endpoint}` | {' | '.join(map(str, row))} |" for endpoint, row in rows.items()]
    return "\n".join(lines)


def test_every_operation_is_in_the_table_and_documents_its_security(app: SecuredApp) -> None:
    document = app.client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert f"{method.upper()} {path}" in ENDPOINTS
            assert bool(operation["security"]) == path.startswith("/v1")
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}


def test_all_invalid_keys_get_the_same_response(app: SecuredApp) -> None:
    """So that a guesser does not learn why a key is invalid."""
    keys = keys_by_state(app)
    responses = [
        request(app, keys[state], **{"X-Request-Id": "same"})
        for state in ("malformed", "unknown", "wrong secret", "expired", "revoked")
    ]
    assert {response.status_code for response in responses} == {401}
    assert len({response.content for response in responses}) == 1
    headers = [{k: v for k, v in each.headers.items() if k != "date"} for each in responses]
    assert all(each == headers[0] for each in headers)
    assert headers[0]["www-authenticate"] == 'Bearer realm="task-tracker", error="invalid_token"'


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("no key", "missing"),
        ("malformed", "malformed"),
        ("unknown", "unknown"),
        ("wrong secret", "unknown"),
        ("expired", "expired"),
        ("revoked", "revoked"),
        ("`admin`", "scope"),
    ],
)
def test_a_metric_counts_why_a_request_was_refused(
    app: SecuredApp, state: str, reason: str
) -> None:
    request(app, keys_by_state(app)[state])
    assert app.metric("access_refusals_total", reason=reason) == 1


def test_a_refusal_names_the_missing_scope(app: SecuredApp) -> None:
    refused = request(app, app.make(Scope.READ)["key"], "POST /v1/tasks")
    assert refused.json()["needed_scope"] == "tasks:write"
    assert 'scope="tasks:write"' in refused.headers["WWW-Authenticate"]


def test_the_key_can_be_in_x_api_key_if_authorization_holds_an_aws_signature(
    app: SecuredApp,
) -> None:
    """A bearer key takes precedence."""
    key = app.make(*TASKS)["key"]
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=x", "X-Api-Key": key}
    assert app.client.get("/v1/tasks", headers=signed).status_code == 200
    both = {**bearer(with_other_secret(key)), "X-Api-Key": key}
    assert app.client.get("/v1/tasks", headers=both).status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_authentication_scheme_is_case_insensitive(app: SecuredApp, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {app.make(*TASKS)['key']}"}
    assert app.client.get("/v1/tasks", headers=headers).status_code == 200


def test_a_request_without_a_key_is_refused_before_its_body_arrives(app: SecuredApp) -> None:
    """Otherwise anonymous clients could make the service hold bodies in memory."""
    url = app.client.base_url
    with socket.create_connection((url.host, url.port or 80)) as connection:
        connection.sendall(
            b"POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")


def test_a_key_gives_access_to_its_own_workspace_only(app: SecuredApp) -> None:
    """The response to the id of a foreign task equals that to an unknown id."""
    ours, theirs = app.tenant("ours"), app.tenant("theirs")
    task = ours.create("secret plan")
    assert theirs.titles() == []
    unknown = theirs.get(f"/v1/tasks/{UNKNOWN_ID}", headers={"X-Request-Id": "same"})
    foreign = theirs.get(f"/v1/tasks/{task['id']}", headers={"X-Request-Id": "same"})
    assert (foreign.status_code, foreign.content) == (404, unknown.content)
    assert ours.titles() == ["secret plan"]


# Managing keys


def test_a_secret_is_in_the_first_response_only(app: SecuredApp, moto: str) -> None:
    """Neither lists nor the table contain it."""
    created = app.make(*TASKS, label="ci", expires_at="2028-01-01T00:00:00+01:00")
    secret = created.pop("key").split("_")[2]
    listed = list_keys(app)
    assert secret not in listed.text
    assert listed.json()["items"] == [created]
    assert created["expires_at"] == "2027-12-31T23:00:00.000Z"
    assert created["scopes"] == ["tasks:read", "tasks:write"]
    scan = httpx.post(
        moto,
        json={"TableName": app.table_name},
        headers={
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "DynamoDB_20120810.Scan",
            "Authorization": "AWS4-HMAC-SHA256 Credential=local/20270101/us-east-1/dynamodb/x",
        },
    )
    assert created["id"] in scan.text
    assert secret not in scan.text


def test_the_keys_of_a_workspace_are_listed_newest_first_in_pages(app: SecuredApp) -> None:
    """A cursor is not valid for another workspace."""
    created = []
    for _ in range(5):
        app.clock.advance(seconds=1)
        created.append(app.make(Scope.READ, workspace="ours")["id"])
    app.make(Scope.READ, workspace="theirs")
    query = {"workspace": "ours", "limit": 2}
    pages = [list_keys(app, **query).json()]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(list_keys(app, **query, cursor=cursor).json())
    assert [key["id"] for page in pages for key in page["items"]] == created[::-1]
    foreign = list_keys(app, workspace="theirs", cursor=pages[0]["next_cursor"])
    assert foreign.status_code == 400


def test_an_admin_key_manages_the_keys_of_its_own_workspace_only(app: SecuredApp) -> None:
    admin = app.tenant("ours", Scope.ADMIN)
    theirs = app.make(*TASKS, workspace="theirs")
    assert admin.post("/v1/keys", json={**NEW_KEY, "workspace": "theirs"}).status_code == 403
    assert admin.get("/v1/keys", params={"workspace": "theirs"}).status_code == 403
    assert admin.delete(f"/v1/keys/{theirs['id']}").status_code == 404
    own = admin.post("/v1/keys", json={**NEW_KEY, "workspace": "ours"})
    assert own.json()["workspace"] == "ours"
    assert {key["workspace"] for key in admin.get("/v1/keys").json()["items"]} == {"ours"}
    assert status(app, theirs["key"]) == 200
    assert admin.delete(f"/v1/keys/{own.json()['id']}").status_code == 204


@pytest.mark.parametrize(
    "invalid",
    [
        {"scopes": []},
        {"scopes": ["tasks:read", "tasks:read"]},
        {"scopes": ["root"]},
        {"label": ""},
        {"workspace": "a#b"},
        {"workspace": "-a"},
        {"expires_at": "tomorrow"},
        {"colour": "red"},
    ],
)
def test_an_invalid_field_of_a_new_key_is_named(app: SecuredApp, invalid: dict[str, Any]) -> None:
    refused = app.client.post("/v1/keys", json=NEW_KEY | invalid, headers=bearer(BOOTSTRAP))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"].startswith(next(iter(invalid)))


def test_revoking_a_key_stops_it_at_once_and_no_other_key(app: SecuredApp) -> None:
    """It can be repeated."""
    old, new = app.make(*TASKS), app.make(*TASKS)
    assert [status(app, key["key"]) for key in (old, new)] == [200, 200]
    for _ in range(2):
        revoke(app, old)
    assert [status(app, key["key"]) for key in (old, new)] == [401, 200]
    listed = list_keys(app).json()["items"]
    assert {key["id"]: bool(key["revoked_at"]) for key in listed} == {
        old["id"]: True,
        new["id"]: False,
    }


def test_another_process_stops_accepting_a_revoked_key_after_the_cache_time(
    app: SecuredApp, moto: str
) -> None:
    key = app.make(*TASKS)
    with secured_app.serve(moto, table_name=app.table_name) as other:
        assert status(other, key["key"]) == 200
        revoke(app, key)
        other.clock.advance(seconds=CACHE_SECONDS - 0.1)
        assert status(other, key["key"]) == 200
        other.clock.advance(seconds=0.1)
        assert status(other, key["key"]) == 401


def test_a_cached_key_expires_on_time(app: SecuredApp) -> None:
    key = app.make(*TASKS, expires_at="2027-01-01T00:00:03Z")["key"]
    app.clock.advance(seconds=2)
    assert status(app, key) == 200
    app.clock.advance(seconds=1)
    assert status(app, key) == 401


def test_a_key_is_read_once_per_cache_time_and_written_once_a_day(app: SecuredApp) -> None:
    key = app.make(*TASKS)["key"]
    for day in ("2027-01-01", "2027-01-02"):
        for _ in range(3):
            app.clock.advance(seconds=CACHE_SECONDS)
            assert [status(app, key) for _ in range(5)] == [200] * 5
        assert list_keys(app).json()["items"][0]["last_used_on"] == day
        app.clock.advance(hours=24)
    assert app.metric("key_lookups_total", source="table") == 6
    assert app.metric("key_lookups_total", source="memory") == 24
    # One more at the creation, which notes the workspace.
    assert app.metric("dynamodb_calls_total", operation="UpdateItem", outcome="ok") == 3


def refuse(_operation: str) -> Fault:
    return Fault.REFUSED


def refuse_updates(operation: str) -> Fault | None:
    return Fault.REFUSED if operation == "UpdateItem" else None


@pytest.mark.parametrize(
    "plan",
    [refuse_updates, once("PutItem", Fault.LOST)],
    ids=["its use cannot be stored", "the response to its creation was lost"],
)
def test_a_key_is_accepted_although(moto: str, plan: Plan) -> None:
    with FaultProxy(moto, plan=plan) as proxy, secured_app.serve(proxy.url) as app:
        assert status(app, app.make(*TASKS)["key"]) == 200


def test_while_the_store_is_unavailable_keys_get_503_and_do_not_count_as_invalid(
    moto: str,
) -> None:
    with FaultProxy(moto, plan=lambda _: None) as proxy, secured_app.serve(proxy.url) as app:
        key = app.make(*TASKS)["key"]
        proxy.plan, available = refuse, proxy.plan
        for _ in range(INVALID_KEYS_BURST + 1):
            assert status(app, key) == 503
        proxy.plan = available
        assert status(app, key) == 200


# Rate limits


def test_a_key_may_send_a_burst_of_two_seconds_and_then_its_rate(moto: str) -> None:
    """Headers state the limit, what remains and when it resets; other keys are not affected."""
    with secured_app.serve(moto, rate_limit=5) as app:
        key = app.make(*TASKS)["key"]
        responses = [request(app, key) for _ in range(11)]
        assert [response.status_code for response in responses] == [200] * 10 + [429]
        remaining = [response.headers["RateLimit-Remaining"] for response in responses]
        assert remaining == [*map(str, range(9, -1, -1)), "0"]
        headers = responses[-1].headers
        assert (headers["RateLimit-Limit"], headers["RateLimit-Reset"]) == ("10", "2")
        app.timer.seconds += int(headers["Retry-After"])
        assert status(app, key) == 200
        assert request(app, app.make(*TASKS)["key"]).headers["RateLimit-Remaining"] == "9"


def test_an_address_may_send_a_burst_of_invalid_keys_and_then_few(app: SecuredApp) -> None:
    """Over the limit keys are not looked up in the table; a cached key is still accepted."""
    valid = app.make(*TASKS)["key"]
    assert status(app, valid) == 200
    statuses = [status(app, UNKNOWN_KEY) for _ in range(INVALID_KEYS_BURST + 2)]
    assert statuses == [401] * INVALID_KEYS_BURST + [429] * 2
    assert app.metric("key_lookups_total", source="table") == INVALID_KEYS_BURST + 1
    assert status(app, valid) == 200
    refused = request(app, UNKNOWN_KEY)
    assert refused.headers["Retry-After"] == str(SECONDS_PER_INVALID_KEY)
    app.timer.seconds += SECONDS_PER_INVALID_KEY
    assert status(app, UNKNOWN_KEY) == 401


@pytest.mark.parametrize(("hops", "last"), [(0, 429), (1, 401), (2, 429)])
def test_the_address_of_a_client_is_the_entry_of_the_first_trusted_proxy(
    moto: str, hops: int, last: int
) -> None:
    """A client can forge the entries of X-Forwarded-For before that one."""
    with secured_app.serve(moto, trusted_hops=hops) as app:
        for number in range(INVALID_KEYS_BURST + 1):
            forwarded = f"10.9.9.{number}, 198.51.100.7, 203.0.113.{number}"
            response = request(app, UNKNOWN_KEY, **{"X-Forwarded-For": forwarded})
    assert response.status_code == last
