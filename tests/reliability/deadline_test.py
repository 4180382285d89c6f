"""A store that never answers: every request ends all the same, and says what it knows."""

from collections.abc import Iterator

import pytest

from api import attempts
from api.main import create_app
from tests.support.builders import Client, settings
from tests.support.faults import Fault, FaultProxy
from tests.support.server import serving

SILENCE_SECONDS = 0.1


@pytest.fixture
def silenced(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Client, FaultProxy]]:
    """A client of an app whose store can fall silent, and the proxy that silences it."""
    with FaultProxy(moto) as proxy:
        config = settings(proxy.url)
        monkeypatch.setattr(attempts, "READ_SECONDS", SILENCE_SECONDS * 5)
        with serving(create_app(config)) as url, Client(base_url=url) as client:
            yield client, proxy


def test_every_path_ends(
    silenced: tuple[Client, FaultProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write is in doubt then, with a key and without; a read is just not possible."""
    client, proxy = silenced
    task = client.create()
    proxy.plan = lambda _operation: Fault.SILENT
    monkeypatch.setattr(attempts, "REQUEST_SECONDS", SILENCE_SECONDS)
    monkeypatch.setattr(attempts, "READ_SECONDS", SILENCE_SECONDS)
    path, tag = f"/v1/tasks/{task['id']}", {"If-Match": task["etag"]}
    reads = [client.get(path), client.get("/v1/tasks"), client.get("/readyz")]
    writes = [
        client.post("/v1/tasks", json={"title": "x"}),
        client.create_once("k"),
        client.change(task, title="x"),
        client.delete(path, headers=tag),
    ]
    assert {answer.status_code for answer in (*reads, *writes)} == {503}
    assert [answer.json().get("outcome") for answer in writes] == ["unknown"] * 4
    assert {answer.json().get("outcome") for answer in reads} == {None}
