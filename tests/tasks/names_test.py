"""The names in use, on both emulators."""

from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from api.limits import LIMITS
from api.tasks import names
from api.tasks.fair_semaphore import SHARES
from api.tasks.models import NewTask
from api.tasks.names import NameField, NameInUse
from tests.support.builders import Client
from tests.support.service import WORKSPACE, Service

# More than a megabyte, the most that DynamoDB reads for one response.
LARGE_TASKS = 140
LARGE_DESCRIPTION = "d" * 8000


def in_use(client: Client, path: str) -> dict[str, Any]:
    response = client.get(path)
    assert response.status_code == 200, response.text
    content: dict[str, Any] = response.json()
    return content


def listed(*pairs: tuple[str, int], complete: bool = True) -> dict[str, Any]:
    return {
        "items": [{"name": name, "open_tasks": count} for name, count in pairs],
        "complete": complete,
    }


def test_a_workspace_without_tasks_has_no_names(any_client: Client) -> None:
    for path in ("/v1/projects", "/v1/labels", "/v1/assignees"):
        assert in_use(any_client, path) == listed()


def test_names_are_listed_by_the_number_of_open_tasks_and_then_by_name(any_client: Client) -> None:
    """Tasks without a name count for none, tasks with several labels for each."""
    any_client.create()
    any_client.create(project="a", labels=["x", "y"], assignee="none")
    any_client.create(project="b", labels=["y"], assignee="é", status="in_progress")
    any_client.create(project="c", labels=["y", "z", "x"], assignee="é")
    any_client.create(project="c")
    assert in_use(any_client, "/v1/projects") == listed(("c", 2), ("a", 1), ("b", 1))
    assert in_use(any_client, "/v1/labels") == listed(("y", 3), ("x", 2), ("z", 1))
    assert in_use(any_client, "/v1/assignees") == listed(("é", 2), ("none", 1))


def test_the_names_of_closed_and_deleted_tasks_are_not_in_use(any_client: Client) -> None:
    closed, deleted, renamed = (any_client.create(project=name) for name in "abc")
    any_client.create(project="d", status="cancelled")
    any_client.changed(closed, status="done")
    any_client.delete(f"/v1/tasks/{deleted['id']}", headers={"If-Match": "*"})
    any_client.changed(renamed, project="e")
    assert in_use(any_client, "/v1/projects") == listed(("e", 1))


def test_a_limited_number_of_the_newest_open_tasks_is_counted(
    any_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response shows whether there are more."""
    monkeypatch.setattr(names, "MAX_ROWS_READ", 3)
    for project in "abb":
        any_client.create(project=project)
    assert in_use(any_client, "/v1/projects") == listed(("b", 2), ("a", 1))
    any_client.create(project="c")
    assert in_use(any_client, "/v1/projects") == listed(("b", 2), ("c", 1), complete=False)


def test_large_tasks_are_all_counted_and_only_their_names_take_memory(
    any_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB needs several responses for them."""
    for _ in range(LARGE_TASKS):
        any_client.create(description=LARGE_DESCRIPTION, assignee="ada")
    assert in_use(any_client, "/v1/assignees") == listed(("ada", LARGE_TASKS))
    # Exactly as many as are counted, and not in one response.
    monkeypatch.setattr(names, "MAX_ROWS_READ", LARGE_TASKS)
    assert in_use(any_client, "/v1/assignees") == listed(("ada", LARGE_TASKS))


def test_counting_ends_early_when_the_names_take_too_much_memory(
    any_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(LARGE_TASKS):
        any_client.create(description=LARGE_DESCRIPTION, assignee="ada")
    monkeypatch.setattr(names, "MAX_PAGE_BYTES", 1)
    content = in_use(any_client, "/v1/assignees")
    assert content["complete"] is False
    assert 0 < content["items"][0]["open_tasks"] < LARGE_TASKS


@pytest.mark.anyio
async def test_counts_wait_for_their_turn_as_lists_do(moto: str) -> None:
    """A workspace has a quarter of the slots; no count begins before one of them is free."""
    async with Service.at(moto) as service, anyio.create_task_group() as group:
        await service.tasks.create(WORKSPACE, NewTask(title="x", project="p"))
        counted: list[NameInUse] = []

        async def count() -> None:
            counted.extend((await service.tasks.names_in_use(WORKSPACE, NameField.PROJECT)).items)

        async with AsyncExitStack() as slots:
            for _ in range(LIMITS.lists // SHARES):
                await slots.enter_async_context(service.tasks.lists.admit(WORKSPACE))
            group.start_soon(count)
            # A count that did not wait would end before these calls.
            for _ in range(20):
                await service.repository.ping()
            assert counted == []
    assert counted == [NameInUse("p", 1)]
