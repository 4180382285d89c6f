"""The backlog of a served app: scraped, kept per workspace of API keys, and handed over."""

from contextlib import ExitStack, closing

from api.keys.workspaces import PRIMARY_KEY
from api.main import create_app
from tests.support import secured_app
from tests.support.botocore_transport import client as dynamodb
from tests.support.builders import Client, settings
from tests.support.faults import Fault, FaultProxy
from tests.support.secured_app import TASKS, SecuredApp, bearer
from tests.support.server import serving
from tests.support.wait import wait_until

SECONDS = 20


def exported(client: Client) -> dict[str, float]:
    """Return the series of the backlog by name and labels."""
    lines = client.get("/metrics").text.splitlines()
    found = (line.rsplit(" ", 1) for line in lines if line.startswith(("tasks_o", "tasks_b")))
    return {name: float(value) for name, value in found}


def test_a_server_counts_from_its_start_and_hands_over_at_its_end(moto: str) -> None:
    """Without API keys, under AUTH=off, there is the default workspace."""
    config = settings(moto, backlog="on")
    with ExitStack() as first:
        client = first.enter_context(
            Client(base_url=first.enter_context(serving(create_app(config))))
        )
        wait_until(lambda: exported(client), SECONDS)
        client.create(due_at="2020-01-01T00:00:00Z", priority="urgent")
    with serving(create_app(config)) as url, Client(base_url=url) as client:
        wait_until(lambda: exported(client), SECONDS)
        series = exported(client)
    assert series['tasks_open{priority="urgent",status="todo"}'] == 1
    assert len([name for name in series if name.startswith("tasks_open{")]) == 10
    assert series["tasks_overdue"] == 1
    assert series["tasks_oldest_overdue_seconds"] > 86_400
    assert series["tasks_backlog_is_lower_bound"] == 0


def noted(app: SecuredApp, url: str) -> set[str]:
    """Return the record of workspaces."""
    with closing(dynamodb(settings(url, table_name=app.table_name))) as client:
        key = dict(zip(("pk", "sk"), ({"S": part} for part in PRIMARY_KEY), strict=True))
        item = client.get_item(TableName=app.table_name, Key=key).get("Item", {})
    return set(item["names"]["SS"]) if item else set()


def test_a_key_puts_its_workspace_into_the_record(moto: str) -> None:
    with secured_app.serve(moto) as app:
        app.make(*TASKS, workspace="acme")
        app.make(*TASKS, workspace="acme")
        app.make(*TASKS, workspace="other")
        assert noted(app, moto) == {"acme", "other"}


def _refuse_updates(operation: str) -> Fault | None:
    return Fault.REFUSED if operation == "UpdateItem" else None


def test_a_key_of_before_puts_its_workspace_into_the_record_when_it_is_used(moto: str) -> None:
    """Once in each process that counts; one that does not leaves it to the others."""
    with FaultProxy(moto, _refuse_updates) as proxy, secured_app.serve(proxy.url) as app:
        # The creation succeeds although the workspace cannot be noted.
        key = app.make(*TASKS, workspace="acme")["key"]
        table = app.table_name
        assert noted(app, moto) == set()
    for backlog, names in (("off", set()), ("on", {"acme"})):
        with secured_app.serve(moto, table_name=table, backlog=backlog) as app:
            assert app.client.get("/v1/tasks", headers=bearer(key)).status_code == 200
            assert noted(app, moto) == names
