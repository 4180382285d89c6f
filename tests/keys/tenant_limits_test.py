"""What one workspace, one address and one creator of keys may do."""

import asyncio
import logging
from datetime import timedelta

import httpx
import pytest

from api import key_format
from api.errors import StoreUnavailable
from api.keys.authorization import INVALID_KEYS_BURST
from api.keys.repository import KeyRepository, StoredKey
from api.keys.service import CACHE_SECONDS, KNOWN_SECONDS, MAX_KEYS_PER_WORKSPACE
from api.main import create_app
from api.principal import Scope
from api.values import rfc3339
from tests.support import builders, secured_app
from tests.support.builders import Client
from tests.support.bulk_items import create, results, send
from tests.support.secured_app import BOOTSTRAP, bearer, with_other_secret

WRONG = key_format.generate("01ARZ3NDEKTSV4RRFFQ69G5FAW")
# Fewer than one client may have in progress, so that none is shed.
CONCURRENT = 48
ADMIN = [Scope.ADMIN, Scope.READ]


def use_up_failures(client: Client) -> None:
    for _ in range(INVALID_KEYS_BURST):
        assert client.get("/v1/tasks", headers=bearer(WRONG)).status_code == 401
    assert client.get("/v1/tasks", headers=bearer(WRONG)).status_code == 429


def test_failures_of_others_do_not_lock_out_a_key_that_was_valid(moto: str) -> None:
    """For an hour after its last use, also once it is read from the table again."""
    with secured_app.serve(moto) as app:
        tenant = app.tenant("alpha")
        assert tenant.get("/v1/tasks").status_code == 200
        use_up_failures(app.client)
        app.clock.advance(seconds=KNOWN_SECONDS - 1)
        assert tenant.get("/v1/tasks").status_code == 200


def test_a_key_that_is_valid_no_more_counts_as_a_failure(moto: str) -> None:
    """After its revocation it is looked up once, and then only as often as any invalid key."""
    with secured_app.serve(moto) as app:
        made = app.make(Scope.READ)
        headers = bearer(made["key"])
        assert app.client.get("/v1/tasks", headers=headers).status_code == 200
        with secured_app.serve(moto, table_name=app.table_name) as elsewhere:
            path = f"/v1/keys/{made['id']}"
            assert elsewhere.client.delete(path, headers=bearer(BOOTSTRAP)).status_code == 204
        app.clock.advance(seconds=CACHE_SECONDS)
        statuses = [
            app.client.get("/v1/tasks", headers=headers).status_code
            for _ in range(INVALID_KEYS_BURST + 2)
        ]
        assert statuses == [401] * (INVALID_KEYS_BURST + 1) + [429]


async def concurrent_statuses(client: Client, keys: list[str]) -> list[int]:
    """Send a request with each key at the same time."""
    async with httpx.AsyncClient(base_url=client.base_url) as at_once:
        requests = [at_once.get("/v1/tasks", headers=bearer(key)) for key in keys]
        return [response.status_code for response in await asyncio.gather(*requests)]


def test_concurrent_wrong_keys_are_looked_up_no_more_often_than_allowed(moto: str) -> None:
    """The failure is taken before the look-up, not after it."""
    with secured_app.serve(moto) as app:
        keys = [with_other_secret(WRONG) for _ in range(CONCURRENT)]
        statuses = asyncio.run(concurrent_statuses(app.client, keys))
        assert statuses.count(401) == INVALID_KEYS_BURST
        assert statuses.count(429) == CONCURRENT - INVALID_KEYS_BURST
        assert app.metric("key_lookups_total", source="table") == INVALID_KEYS_BURST


def test_concurrent_requests_with_a_new_key_are_all_served(
    moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look-up of a key is shared, so it takes one of the failures that are allowed."""
    find = KeyRepository.find

    async def find_slowly(repository: KeyRepository, key_id: str) -> StoredKey | None:
        await asyncio.sleep(0.5)
        return await find(repository, key_id)

    monkeypatch.setattr(KeyRepository, "find", find_slowly)
    with secured_app.serve(moto) as app:
        key = app.make(Scope.READ)["key"]
        assert set(asyncio.run(concurrent_statuses(app.client, [key] * CONCURRENT))) == {200}


def test_a_valid_key_gives_its_failure_back(moto: str) -> None:
    """Any number of new keys can be used from one address."""
    with secured_app.serve(moto) as app:
        for number in range(INVALID_KEYS_BURST + 5):
            assert app.tenant(f"w{number}").get("/v1/tasks").status_code == 200


def test_a_look_up_that_the_store_fails_is_no_failure_of_the_client() -> None:
    """After an outage, clients are not locked out for what they sent during it."""
    app = create_app(builders.settings("http://127.0.0.1:9", auth="on"))
    for _ in range(2 * INVALID_KEYS_BURST):
        with (
            pytest.raises(StoreUnavailable),
            app.state.authorizer._limit_failures("198.51.100.1"),
        ):
            raise StoreUnavailable("down")


def test_the_keys_of_a_workspace_share_a_rate(moto: str) -> None:
    """An additional key adds nothing; another workspace has its own."""
    with secured_app.serve(moto, workspace_rate_limit=2) as app:
        first, second = app.tenant("alpha"), app.tenant("alpha")
        statuses = [client.get("/v1/tasks").status_code for client in (first, second) * 3]
        assert statuses == [200] * 4 + [429] * 2
        assert app.tenant("beta").get("/v1/tasks").status_code == 200
        app.timer.seconds += 1
        assert first.get("/v1/tasks").status_code == 200


def test_a_bulk_counts_as_many_requests_as_it_has_items(moto: str) -> None:
    """It is admitted whole; the next request waits until all are paid, as Retry-After says."""
    with secured_app.serve(moto, rate_limit=5) as app:
        tenant = app.tenant("alpha")
        items = [create() for _ in range(40)]
        response = send(tenant, *items)
        assert len(results(response)) == 40
        # 40 of a burst of 10: 30 are owed, and the next one is the 31st.
        assert response.headers["RateLimit-Remaining"] == "0"
        assert response.headers["RateLimit-Reset"] == "8"
        refused = tenant.post("/v1/tasks", json={"title": "x"})
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
        app.timer.seconds += 6
        assert tenant.get("/v1/tasks").status_code == 429
        app.timer.seconds += 1
        assert tenant.get("/v1/tasks").status_code == 200


def test_a_bulk_counts_for_its_workspace_too(moto: str) -> None:
    with secured_app.serve(moto, workspace_rate_limit=5) as app:
        first, second = app.tenant("alpha"), app.tenant("alpha")
        assert len(results(send(first, *[create()] * 40))) == 40
        assert second.get("/v1/tasks").headers["Retry-After"] == "7"
        assert app.tenant("beta").get("/v1/tasks").status_code == 200


def test_an_invalid_bulk_counts_as_one_request(moto: str) -> None:
    with secured_app.serve(moto, rate_limit=5) as app:
        response = send(app.tenant("alpha"), *[create("")] * 40)
        assert (response.status_code, response.headers["RateLimit-Remaining"]) == (422, "9")


def test_a_write_beyond_the_rate_is_told_of_bulk_requests(moto: str) -> None:
    with secured_app.serve(moto, rate_limit=1) as app:
        tenant = app.tenant("alpha")
        details = {
            method: [tenant.request(method, "/v1/tasks", json={}) for _ in range(3)][-1].json()
            for method in ("POST", "GET")
        }
        assert "POST /v1/tasks/bulk" in details["POST"]["detail"]
        assert "bulk" not in details["GET"]["detail"]


@pytest.mark.parametrize("scope", [Scope.READ, Scope.WRITE])
def test_a_key_cannot_create_one_with_a_scope_that_it_lacks(moto: str, scope: Scope) -> None:
    with secured_app.serve(moto) as app:
        admin = app.tenant("alpha", Scope.ADMIN)
        response = admin.post("/v1/keys", json={"label": "x", "scopes": [Scope.ADMIN, scope]})
        assert response.status_code == 403
        assert response.json()["needed_scope"] == scope


def test_a_key_does_not_outlive_its_creator(moto: str) -> None:
    """Without expires_at it ends with its creator; a later end is refused, naming the field."""
    with secured_app.serve(moto) as app:
        ends, later = (rfc3339(app.clock() + timedelta(days=days)) for days in (1, 2))
        made = app.make(*ADMIN, workspace="alpha", expires_at=ends)
        headers, new = bearer(made["key"]), {"label": "x", "scopes": [Scope.READ]}
        inherited = app.client.post("/v1/keys", json=new, headers=headers).json()
        assert (inherited["expires_at"], inherited["created_by"]) == (ends, made["id"])
        refused = app.client.post("/v1/keys", json={**new, "expires_at": later}, headers=headers)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "expires_at"


@pytest.mark.parametrize(
    ("expires_at", "status"),
    [("2020-01-01T00:00:00Z", 422), ("9999-12-31T23:59:59Z", 201)],
    ids=["past", "the last second that a timestamp can have"],
)
def test_an_expiry_is_in_the_future(moto: str, expires_at: str, status: int) -> None:
    with secured_app.serve(moto) as app:
        new = {"label": "x", "scopes": [Scope.READ], "expires_at": expires_at}
        response = app.client.post("/v1/keys", json=new, headers=bearer(BOOTSTRAP))
        assert response.status_code == status


def test_a_key_is_revoked_with_those_that_it_created(moto: str) -> None:
    """Directly or not; others stay."""
    with secured_app.serve(moto) as app:
        stolen = app.make(*ADMIN, workspace="alpha")
        child = _create(app.client, stolen["key"], ADMIN)
        grandchild = _create(app.client, child["key"], [Scope.READ])
        other = app.make(Scope.READ, workspace="alpha")
        path = f"/v1/keys/{stolen['id']}?with_created=true"
        assert app.client.delete(path, headers=bearer(BOOTSTRAP)).status_code == 204
        app.clock.advance(seconds=CACHE_SECONDS)
        statuses = [
            app.client.get("/v1/tasks", headers=bearer(key["key"])).status_code
            for key in (stolen, child, grandchild, other)
        ]
        assert statuses == [401, 401, 401, 200]


def _create(client: Client, creator: str, scopes: list[Scope]) -> dict[str, str]:
    new = {"label": "x", "scopes": scopes}
    response = client.post("/v1/keys", json=new, headers=bearer(creator))
    assert response.status_code == 201, response.text
    created: dict[str, str] = response.json()
    return created


def test_a_workspace_has_a_limited_number_of_keys(
    moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.keys.service.MAX_KEYS_PER_WORKSPACE", 2)
    assert MAX_KEYS_PER_WORKSPACE > 100
    with secured_app.serve(moto) as app:
        app.make(Scope.READ, workspace="alpha")
        app.make(Scope.READ, workspace="alpha")
        new = {"label": "x", "scopes": [Scope.READ], "workspace": "alpha"}
        response = app.client.post("/v1/keys", json=new, headers=bearer(BOOTSTRAP))
        assert (response.status_code, response.json()["type"]) == (409, "/problems/too-many-keys")
        app.make(Scope.READ, workspace="beta")


def test_keys_are_logged_by_id_when_created_revoked_and_refused(
    moto: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without their secrets."""
    caplog.set_level(logging.INFO)
    with secured_app.serve(moto, log_format="json") as app:
        made = app.make(Scope.READ)
        app.client.delete(f"/v1/keys/{made['id']}", headers=bearer(BOOTSTRAP))
        app.client.get("/v1/tasks", headers=bearer(made["key"]))
    events = {
        record.message: vars(record)["fields"]["key"]
        for record in caplog.records
        if record.message.startswith("key ")
    }
    assert events == {"key created": made["id"], "key revoked": made["id"]}
    output = capfd.readouterr().err
    assert f'"key":"{made["id"]}","refusal":"revoked"' in output
    assert made["key"].split("_")[2] not in output + caplog.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("localhost.evil.example:8000", 421),
        ("10.0.0.7", 421),
        ("", 421),
    ],
)
def test_without_keys_only_a_loopback_host_is_served(
    client: Client, host: str, status: int
) -> None:
    """A page that reaches this machine by DNS rebinding sends its own host."""
    response = client.get("/v1/tasks", headers={"Host": host})
    assert response.status_code == status
    if status == 421:
        assert "AUTH" in response.json()["detail"]
        assert client.get("/livez", headers={"Host": host}).status_code == 200


def test_a_wrong_secret_does_not_forget_a_valid_key(moto: str) -> None:
    """Who knows an id cannot make its key unknown to the process."""
    with secured_app.serve(moto) as app:
        made = app.make(Scope.READ)
        assert app.client.get("/v1/tasks", headers=bearer(made["key"])).status_code == 200
        wrong = bearer(with_other_secret(made["key"]))
        statuses = [
            app.client.get("/v1/tasks", headers=wrong).status_code
            for _ in range(INVALID_KEYS_BURST + 1)
        ]
        assert statuses == [401] * INVALID_KEYS_BURST + [429]
        app.clock.advance(seconds=CACHE_SECONDS)
        assert app.client.get("/v1/tasks", headers=bearer(made["key"])).status_code == 200
