"""BASE_PATH: what precedes every path in public, because a proxy removes it."""

from collections.abc import Iterator

import pytest

from api.main import create_app
from tests.support import builders
from tests.support.builders import Client
from tests.support.server import serving

BASE = "/tracker"


@pytest.fixture(scope="module")
def client(moto: str) -> Iterator[Client]:
    """A client of a server behind a proxy."""
    app = create_app(builders.settings(moto, base_path=BASE))
    with serving(app) as url, Client(base_url=url) as client:
        yield client


@pytest.mark.parametrize("before", ["", BASE])
@pytest.mark.parametrize("path", ["/livez", "/v1/tasks", "/docs", "/openapi.json", "/"])
def test_a_request_may_have_the_base_path_or_not(client: Client, before: str, path: str) -> None:
    """A proxy removes it; a probe on the host never had it."""
    assert client.get(f"{before}{path}").status_code == 200


def test_the_base_path_itself_is_the_root(client: Client) -> None:
    assert client.get(BASE).json() == client.get("/").json()


@pytest.mark.parametrize("path", [f"{BASE}s/livez", f"{BASE}{BASE}/livez", f"/v1{BASE}/tasks"])
def test_the_base_path_is_removed_once_and_as_a_whole(client: Client, path: str) -> None:
    """Another path is unknown, also if it only begins with the same characters."""
    assert client.get(path).status_code == 404


def test_a_location_begins_with_the_base_path(client: Client) -> None:
    """Clients resolve it against the address that they know."""
    created = client.post("/v1/tasks", json={"title": "x"}, headers={"Idempotency-Key": "a"})
    repeated = client.post("/v1/tasks", json={"title": "x"}, headers={"Idempotency-Key": "a"})
    location = f"{BASE}/v1/tasks/{created.json()['id']}"
    assert [each.headers["Location"] for each in (created, repeated)] == [location, location]
    assert client.get(location).json() == created.json()


def test_the_openapi_document_names_the_base_path_as_its_server(client: Client) -> None:
    """The requests that its page sends go there."""
    (server,) = client.get(f"{BASE}/openapi.json").json()["servers"]
    assert server["url"] == BASE


def test_a_route_is_counted_without_the_base_path(client: Client) -> None:
    """One route has one series."""
    client.get(f"{BASE}/openapi.json")
    metrics = client.get(f"{BASE}/metrics").text
    assert 'route="/openapi.json"' in metrics
    assert f'route="{BASE}' not in metrics
