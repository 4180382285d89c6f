"""What comments cost, as DynamoDB Local reports it."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from api.comments.models import Comment, CommentBody
from api.http.etags import parse_strong
from api.local.processes import ROOT
from api.tasks.change_models import TaskChange
from api.tasks.models import Task
from api.values import PageQuery
from tests.support.service import ANY, WORKSPACE
from tests.tasks.repository_test import ACTOR, CALLER, NEW, RETITLED, MeteredService

pytestmark = pytest.mark.anyio

# Just under a kilobyte as an item.
TEXT = "t" * 400
BODY = CommentBody(text=TEXT)
COMMENTS = 30


class Commented:
    """A task with comments, the first of them, and the service that has them."""

    def __init__(self, service: MeteredService, task: Task, comment: Comment) -> None:
        self.service, self.task, self.comment = service, task, comment

    @classmethod
    async def new(cls, service: MeteredService) -> "Commented":
        task = await service.tasks.create(WORKSPACE, NEW, ACTOR)
        for _ in range(COMMENTS):
            await service.comments.create(CALLER, task.id, BODY, None)
        page = await service.comments.list(WORKSPACE, task.id, PageQuery(limit=1))
        return cls(service, await service.tasks.get(WORKSPACE, task.id), page.items[0])

    def write(self, key: str | None) -> Awaitable[object]:
        return self.service.comments.create(CALLER, self.task.id, BODY, key)

    def change_with_one(self) -> Awaitable[object]:
        change = TaskChange(title=RETITLED.title, comment=TEXT)
        return self.service.tasks.change(
            WORKSPACE, self.task.id, parse_strong(self.task.etag), change, ACTOR
        )

    def read(self) -> Awaitable[object]:
        return self.service.comments.get(WORKSPACE, self.task.id, self.comment.id)

    def page(self) -> Awaitable[object]:
        return self.service.comments.list(WORKSPACE, self.task.id, PageQuery())

    def edit(self, key: str | None) -> Awaitable[object]:
        return self.service.comments.change(CALLER, self.task.id, self.comment.id, ANY, BODY, key)

    def delete(self) -> Awaitable[object]:
        return self.service.comments.delete(CALLER, self.task.id, self.comment.id, ANY)

    def delete_task(self) -> Awaitable[object]:
        return self.service.tasks.delete(
            WORKSPACE, self.task.id, parse_strong(self.task.etag), ACTOR
        )

    def restore(self) -> Awaitable[object]:
        return self.service.tasks.restore(WORKSPACE, self.task.id, ACTOR)


PATTERNS: dict[str, Callable[[Commented], Awaitable[object]]] = {
    "write a comment": lambda there: there.write(None),
    "write one with an idempotency key": lambda there: there.write("k"),
    "change a task's title with a comment": Commented.change_with_one,
    "read a comment": Commented.read,
    "page of 25 comments": Commented.page,
    "change a comment": lambda there: there.edit(None),
    "change one with an idempotency key": lambda there: there.edit("k"),
    "delete a comment": Commented.delete,
    "delete a task with 30 comments": Commented.delete_task,
    "restore it": Commented.restore,
}


@pytest.fixture
async def metered(local_dynamodb: str) -> AsyncIterator[MeteredService]:
    async with MeteredService.at(local_dynamodb) as service:
        yield service


def _documented() -> dict[str, tuple[str, float]]:
    text = (ROOT / "docs/data-model.md").read_text().partition("## Comments")[2]
    rows = re.findall(
        r"^\| (.+?) \| (\w[\w +]+) \| ([\d.]+) \|$", text.partition("\n## ")[0], re.MULTILINE
    )
    return {pattern: (call, float(units)) for pattern, call, units in rows}


async def test_the_documented_costs_are_what_the_store_reports(metered: MeteredService) -> None:
    """Each row of docs/data-model.md has the operations and request units of its pattern."""
    reported = {}
    for pattern, call in PATTERNS.items():
        there = await Commented.new(metered)
        if pattern == "restore it":
            await there.delete_task()
        calls = await metered.consumed(call(there))
        reported[pattern] = (" + ".join(sorted(calls)), sum(calls.values()))
    assert reported == _documented()
