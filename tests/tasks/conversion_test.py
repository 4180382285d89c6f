"""A table of the first data model becomes one of this version, on both emulators."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from api.main import create_app
from api.settings import Settings
from api.tasks.conversion import convert, is_converted
from tests.support import botocore_transport, builders, dynamodb_local
from tests.support.first_data_model import first_item, first_schema, tombstone
from tests.support.server import serving


@pytest.fixture(params=["moto", "local"])
def fresh_store(request: pytest.FixtureRequest, moto: str) -> Iterator[str]:
    """Each emulator. DynamoDB Local never finishes an index where it holds many other tables."""
    if request.param == "moto":
        yield moto
        return
    with dynamodb_local.running() as url:
        yield url


@contextmanager
def first_table(store: str) -> Iterator[tuple[Settings, Any]]:
    settings = builders.settings(store)
    with closing(botocore_transport.client(settings)) as client:
        client.create_table(**first_schema(settings.table_name))
        for item in [*map(first_item, range(8)), tombstone()]:
            client.put_item(TableName=settings.table_name, Item=item)
        yield settings, client


def test_a_converted_table_serves_lists_changes_and_deletions(fresh_store: str) -> None:
    with first_table(fresh_store) as (settings, client):
        assert not is_converted(client, settings.table_name)
        steps = list(convert(client, settings.table_name))
        assert is_converted(client, settings.table_name)
        assert "Rewrote 8 tasks" in steps
        assert list(convert(client, settings.table_name)) == []
    with serving(create_app(settings)) as url, builders.Client(base_url=url) as api:
        titles = [task["title"] for task in api.walk(project="caf\u00e9", sort="due")]
        assert titles == ["Task 0", "Task 1", "Task 4", "Task 5"]
        assert sorted(task["title"] for task in api.walk(state="closed", q="task")) == [
            "Task 2",
            "Task 3",
            "Task 6",
            "Task 7",
        ]
        (task,) = api.page(q="task 1")["items"]
        assert task["etag"] == '"0000000000000001"'
        done = api.changed(task, status="done")
        assert api.delete(f"/v1/tasks/{done['id']}", headers={"If-Match": done["etag"]}).is_success


def test_an_interrupted_conversion_can_be_repeated(moto: str) -> None:
    with first_table(moto) as (settings, client):
        steps = convert(client, settings.table_name)
        assert len([next(steps) for _ in range(15)]) == 15
        list(convert(client, settings.table_name))
        assert is_converted(client, settings.table_name)
