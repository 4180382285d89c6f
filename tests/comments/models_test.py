"""Comments as they are stored."""

from typing import Any
from unittest.mock import patch

import pytest

from api.comments.models import (
    Comment,
    CommentBody,
    comment_of,
    is_deleted_comment,
)
from api.http.etags import etag_of
from api.principal import ANONYMOUS, NO_KEY, Actor
from api.tasks.comments import CommentKey, new_comment_item
from api.tasks.models import NewTask
from api.tasks.table import TaskKey
from api.values import PageQuery
from tests.support.service import WORKSPACE, Service

TASK = TaskKey("default", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
ID = "01ARZ3NDEKTSV4RRFFQ69G5FAX"
NOW = "2027-01-04T09:00:00.000Z"
KEY = CommentKey(TASK, ID)
TEXT = "One\ntwo"
BY = Actor(ID, "a#b")
REVISION = "0d6f5b8a9c3e2417"
ITEM = new_comment_item(KEY, TEXT, NOW, BY, REVISION)


def test_a_comment_is_read_as_it_was_stored() -> None:
    assert not is_deleted_comment(ITEM)
    assert comment_of(ITEM) == Comment(
        id=ID,
        task_id=TASK.task_id,
        text=TEXT,
        created_at=NOW,
        updated_at=NOW,
        created_by=BY,
        updated_by=BY,
        version=1,
        etag=etag_of(REVISION),
    )


def test_a_comment_without_a_key_has_no_author() -> None:
    item = new_comment_item(KEY, TEXT, NOW, NO_KEY, REVISION)
    assert comment_of(item).created_by == NO_KEY


@pytest.mark.anyio
async def test_comments_are_read_consistently(moto: str) -> None:
    """The emulators' reads are always consistent, so the test examines the calls."""
    async with Service.at(moto) as service:
        task = await service.tasks.create(WORKSPACE, NewTask(title="x"))
        comment = await service.comments.create(ANONYMOUS, task.id, CommentBody(text="x"), None)
        original, reads = service.http.send, []

        async def send(request: bytes, seconds: float) -> Any:
            reads.append(b'"ConsistentRead":true' in request.replace(b" ", b""))
            return await original(request, seconds)

        with patch.object(service.http, "send", send):
            await service.comments.get(WORKSPACE, task.id, comment.id)
            await service.comments.list(WORKSPACE, task.id, PageQuery())
        assert reads == [True] * 4
