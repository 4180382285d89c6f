"""Writes of a comment while other clients write between the read and the write."""

from collections.abc import AsyncIterator

import pytest

from api.comments.errors import CommentNotFound, StaleComment
from api.comments.models import Comment, CommentBody
from api.errors import StoreThrottled
from api.http.etags import Match, parse_strong
from api.principal import ANONYMOUS
from api.tasks.errors import TaskNotFound
from api.tasks.items import MAX_REREADS
from api.tasks.models import NewTask, Task
from api.values import PageQuery
from tests.support.concurrency import before_call, contention
from tests.support.service import ANY, WORKSPACE, Service

pytestmark = pytest.mark.anyio

OURS, THEIRS = CommentBody(text="Ours"), CommentBody(text="Theirs")


class Commented:
    """A task and a comment on it, which two clients write."""

    def __init__(self, service: Service, task: Task, comment: Comment) -> None:
        self.service, self.task, self.comment = service, task, comment

    @property
    def etag(self) -> Match:
        return parse_strong(self.comment.etag)

    async def edit(self, match: Match = ANY, body: CommentBody = THEIRS) -> object:
        return await self.service.comments.change(
            ANONYMOUS, self.task.id, self.comment.id, match, body, None
        )

    async def delete(self, match: Match = ANY) -> None:
        await self.service.comments.delete(ANONYMOUS, self.task.id, self.comment.id, match)

    async def delete_task(self) -> None:
        await self.service.tasks.delete(WORKSPACE, self.task.id, ANY)

    async def texts(self) -> list[str]:
        page = await self.service.comments.list(WORKSPACE, self.task.id, PageQuery())
        return [comment.text for comment in page.items]


@pytest.fixture
async def there(store: str) -> AsyncIterator[Commented]:
    async with Service.at(store) as service:
        task = await service.tasks.create(WORKSPACE, NewTask(title="x"))
        comment = await service.comments.create(ANONYMOUS, task.id, CommentBody(text="Old"), None)
        assert isinstance(comment, Comment)
        yield Commented(service, task, comment)


async def test_an_edit_does_not_overwrite_one_of_another_client(
    there: Commented,
) -> None:
    with before_call(there.service, b"PutItem", there.edit), pytest.raises(StaleComment):
        await there.edit(there.etag, OURS)
    assert await there.texts() == ["Theirs"]


async def test_a_deletion_does_not_take_an_edit_of_another_client_along(there: Commented) -> None:
    with (
        before_call(there.service, b"TransactWriteItems", there.edit),
        pytest.raises(StaleComment),
    ):
        await there.delete(there.etag)
    assert await there.texts() == ["Theirs"]


async def test_under_a_star_the_newest_state_is_edited_and_deleted(there: Commented) -> None:
    with before_call(there.service, b"PutItem", there.edit):
        await there.edit(ANY, OURS)
    assert await there.texts() == ["Ours"]
    with before_call(there.service, b"TransactWriteItems", there.edit):
        await there.delete()
    assert await there.texts() == []


async def test_a_comment_that_is_deleted_meanwhile_is_not_found(there: Commented) -> None:
    with before_call(there.service, b"PutItem", there.delete), pytest.raises(CommentNotFound):
        await there.edit()


async def test_a_deletion_of_the_same_state_meanwhile_is_this_one(there: Commented) -> None:
    async def delete() -> None:
        await there.delete(there.etag)

    with before_call(there.service, b"TransactWriteItems", delete):
        await there.delete(there.etag)
    assert (await there.service.tasks.get(WORKSPACE, there.task.id)).comment_count == 0


async def test_a_task_that_is_deleted_meanwhile_gets_no_comment(there: Commented) -> None:
    with (
        before_call(there.service, b"TransactWriteItems", there.delete_task),
        pytest.raises(TaskNotFound),
    ):
        await there.service.comments.create(ANONYMOUS, there.task.id, OURS, None)
    await there.service.tasks.restore(WORKSPACE, there.task.id)
    assert await there.texts() == ["Old"]


async def test_a_comment_that_is_overtaken_too_often_is_refused(there: Commented) -> None:
    """With Retry-After; one that is overtaken less often is written."""
    with contention(there.service, there.task.id, MAX_REREADS - 1):
        await there.service.comments.create(ANONYMOUS, there.task.id, OURS, None)
    with contention(there.service, there.task.id, MAX_REREADS), pytest.raises(StoreThrottled):
        await there.service.comments.create(ANONYMOUS, there.task.id, OURS, None)
    assert await there.texts() == ["Old", "Ours"]
