"""Two workspaces in one table: idempotency keys and cursors are valid in their own only."""

from collections.abc import AsyncIterator

import pytest

from api.errors import InvalidCursor
from api.tasks.change_models import TaskChange
from api.tasks.errors import TaskNotFound
from api.tasks.idempotency import Replay
from api.tasks.list_models import TaskQuery
from api.tasks.models import NewTask, Task
from api.tasks.names import NameField, NameInUse
from api.tasks.service import TaskService
from tests.support import secured_app
from tests.support.service import ANY, Service

pytestmark = pytest.mark.anyio

NEW = NewTask(title="x")
OURS, THEIRS = "ours", "theirs"


@pytest.fixture
async def tasks(moto: str) -> AsyncIterator[TaskService]:
    async with Service.at(moto) as service:
        yield service.tasks


async def test_two_workspaces_can_create_under_the_same_idempotency_key(tasks: TaskService) -> None:
    ours = await tasks.create_once(OURS, NEW, "key")
    theirs = await tasks.create_once(THEIRS, NEW, "key")
    again = await tasks.create_once(THEIRS, NEW, "key")
    assert isinstance(ours, Task)
    assert isinstance(theirs, Task)
    assert ours.id != theirs.id
    assert isinstance(again, Replay)
    assert again.id == theirs.id


async def test_a_change_is_not_replayed_to_another_workspace(tasks: TaskService) -> None:
    """A caller with the same id, idempotency key and change gets a 404."""
    change = TaskChange(title="y")
    task = await tasks.create(OURS, NEW)
    await tasks.change_once(OURS, task.id, ANY, change, "key")
    with pytest.raises(TaskNotFound):
        await tasks.change_once(THEIRS, task.id, ANY, change, "key")


async def test_a_cursor_of_another_workspace_is_refused(tasks: TaskService) -> None:
    for _ in range(2):
        await tasks.create(OURS, NEW)
        await tasks.create(THEIRS, NEW)
    page = await tasks.list(OURS, TaskQuery(limit=1))
    following = TaskQuery(limit=1, cursor=page.next_cursor)
    assert len((await tasks.list(OURS, following)).items) == 1
    with pytest.raises(InvalidCursor):
        await tasks.list(THEIRS, following)


async def test_the_names_in_use_are_those_of_the_own_workspace(tasks: TaskService) -> None:
    await tasks.create(OURS, NewTask(title="x", project="ours"))
    await tasks.create(THEIRS, NewTask(title="x", project="theirs"))
    names = await tasks.names_in_use(OURS, NameField.PROJECT)
    assert names.items == [NameInUse("ours", 1)]


def test_no_name_makes_a_workspace_list_the_api_keys_of_another(moto: str) -> None:
    """API keys are in an index that lists tasks, too."""
    with secured_app.serve(moto) as secured:
        for workspace in ("open", "closed", "deleted", "comments", "apikey"):
            tenant = secured.tenant(workspace)
            tenant.comment(tenant.create(workspace))
            assert tenant.titles(state="all") == [workspace]
