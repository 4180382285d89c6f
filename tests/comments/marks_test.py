"""The comments of a deleted task expire with it, and are there again with a restored one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from api.comments.models import CommentBody
from api.dynamodb.http_client import BrokenError
from api.errors import OutcomeUnknown
from api.http.etags import parse_strong
from api.main import create_app
from api.principal import ANONYMOUS
from api.settings import Settings
from api.tasks.bulk_models import BulkRequest
from api.tasks.change_models import TaskChange
from api.tasks.comments import COMMENT_PREFIX
from api.tasks.errors import TaskNotFound
from api.tasks.models import NewTask, Task
from api.tasks.updates import TOMBSTONE_LIFETIME
from api.values import PageQuery
from tests.support import botocore_transport
from tests.support.builders import Client, settings
from tests.support.bulk_items import delete, results, send
from tests.support.clock import Clock
from tests.support.concurrency import before_call
from tests.support.faults import Contention, Fault, FaultProxy
from tests.support.server import serving
from tests.support.service import ANY, WORKSPACE, Service

# More than one transaction holds.
MANY = 12
PATIENCE_SECONDS = 5
# When the comments of a task that is deleted now expire.
LATER = TOMBSTONE_LIFETIME + timedelta(days=1)

Request = Callable[[], Awaitable[object]]


def _expiries(config: Settings, task_id: str) -> list[int | None]:
    """Return when each comment of a task expires that is not deleted."""
    with closing(botocore_transport.client(config)) as store:
        items = store.scan(TableName=config.table_name)["Items"]
    prefix = f"{COMMENT_PREFIX}{task_id}#"
    return [
        int(item["expires_at"]["N"]) if "expires_at" in item else None
        for item in items
        if item["sk"]["S"].startswith(prefix) and "text" in item
    ]


class Tracker(NamedTuple):
    """A served app with a clock, and its table."""

    client: Client
    clock: Clock
    config: Settings

    def commented(self, comments: int = MANY) -> dict[str, Any]:
        """Create a task with comments, and return it as it is then."""
        task = self.client.create()
        for number in range(comments):
            self.client.comment(task, f"{number}")
        found: dict[str, Any] = self.client.get(f"/v1/tasks/{task['id']}").json()
        return found

    def delete(self, task: dict[str, Any]) -> int:
        path, match = f"/v1/tasks/{task['id']}", {"If-Match": task["etag"]}
        return self.client.delete(path, headers=match).status_code

    def restore(self, task: dict[str, Any]) -> int:
        return self.client.post(f"/v1/tasks/{task['id']}/restore").status_code

    def expiries(self, task: dict[str, Any]) -> list[int | None]:
        return _expiries(self.config, task["id"])

    @property
    def mark(self) -> int:
        return int((self.clock() + LATER).timestamp())


@contextmanager
def _serving(store: str) -> Iterator[Tracker]:
    clock, config = Clock(), settings(store)
    with serving(create_app(config, clock=clock)) as url, Client(base_url=url) as client:
        yield Tracker(client, clock, config)


@pytest.fixture
def tracker(store: str) -> Iterator[Tracker]:
    with _serving(store) as tracker:
        yield tracker


def test_the_comments_of_a_deleted_task_expire_a_day_after_its_tombstone(tracker: Tracker) -> None:
    """All of them, however many; and none of another task."""
    task, other = tracker.commented(), tracker.commented(1)
    assert tracker.expiries(task) == [None] * MANY
    assert tracker.delete(task) == 204
    assert tracker.expiries(task) == [tracker.mark] * MANY
    assert tracker.expiries(other) == [None]


def test_a_restored_task_has_its_comments_again(tracker: Tracker) -> None:
    """Those that were not deleted, in their states; they expire no more."""
    task = tracker.commented()
    path = tracker.client.comments_path(task)
    before = tracker.client.get(path).json()
    tracker.delete(task)
    assert tracker.restore(task) == 200
    assert tracker.client.get(path).json() == before
    assert tracker.expiries(task) == [None] * MANY
    assert tracker.client.get(f"/v1/tasks/{task['id']}").json()["comment_count"] == MANY
    tracker.client.comment(task, "One more")


def test_a_deleted_comment_keeps_the_expiry_of_its_own_tombstone(tracker: Tracker) -> None:
    """A restore of the task does not bring it back."""
    task = tracker.commented(2)
    path = tracker.client.comments_path(task)
    first = tracker.client.get(path).json()["items"][0]
    tracker.client.delete(f"{path}/{first['id']}", headers={"If-Match": "*"})
    tracker.clock.advance(days=1)
    task = tracker.client.get(f"/v1/tasks/{task['id']}").json()
    tracker.delete(task)
    tracker.restore(task)
    assert tracker.client.comments(task) == ["1"]
    with closing(botocore_transport.client(tracker.config)) as store:
        items = store.scan(TableName=tracker.config.table_name)["Items"]
    (tombstone,) = [item for item in items if item["sk"]["S"].endswith(first["id"])]
    deleted_at = tracker.clock() - timedelta(days=1)
    expires_at = int((deleted_at + TOMBSTONE_LIFETIME).timestamp())
    assert tombstone["expires_at"] == {"N": str(expires_at)}


@pytest.mark.parametrize(
    ("query", "key"), [({}, None), ({"atomic": "true"}, None), ({"atomic": "true"}, "k")]
)
def test_a_bulk_deletion_marks_the_comments(
    tracker: Tracker, query: dict[str, str], key: str | None
) -> None:
    """A repetition marks those that the first run did not."""
    task, other = tracker.commented(), tracker.client.create()
    items = [delete(task), delete(other)]
    for _ in range(2):
        found = results(send(tracker.client, *items, key=key, **query))
        assert [result["status"] for result in found] == [204, 204]
        assert tracker.expiries(task) == [tracker.mark] * MANY
        _unmark(tracker, task)


def _unmark(tracker: Tracker, task: dict[str, Any]) -> None:
    """Remove the marks, as if they had not been set."""
    with closing(botocore_transport.client(tracker.config)) as store:
        for item in store.scan(TableName=tracker.config.table_name)["Items"]:
            if item["sk"]["S"].startswith(f"{COMMENT_PREFIX}{task['id']}#"):
                del item["expires_at"]
                store.put_item(TableName=tracker.config.table_name, Item=item)


def test_a_deletion_whose_marks_failed_is_repeated(moto: str) -> None:
    with FaultProxy(moto) as proxy, _serving(proxy.url) as tracker:
        task = tracker.commented()
        proxy.plan = _no_transactions
        assert tracker.delete(task) == 503
        assert tracker.client.get(f"/v1/tasks/{task['id']}").status_code == 404
        proxy.plan = lambda _: None
        assert tracker.delete(task) == 204
        assert tracker.expiries(task) == [tracker.mark] * MANY


@pytest.mark.parametrize("is_bulk", [False, True])
def test_a_deletion_under_a_star_whose_marks_failed_is_repeated(moto: str, is_bulk: bool) -> None:
    """The task is gone by then; the repetition says so, and sets the marks."""
    with FaultProxy(moto) as proxy, _serving(proxy.url) as tracker:
        task, statuses = tracker.commented(), []
        for plan in (_no_transactions, lambda _: None):
            proxy.plan = plan
            if is_bulk:
                (result,) = results(send(tracker.client, delete(task, "*")))
                statuses.append(result["status"])
            else:
                statuses.append(tracker.delete(task | {"etag": "*"}))
        assert statuses == [503, 404]
        assert tracker.expiries(task) == [tracker.mark] * MANY


def test_a_bulk_deletion_whose_marks_failed_is_repeated_under_its_idempotency_key(
    moto: str,
) -> None:
    with FaultProxy(moto) as proxy, _serving(proxy.url) as tracker:
        task = tracker.commented()
        proxy.plan = _no_transactions
        (failed,) = results(send(tracker.client, delete(task), key="k"))
        assert (failed["status"], failed["outcome"]) == (503, "unknown")
        proxy.plan = lambda _: None
        assert results(send(tracker.client, delete(task), key="k"))[0]["status"] == 204
        assert tracker.expiries(task) == [tracker.mark] * MANY


def test_a_task_is_not_restored_before_its_comments_stay(moto: str) -> None:
    with FaultProxy(moto) as proxy, _serving(proxy.url) as tracker:
        task = tracker.commented()
        tracker.delete(task)
        proxy.plan = _no_transactions
        assert tracker.restore(task) == 503
        assert tracker.client.get(f"/v1/tasks/{task['id']}").status_code == 404
        proxy.plan = lambda _: None
        assert tracker.restore(task) == 200
        assert tracker.expiries(task) == [None] * MANY


def test_a_contended_deletion_or_restore_can_be_repeated(moto: str) -> None:
    """Of the deletion it is unknown how far it came; the restore has done nothing yet."""
    with FaultProxy(moto) as proxy, _serving(proxy.url) as tracker:
        task = tracker.commented()
        path = f"/v1/tasks/{task['id']}"
        proxy.plan = Contention()
        deletion = tracker.client.delete(path, headers={"If-Match": task["etag"]})
        assert (deletion.status_code, deletion.json()["outcome"]) == (503, "unknown")
        proxy.plan = lambda _: None
        assert tracker.delete(task) == 204
        proxy.plan = Contention()
        restore = tracker.client.post(f"{path}/restore")
        assert restore.json()["type"] == "/problems/store-throttled"
        assert restore.headers["Retry-After"] == "1"
        proxy.plan = lambda _: None
        assert tracker.restore(task) == 200


def _deletion_of(*tasks: Task) -> BulkRequest:
    items = [delete({"id": task.id, "etag": task.etag}) for task in tasks]
    return BulkRequest.model_validate({"items": items})


def _no_transactions(operation: str) -> Fault | None:
    return Fault.REFUSED if operation == "TransactWriteItems" else None


class TestRaces:
    pytestmark = pytest.mark.anyio

    @pytest.fixture
    async def service(self, store: str) -> AsyncIterator[Service]:
        async with Service.at(store) as service:
            yield service

    @pytest.fixture
    async def task(self, service: Service) -> Task:
        task = await service.tasks.create(WORKSPACE, NewTask(title="x"))
        for number in range(MANY):
            task = await service.tasks.change(
                WORKSPACE, task.id, ANY, TaskChange(comment=f"{number}")
            )
        return task

    async def test_an_atomic_bulk_whose_marks_failed_is_of_unknown_outcome(
        self, service: Service, task: Task
    ) -> None:
        """It was done. A task whose marks fail, or take long, does not keep others from theirs."""
        other, marked = await service.tasks.create(WORKSPACE, NewTask(title="y")), asyncio.Event()
        other = await service.tasks.change(WORKSPACE, other.id, ANY, TaskChange(comment="z"))
        original, bulk = service.http.send, _deletion_of(task, other)

        async def send(request: bytes, seconds: float) -> Any:
            response = await original(request, seconds)
            if b".TransactWriteItems" not in request:
                return response
            service.http.send = send_marks
            return response

        async def send_marks(request: bytes, seconds: float) -> Any:
            if b".GetItem" in request and task.id.encode() in request:
                await asyncio.wait_for(marked.wait(), PATIENCE_SECONDS)
                raise BrokenError("broken by the test")
            response = await original(request, seconds)
            if b".TransactWriteItems" in request:
                marked.set()
            return response

        with patch.object(service.http, "send", send), pytest.raises(OutcomeUnknown):
            await service.bulks.run_atomic(WORKSPACE, bulk, None)
        assert None not in _expiries(service.settings, other.id)
        assert None in _expiries(service.settings, task.id)

    async def test_a_late_deletion_does_not_mark_the_comments_of_a_restored_task(
        self, service: Service, task: Task
    ) -> None:
        async def restore() -> None:
            await service.tasks.restore(WORKSPACE, task.id)

        with before_call(service, b"TransactWriteItems", restore):
            await service.tasks.delete(WORKSPACE, task.id, ANY)
        assert (await service.tasks.get(WORKSPACE, task.id)).comment_count == MANY
        assert _expiries(service.settings, task.id) == [None] * MANY

    async def test_a_restore_also_unmarks_what_a_repeated_deletion_has_marked_meanwhile(
        self, service: Service, task: Task
    ) -> None:
        async def delete_again() -> None:
            await service.tasks.delete(WORKSPACE, task.id, parse_strong(task.etag))

        await delete_again()
        with before_call(service, b"UpdateItem", delete_again):
            await service.tasks.restore(WORKSPACE, task.id)
        assert _expiries(service.settings, task.id) == [None] * MANY

    async def test_a_comment_that_is_deleted_meanwhile_does_not_keep_the_others_marked(
        self, service: Service, task: Task
    ) -> None:
        """A restore removes the marks of a repeated deletion; a comment is deleted before that."""

        async def delete_again() -> None:
            await service.tasks.delete(WORKSPACE, task.id, parse_strong(task.etag))

        async def delete_comment() -> None:
            page = await service.comments.list(WORKSPACE, task.id, PageQuery(limit=1))
            await service.comments.delete(ANONYMOUS, task.id, page.items[0].id, ANY)

        await delete_again()
        with (
            # After the two that remove the first marks, and the two that set them again.
            before_call(service, b"TransactWriteItems", delete_comment, number=5),
            before_call(service, b"UpdateItem", delete_again),
        ):
            await service.tasks.restore(WORKSPACE, task.id)
        assert _expiries(service.settings, task.id) == [None] * (MANY - 1)

    async def test_a_late_restore_does_not_unmark_the_comments_of_a_deleted_task(
        self, service: Service, task: Task
    ) -> None:
        """It was deleted again after it was restored, and before the last marks are removed."""

        async def delete() -> None:
            await service.tasks.delete(WORKSPACE, task.id, ANY)

        await delete()
        with before_call(service, b"Query", delete, number=2):
            await service.tasks.restore(WORKSPACE, task.id)
        with pytest.raises(TaskNotFound):
            await service.tasks.get(WORKSPACE, task.id)
        assert None not in _expiries(service.settings, task.id)

    @pytest.mark.parametrize(("operation", "key"), [(b"PutItem", None), (b"TransactWrite", "k")])
    async def test_an_edit_does_not_unmark_the_comment_of_a_task_that_is_deleted_meanwhile(
        self, service: Service, task: Task, operation: bytes, key: str | None
    ) -> None:
        edit, delete, _ = await self._requests(service, task, key)
        with before_call(service, operation, delete), pytest.raises(TaskNotFound):
            await edit()
        assert None not in _expiries(service.settings, task.id)

    async def test_an_edit_leaves_the_marks_to_a_deletion_and_a_restore_meanwhile(
        self, service: Service, task: Task
    ) -> None:
        """The task is deleted before the comment is read, or also restored before it is written."""
        edit, delete, restore = await self._requests(service, task, None)
        with before_call(service, b"GetItem", delete, number=2):
            await edit()
        assert None not in _expiries(service.settings, task.id)
        await restore()
        with (
            before_call(service, b"PutItem", restore),
            before_call(service, b"GetItem", delete, number=2),
        ):
            await edit()
        assert _expiries(service.settings, task.id) == [None] * MANY

    async def _requests(
        self, service: Service, task: Task, key: str | None
    ) -> tuple[Request, Request, Request]:
        """Return an edit of a comment, and a deletion and a restore of its task."""
        page = await service.comments.list(WORKSPACE, task.id, PageQuery(limit=1))
        comment, new = page.items[0], CommentBody(text="New")
        return (
            lambda: service.comments.change(ANONYMOUS, task.id, comment.id, ANY, new, key),
            lambda: service.tasks.delete(WORKSPACE, task.id, ANY),
            lambda: service.tasks.restore(WORKSPACE, task.id),
        )
