"""Two workspaces in one table: what one knows is of no use to the other."""

import pytest

from api.errors import BadCursor, TaskNotFound
from api.idempotency import Replay
from api.models import NewTask, Task, TaskChange, TaskQuery
from tests.support.service import ANY, Service

pytestmark = pytest.mark.anyio

NEW = NewTask(title="x")
OURS, THEIRS = "ours", "theirs"


async def test_a_key_is_its_workspaces(moto: str) -> None:
    """The same key in another one is the first of its kind, and the same again is a replay."""
    async with Service.at(moto) as service:
        ours = await service.tasks.create_once(OURS, NEW, "key")
        theirs = await service.tasks.create_once(THEIRS, NEW, "key")
        again = await service.tasks.create_once(THEIRS, NEW, "key")
    assert isinstance(ours, Task)
    assert isinstance(theirs, Task)
    assert ours.id != theirs.id
    assert isinstance(again, Replay)
    assert again.id == theirs.id


async def test_a_change_under_a_key_is_not_replayed_to_others(moto: str) -> None:
    """Whoever knows the id, the key and the change learns that there is no such task."""
    change = TaskChange(title="y")
    async with Service.at(moto) as service:
        task = await service.tasks.create(OURS, NEW)
        await service.tasks.change_once(OURS, task.id, ANY, change, "key")
        with pytest.raises(TaskNotFound):
            await service.tasks.change_once(THEIRS, task.id, ANY, change, "key")


async def test_a_cursor_opens_no_list_of_another_workspace(moto: str) -> None:
    """Though filters, sort and table are the same."""
    async with Service.at(moto) as service:
        for _ in range(2):
            await service.tasks.create(OURS, NEW)
            await service.tasks.create(THEIRS, NEW)
        page = await service.tasks.list(OURS, TaskQuery(limit=1))
        following = TaskQuery(limit=1, cursor=page.next_cursor)
        assert len((await service.tasks.list(OURS, following)).items) == 1
        with pytest.raises(BadCursor):
            await service.tasks.list(THEIRS, following)
