"""Every request ends in time although the store never responds."""

from collections.abc import Iterator

import pytest

from api.dynamodb import retry
from api.main import create_app
from tests.support.builders import Client, settings
from tests.support.bulk_items import create, results, send
from tests.support.faults import Fault, FaultProxy
from tests.support.server import serving

SILENCE_SECONDS = 0.4


@pytest.fixture
def silenced(
    fault_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Client, FaultProxy]]:
    """A client of an app, and the proxy in front of its store."""
    config = settings(fault_proxy.url)
    monkeypatch.setattr(retry, "READ_SECONDS", SILENCE_SECONDS * 5)
    with serving(create_app(config)) as url, Client(base_url=url) as client:
        yield client, fault_proxy


def test_every_request_ends(
    silenced: tuple[Client, FaultProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write returns 503 with an unknown outcome, a read returns 503 without one."""
    client, proxy = silenced
    task = client.create()
    proxy.plan = lambda _operation: Fault.SILENT
    monkeypatch.setattr(retry, "REQUEST_SECONDS", SILENCE_SECONDS)
    monkeypatch.setattr(retry, "READ_SECONDS", SILENCE_SECONDS)
    path, tag = f"/v1/tasks/{task['id']}", {"If-Match": task["etag"]}
    reads = [client.get(path), client.get("/v1/tasks"), client.get("/readyz")]
    writes = [
        client.post("/v1/tasks", json={"title": "x"}),
        client.create_once("k"),
        client.change(task, title="x"),
        client.delete(path, headers=tag),
    ]
    assert {response.status_code for response in (*reads, *writes)} == {503}
    assert [response.json().get("outcome") for response in writes] == ["unknown"] * 4
    assert {response.json().get("outcome") for response in reads} == {None}


def test_the_items_of_a_bulk_share_one_deadline(
    silenced: tuple[Client, FaultProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were not sent by then get a 503 without an unknown outcome."""
    client, proxy = silenced
    client.create()
    proxy.plan = lambda _operation: Fault.SILENT
    monkeypatch.setattr(retry, "REQUEST_SECONDS", SILENCE_SECONDS)
    found = results(send(client, *[create()] * 20))
    assert {result["status"] for result in found} == {503}
    # One after the other, the later ones would have been sent, too.
    outcomes = [result.get("outcome") for result in found]
    assert outcomes == ["unknown"] * 8 + [None] * 12
