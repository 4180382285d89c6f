"""Keys at the door: who gets in, where to, and what the others hear."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api import keys
from api.access import FAILURES_AT_ONCE, SECONDS_A_FAILURE
from api.keyring import REMEMBERED_SECONDS
from api.keys import Scope
from tests.support import builders
from tests.support.builders import Client
from tests.support.doors import BOOTSTRAP, TASKS, Door, bearer, door, flawed
from tests.support.faults import Fault, FaultProxy, once
from tests.support.processes import ROOT

# What somebody may show, and what it says of the request.
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
LABEL = {"label": "x", "scopes": ["tasks:read"]}
PATCH = {"Content-Type": builders.MERGE_PATCH, "If-Match": "*"}
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
    "POST /v1/keys": {"json": LABEL},
    "GET /v1/keys": {},
    "DELETE /v1/keys/{key_id}": {},
}
STATES = (
    *("no key", "malformed", "unknown", "wrong secret", "expired", "revoked"),
    *("`tasks:read`", "`tasks:write`", "`admin`", "bootstrap", "over its rate"),
)


@pytest.fixture
def guarded(moto: str) -> Iterator[Door]:
    with door(moto) as made:
        yield made


def credentials(guarded: Door) -> dict[str, str | None]:
    """Make a key in each state, by the state's name."""
    whole = guarded.make(*Scope)
    expired = guarded.make(*Scope, expires_at="2027-01-01T01:00:00Z")
    revoked = guarded.make(*Scope)
    guarded.client.delete(f"/v1/keys/{revoked['id']}", headers=bearer(BOOTSTRAP))
    guarded.clock.advance(hours=1)
    return {
        "no key": None,
        "malformed": whole["key"][:-1] + "x",
        "unknown": keys.make(NOBODY),
        "wrong secret": flawed(whole["key"]),
        "expired": expired["key"],
        "revoked": revoked["key"],
        "`tasks:read`": guarded.make(Scope.READ)["key"],
        "`tasks:write`": guarded.make(Scope.WRITE)["key"],
        "`admin`": guarded.make(Scope.ADMIN)["key"],
        "bootstrap": BOOTSTRAP,
    }


def ask(client: Client, endpoint: str, key: str | None, **more: str) -> httpx.Response:
    method, path = endpoint.format(task_id=NOBODY, key_id=NOBODY).split()
    options = dict(ENDPOINTS[endpoint])
    headers = {**options.pop("headers", {}), **(bearer(key) if key else {}), **more}
    return client.request(method, path, headers=headers, **options)


def test_who_hears_what_where(guarded: Door, moto: str) -> None:
    """docs/access.md has the status of every endpoint for every state of a key."""
    assert table(guarded, moto) in (ROOT / "docs/access.md").read_text()


def table(guarded: Door, moto: str) -> str:
    """Ask everywhere in every state, and write down what was answered."""
    found = {
        endpoint: [_status(guarded, endpoint, key) for key in credentials(guarded).values()]
        for endpoint in ENDPOINTS
    }
    with door(moto, rate_limit=1) as slow:
        for endpoint, row in found.items():
            row.append(_status_over_rate(slow, endpoint))
    lines = [f"| | {' | '.join(STATES)} |", f"|---|{'---|' * len(STATES)}"]
    lines += [f"| `{endpoint}` | {' | '.join(map(str, row))} |" for endpoint, row in found.items()]
    return "\n".join(lines)


def _status(guarded: Door, endpoint: str, key: str | None) -> int:
    # Each failure finds an address that has not failed before.
    guarded.timer.seconds += SECONDS_A_FAILURE
    return ask(guarded.client, endpoint, key).status_code


def _status_over_rate(slow: Door, endpoint: str) -> int:
    slow.timer.seconds += 60
    key = slow.make(*Scope)["key"]
    return [ask(slow.client, endpoint, key).status_code for _ in range(3)][-1]


def test_the_table_of_endpoints_is_whole(guarded: Door) -> None:
    """Every operation of the document is asked, and each that is guarded says its scope there."""
    document = guarded.client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert f"{method.upper()} {path}" in ENDPOINTS
            assert ("security" in operation) == path.startswith("/v1")
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}


def test_all_wrong_keys_hear_the_same(guarded: Door) -> None:
    """Byte for byte but for the request's id, so that a guesser learns nothing."""
    shown = credentials(guarded)
    answers = [
        ask(guarded.client, "GET /v1/tasks", shown[state], **{"X-Request-Id": "same"})
        for state in ("malformed", "unknown", "wrong secret", "expired", "revoked")
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    headers = [{k: v for k, v in each.headers.items() if k != "date"} for each in answers]
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
def test_the_operator_is_told_why(guarded: Door, state: str, reason: str) -> None:
    """A counter has the reason that the answer keeps to itself."""
    ask(guarded.client, "GET /v1/tasks", credentials(guarded)[state])
    assert guarded.metric("access_refusals_total", reason=reason) == 1


def test_a_missing_scope_is_named(guarded: Door) -> None:
    """Whoever has the wrong key knows which one to ask for."""
    refused = ask(guarded.client, "POST /v1/tasks", guarded.make(Scope.READ)["key"])
    assert refused.json()["needed_scope"] == "tasks:write"
    assert 'scope="tasks:write"' in refused.headers["WWW-Authenticate"]


def test_a_signature_may_take_the_authorization_header(guarded: Door) -> None:
    """Then the key comes in a header of its own; a bearer's goes first."""
    key = guarded.make(*TASKS)["key"]
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=x", "X-Api-Key": key}
    assert guarded.client.get("/v1/tasks", headers=signed).status_code == 200
    both = {**bearer(flawed(key)), "X-Api-Key": key}
    assert guarded.client.get("/v1/tasks", headers=both).status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_has_no_case(guarded: Door, scheme: str) -> None:
    """As RFC 9110 says of every scheme."""
    headers = {"Authorization": f"{scheme} {guarded.make(*TASKS)['key']}"}
    assert guarded.client.get("/v1/tasks", headers=headers).status_code == 200


def test_nobody_waits_for_a_body_that_is_refused(guarded: Door) -> None:
    """The answer is there before the body is: it would cost memory for strangers."""
    url = guarded.client.base_url
    with socket.create_connection((url.host, url.port or 80)) as connection:
        connection.sendall(
            b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")


def test_a_workspace_is_the_keys(guarded: Door) -> None:
    """Tasks of one are not there for the other, and the request cannot name one."""
    ours, theirs = guarded.tenant("ours"), guarded.tenant("theirs")
    task = ours.create("secret plan")
    assert theirs.titles() == []
    unknown = theirs.get(f"/v1/tasks/{NOBODY}", headers={"X-Request-Id": "same"})
    foreign = theirs.get(f"/v1/tasks/{task['id']}", headers={"X-Request-Id": "same"})
    assert (foreign.status_code, foreign.content) == (404, unknown.content)
    assert ours.titles() == ["secret plan"]


# Keys


def test_a_key_is_shown_once_and_not_kept(guarded: Door, moto: str) -> None:
    """Neither a list nor the table has its secret."""
    made = guarded.make(*TASKS, label="ci", expires_at="2028-01-01T00:00:00+01:00")
    secret = made["key"].split("_")[2]
    listed = guarded.client.get("/v1/keys", headers=bearer(BOOTSTRAP))
    assert secret not in listed.text
    assert listed.json()["items"] == [{k: v for k, v in made.items() if k != "key"}]
    assert made["expires_at"] == "2027-12-31T23:00:00.000Z"
    assert made["scopes"] == ["tasks:read", "tasks:write"]
    scan = httpx.post(
        moto,
        json={"TableName": guarded_table(guarded)},
        headers={
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "DynamoDB_20120810.Scan",
            "Authorization": "AWS4-HMAC-SHA256 Credential=local/20270101/us-east-1/dynamodb/x",
        },
    )
    assert made["id"] in scan.text
    assert secret not in scan.text


def guarded_table(guarded: Door) -> str:
    """Name the last table that was made: it is this door's."""
    return f"tasks-{next(builders._table_numbers) - 1}"


def key_page(guarded: Door, **query: Any) -> dict[str, Any]:
    answer = guarded.client.get("/v1/keys", params=query, headers=bearer(BOOTSTRAP))
    page: dict[str, Any] = answer.json()
    return page


def test_keys_are_listed_page_by_page(guarded: Door) -> None:
    """Newest first, a workspace's own, and a cursor is of no use for another's."""
    made = []
    for _ in range(5):
        guarded.clock.advance(seconds=1)
        made.append(guarded.make(Scope.READ, workspace="ours")["id"])
    guarded.make(Scope.READ, workspace="theirs")
    ask_for = {"workspace": "ours", "limit": 2}
    pages = [key_page(guarded, **ask_for)]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(key_page(guarded, **ask_for, cursor=cursor))
    assert [key["id"] for page in pages for key in page["items"]] == made[::-1]
    foreign = {"workspace": "theirs", "cursor": pages[0]["next_cursor"]}
    answer = guarded.client.get("/v1/keys", params=foreign, headers=bearer(BOOTSTRAP))
    assert answer.status_code == 400


def test_an_admin_manages_its_own_workspace(guarded: Door) -> None:
    """Others cannot be named, seen or revoked; the bootstrap key can do all of that."""
    admin = guarded.tenant("ours", Scope.ADMIN)
    theirs = guarded.make(*TASKS, workspace="theirs")
    assert admin.post("/v1/keys", json={**LABEL, "workspace": "theirs"}).status_code == 403
    assert admin.get("/v1/keys", params={"workspace": "theirs"}).status_code == 403
    assert admin.delete(f"/v1/keys/{theirs['id']}").status_code == 404
    own = admin.post("/v1/keys", json={**LABEL, "workspace": "ours"})
    assert own.json()["workspace"] == "ours"
    assert {key["workspace"] for key in admin.get("/v1/keys").json()["items"]} == {"ours"}
    assert ask(guarded.client, "GET /v1/tasks", theirs["key"]).status_code == 200
    assert admin.delete(f"/v1/keys/{own.json()['id']}").status_code == 204


@pytest.mark.parametrize(
    "wrong",
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
def test_a_wrong_key_is_refused_with_its_field(guarded: Door, wrong: dict[str, Any]) -> None:
    """Before anything is made."""
    refused = guarded.client.post("/v1/keys", json=LABEL | wrong, headers=bearer(BOOTSTRAP))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"].startswith(next(iter(wrong)))


def test_a_key_can_be_changed_for_another(guarded: Door) -> None:
    """Both live until the old one is revoked, which holds at once and can be said again."""
    old, new = guarded.make(*TASKS), guarded.make(*TASKS)
    for key in (old, new):
        assert ask(guarded.client, "GET /v1/tasks", key["key"]).status_code == 200
    for _ in range(2):
        revoked = guarded.client.delete(f"/v1/keys/{old['id']}", headers=bearer(BOOTSTRAP))
        assert revoked.status_code == 204
    assert ask(guarded.client, "GET /v1/tasks", old["key"]).status_code == 401
    assert ask(guarded.client, "GET /v1/tasks", new["key"]).status_code == 200
    listed = guarded.client.get("/v1/keys", headers=bearer(BOOTSTRAP)).json()["items"]
    assert {key["id"]: bool(key["revoked_at"]) for key in listed} == {
        old["id"]: True,
        new["id"]: False,
    }


def test_a_revocation_reaches_other_processes_within_seconds(guarded: Door, moto: str) -> None:
    """What another one read of the key holds for five seconds, and not for one more."""
    key = guarded.make(*TASKS)
    with door(moto, table_name=guarded_table(guarded)) as other:
        assert ask(other.client, "GET /v1/tasks", key["key"]).status_code == 200
        guarded.client.delete(f"/v1/keys/{key['id']}", headers=bearer(BOOTSTRAP))
        other.timer.seconds += REMEMBERED_SECONDS - 0.1
        assert ask(other.client, "GET /v1/tasks", key["key"]).status_code == 200
        other.timer.seconds += 0.1
        assert ask(other.client, "GET /v1/tasks", key["key"]).status_code == 401


def test_a_key_expires_to_the_second(guarded: Door) -> None:
    """Though the process still remembers it."""
    key = guarded.make(*TASKS, expires_at="2027-01-01T00:00:03Z")["key"]
    guarded.clock.advance(seconds=2)
    assert ask(guarded.client, "GET /v1/tasks", key).status_code == 200
    guarded.clock.advance(seconds=1)
    assert ask(guarded.client, "GET /v1/tasks", key).status_code == 401


def test_a_request_costs_no_write_and_seldom_a_read(guarded: Door) -> None:
    """One look in the table for seconds of requests, one write for the day."""
    key = guarded.make(*TASKS)
    for day in ("2027-01-01", "2027-01-02"):
        for _ in range(3):
            guarded.timer.seconds += REMEMBERED_SECONDS
            for _ in range(5):
                assert ask(guarded.client, "GET /v1/tasks", key["key"]).status_code == 200
        listed = guarded.client.get("/v1/keys", headers=bearer(BOOTSTRAP)).json()["items"]
        assert listed[0]["last_used_on"] == day
        guarded.clock.advance(hours=24)
    assert guarded.metric("key_lookups_total", source="table") == 6
    assert guarded.metric("key_lookups_total", source="memory") == 24
    updates = {"operation": "UpdateItem", "outcome": "ok"}
    assert guarded.metric("dynamodb_calls_total", **updates) == 2


def allow(_operation: str) -> None:
    """Let every call through."""


def refuse(_operation: str) -> Fault:
    return Fault.REFUSED


def refuse_updates(operation: str) -> Fault | None:
    return Fault.REFUSED if operation == "UpdateItem" else None


def test_a_use_that_cannot_be_noted_stops_nobody(moto: str) -> None:
    """The day is a remark; the request is what counts."""
    with (
        FaultProxy(moto, plan=refuse_updates) as proxy,
        door(proxy.url) as guarded,
    ):
        key = guarded.make(*TASKS)["key"]
        assert ask(guarded.client, "GET /v1/tasks", key).status_code == 200


def test_without_the_table_no_key_is_known(moto: str) -> None:
    """A store that is away is the service's fault, and counts against nobody's address."""
    with (
        FaultProxy(moto, plan=allow) as proxy,
        door(proxy.url) as guarded,
    ):
        key = guarded.make(*TASKS)["key"]
        proxy.plan = refuse
        for _ in range(FAILURES_AT_ONCE + 1):
            assert ask(guarded.client, "GET /v1/tasks", key).status_code == 503
        proxy.plan = allow
        assert ask(guarded.client, "GET /v1/tasks", key).status_code == 200


def test_a_key_whose_making_lost_its_answer_is_there(moto: str) -> None:
    """The repeated attempt finds its own item, and the key that is shown works."""
    with FaultProxy(moto, plan=once("PutItem", Fault.LOST)) as proxy, door(proxy.url) as guarded:
        key = guarded.make(*TASKS)["key"]
        assert ask(guarded.client, "GET /v1/tasks", key).status_code == 200


# Rates


def test_a_key_has_a_rate(moto: str) -> None:
    """A burst of two seconds' worth, then the rate; the headers say how it stands."""
    with door(moto, rate_limit=5) as guarded:
        key = guarded.make(*TASKS)["key"]
        answers = [ask(guarded.client, "GET /v1/tasks", key) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429]
        left = [answer.headers["RateLimit-Remaining"] for answer in answers]
        assert left == [*map(str, range(9, -1, -1)), "0"]
        refused = answers[-1]
        assert {name: refused.headers[name] for name in ("RateLimit-Limit", "RateLimit-Reset")} == {
            "RateLimit-Limit": "10",
            "RateLimit-Reset": "2",
        }
        guarded.timer.seconds += int(refused.headers["Retry-After"])
        assert ask(guarded.client, "GET /v1/tasks", key).status_code == 200
        other = guarded.make(*TASKS)["key"]
        assert ask(guarded.client, "GET /v1/tasks", other).headers["RateLimit-Remaining"] == "9"


def test_an_address_may_fail_so_often(guarded: Door) -> None:
    """Then it waits; a key that is known goes on from there, and the table is not asked."""
    good = guarded.make(*TASKS)["key"]
    assert ask(guarded.client, "GET /v1/tasks", good).status_code == 200
    wrong = keys.make(NOBODY)
    statuses = [
        ask(guarded.client, "GET /v1/tasks", wrong).status_code for _ in range(FAILURES_AT_ONCE + 2)
    ]
    assert statuses == [401] * FAILURES_AT_ONCE + [429] * 2
    assert guarded.metric("key_lookups_total", source="table") == FAILURES_AT_ONCE + 1
    assert ask(guarded.client, "GET /v1/tasks", good).status_code == 200
    refused = ask(guarded.client, "GET /v1/tasks", wrong)
    assert refused.headers["Retry-After"] == str(SECONDS_A_FAILURE)
    guarded.timer.seconds += SECONDS_A_FAILURE
    assert ask(guarded.client, "GET /v1/tasks", wrong).status_code == 401


@pytest.mark.parametrize(("hops", "last"), [(0, 429), (1, 401), (2, 429)])
def test_an_address_is_what_trusted_proxies_say(moto: str, hops: int, last: int) -> None:
    """Behind one, its own entry counts, the last; what stands before it anybody can write."""
    wrong = keys.make(NOBODY)
    with door(moto, trusted_hops=hops) as guarded:
        for number in range(FAILURES_AT_ONCE + 1):
            answer = ask(
                guarded.client,
                "GET /v1/tasks",
                wrong,
                **{"X-Forwarded-For": f"10.9.9.{number}, 198.51.100.7, 203.0.113.{number}"},
            )
    assert answer.status_code == last
