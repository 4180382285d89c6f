"""The feed of changes delivers every change at least once, and tells who has missed something."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest

from api.changes.models import Changes, ChangesQuery
from api.changes.tokens import HORIZON, MAX_SEEN
from api.comments.models import Comment, CommentBody
from api.main import create_app
from api.principal import ANONYMOUS
from api.tasks.bulk_models import BulkRequest
from api.tasks.bulk_records import BulkRecord
from api.tasks.change_models import TaskChange
from api.tasks.idempotency import claim
from api.tasks.models import NewTask, Status
from tests.support.builders import Client, settings
from tests.support.clock import Clock
from tests.support.mirror import Mirror, begin, catch_up
from tests.support.secured_app import TASKS, serve
from tests.support.server import serving
from tests.support.service import ANY, WORKSPACE, Service, is_write

pytestmark = pytest.mark.anyio

NEW = NewTask(title="New")
FEED = "/v1/changes"


class FeedService(Service):
    """A service with a feed, whose clock the test advances."""

    clock: Clock

    async def token(self, **query: Any) -> str:
        return (await self.feed.read(WORKSPACE, ChangesQuery(**query))).token

    async def read(self, token: str, **query: Any) -> Changes:
        return await self.feed.read(WORKSPACE, ChangesQuery(token=token, **query))


@pytest.fixture
async def service(store: str) -> AsyncIterator[FeedService]:
    clock = Clock()
    async with FeedService.at(store, clock=clock) as service:
        service.clock = clock
        yield service


def _titles(changes: Changes) -> list[str]:
    return [task.title for task in changes.tasks]


async def test_each_change_is_delivered_once_also_within_the_horizon(service: FeedService) -> None:
    """Creates, changes, moves, deletions and restores; the token names what was delivered."""
    changes = await service.read(await service.token())
    assert (changes.tasks, changes.deletions, changes.has_more) == ([], [], False)
    task = await service.tasks.create(WORKSPACE, NEW)
    changes = await service.read(changes.token)
    assert changes.tasks == [task]
    for change in (TaskChange(title="x"), TaskChange(status=Status.DONE)):
        task = await service.tasks.change(WORKSPACE, task.id, ANY, change)
        changes = await service.read(changes.token)
        assert changes.tasks == [task]
    await service.tasks.delete(WORKSPACE, task.id, ANY)
    changes = await service.read(changes.token)
    assert changes.tasks == []
    assert [(each.id, each.version) for each in changes.deletions] == [(task.id, 4)]
    restored = await service.tasks.restore(WORKSPACE, task.id)
    for expected in ([restored], [], []):
        changes = await service.read(changes.token)
        assert (changes.tasks, changes.deletions) == (expected, [])
        service.clock.advance(seconds=HORIZON.total_seconds())


async def test_a_write_that_is_stored_after_later_ones_is_delivered(service: FeedService) -> None:
    """It was stamped first, and its call took as long as a request may."""
    original, arrived, released = service.http.send, asyncio.Event(), asyncio.Event()

    async def send(request: bytes, seconds: float) -> Any:
        if is_write(request) and b"Slow" in request:
            arrived.set()
            await released.wait()
        return await original(request, seconds)

    token = await service.token()
    with patch.object(service.http, "send", send):
        slow = asyncio.create_task(service.tasks.create(WORKSPACE, NewTask(title="Slow")))
        await arrived.wait()
        for title in ("Fast", "Faster"):
            service.clock.advance(seconds=4)
            await service.tasks.create(WORKSPACE, NewTask(title=title))
            changes = await service.read(token)
            assert _titles(changes) == [title]
            token = changes.token
        released.set()
        await slow
    service.clock.advance(seconds=1)
    assert _titles(await service.read(token)) == ["Slow"]


async def test_a_task_that_is_stamped_a_day_ahead_is_delivered_once(service: FeedService) -> None:
    """And holds nothing up: a clock of another process was wrong."""
    token = await service.token()
    service.clock.advance(days=1)
    ahead = await service.tasks.create(WORKSPACE, NEW)
    service.clock.advance(days=-1)
    changes = await service.read(token)
    assert changes.tasks == [ahead]
    for title in ("a", "b"):
        service.clock.advance(minutes=1)
        await service.tasks.create(WORKSPACE, NewTask(title=title))
        changes = await service.read(changes.token)
        assert _titles(changes) == [title]


async def test_many_changes_within_the_horizon_are_delivered_later_and_once(
    service: FeedService,
) -> None:
    """A token names a limited number; the others wait until they are below the horizon."""
    token, number = await service.token(), MAX_SEEN + 30
    for _ in range(0, number, 10):
        await asyncio.gather(*(service.tasks.create(WORKSPACE, NEW) for _ in range(10)))
    mirror = Mirror()
    mirror.token = token
    read = partial(service.feed.read, WORKSPACE)
    await catch_up(mirror, read, limit=70)
    assert len(mirror.tasks) == MAX_SEEN
    assert len(mirror.token) < 4096
    service.clock.advance(seconds=HORIZON.total_seconds() + 1)
    await catch_up(mirror, read, limit=70)
    assert (len(mirror.tasks), mirror.repeats) == (number, 0)


async def test_pages_deliver_each_change_once(service: FeedService) -> None:
    """Of open, closed and deleted tasks, in the order of the changes."""
    token = await service.token()
    tasks = []
    for number in range(12):
        service.clock.advance(seconds=1)
        new = NewTask(title=str(number), status=Status.DONE if number % 3 == 1 else Status.TODO)
        tasks.append(await service.tasks.create(WORKSPACE, new))
    for task in tasks[::3]:
        await service.tasks.delete(WORKSPACE, task.id, ANY)
    for seconds in (0, HORIZON.total_seconds() + 1):
        service.clock.advance(seconds=seconds)
        changes = await service.read(token, limit=5)
        titles, deleted = _titles(changes), [each.id for each in changes.deletions]
        while changes.has_more:
            changes = await service.read(changes.token, limit=5)
            assert len(changes.tasks) + len(changes.deletions) <= 5
            titles += _titles(changes)
            deleted += [each.id for each in changes.deletions]
        assert titles == [str(number) for number in range(12) if number % 3]
        assert sorted(deleted) == [task.id for task in tasks[::3]]


async def test_filters_are_those_of_lists_and_deletions_pass_them_all(service: FeedService) -> None:
    filters: list[dict[str, Any]] = [
        {"project": "p"},
        {"state": "closed"},
        {"status": ["in_progress"]},
        {"label": ["a", "b"]},
        {"assignee": "none", "q": "PACK"},
    ]
    tokens = [await service.token(**query) for query in filters]
    fields: list[dict[str, Any]] = [
        {"project": "p", "assignee": "ada"},
        {"status": "done", "assignee": "ada"},
        {"status": "in_progress", "assignee": "ada"},
        {"labels": ["b", "c", "a"], "assignee": "ada"},
        {},
    ]
    for number, each in enumerate(fields):
        await service.tasks.create(WORKSPACE, NewTask(title=f"pack {number}", **each))
    gone = await service.tasks.create(WORKSPACE, NEW)
    await service.tasks.delete(WORKSPACE, gone.id, ANY)
    for number, (token, query) in enumerate(zip(tokens, filters, strict=True)):
        changes = await service.read(token, **query)
        assert _titles(changes) == [f"pack {number}"], query
        assert [each.id for each in changes.deletions] == [gone.id]


async def test_a_list_after_the_token_and_the_feed_from_it_have_no_gap(
    service: FeedService,
) -> None:
    old = await service.tasks.create(WORKSPACE, NEW)
    service.clock.advance(days=40)
    mirror = Mirror()
    await begin(mirror, service.feed, service.tasks, WORKSPACE)
    assert mirror.tasks == {old.id: old}
    changed = await service.tasks.change(WORKSPACE, old.id, ANY, TaskChange(title="x"))
    await catch_up(mirror, partial(service.feed.read, WORKSPACE))
    assert mirror.tasks == {old.id: changed}


async def test_a_repeated_bulk_stamps_its_writes_with_the_time_of_the_repetition(
    service: FeedService,
) -> None:
    """Its first run may be long ago, and clients have read on since."""
    bulk = BulkRequest.model_validate({"items": [{"create": {"title": "Late"}}]})
    claimed = claim(WORKSPACE, "k", "POST tasks/bulk", bulk.content(), service.clock())
    await service.bulks._repository.begin(BulkRecord.new(claimed))
    service.clock.advance(hours=1)
    token = await service.token()
    service.clock.advance(minutes=1)
    await service.bulks.run_once(WORKSPACE, bulk, "k")
    assert _titles(await service.read(token)) == ["Late"]


async def test_comments_are_delivered_beside_their_tasks(service: FeedService) -> None:
    """Written, changed and deleted ones, each once and whatever the filters."""
    task = await service.tasks.create(WORKSPACE, NEW)
    token, filtered = await service.token(), await service.token(project="p")
    service.clock.advance(seconds=HORIZON.total_seconds() + 1)
    written = await service.comments.create(ANONYMOUS, task.id, CommentBody(text="a"), None)
    assert isinstance(written, Comment)
    changes = await service.read(token)
    assert changes.comments == [written]
    assert [(each.id, each.comment_count) for each in changes.tasks] == [(task.id, 1)]
    in_filtered = await service.read(filtered, project="p")
    assert (in_filtered.tasks, in_filtered.comments) == ([], [written])
    body = CommentBody(text="b")
    changed = await service.comments.change(ANONYMOUS, task.id, written.id, ANY, body, None)
    changes = await service.read(changes.token)
    assert (changes.tasks, changes.comments) == ([], [changed])
    await service.comments.delete(ANONYMOUS, task.id, written.id, ANY)
    changes = await service.read(changes.token)
    assert [each.comment_count for each in changes.tasks] == [0]
    deletions = [(each.id, each.task_id, each.version) for each in changes.comment_deletions]
    assert (changes.comments, deletions) == ([], [(written.id, task.id, 3)])
    assert not (await service.read(changes.token)).is_news


async def test_a_deleted_comment_and_its_task_are_delivered_on_separate_pages(
    service: FeedService,
) -> None:
    """The token names the one, which is not taken for the other."""
    task = await service.tasks.create(WORKSPACE, NEW)
    comment = await service.comments.create(ANONYMOUS, task.id, CommentBody(text="a"), None)
    token = (await service.read(await service.token())).token
    await service.comments.delete(ANONYMOUS, task.id, comment.id, ANY)
    first = await service.read(token, limit=1)
    second = await service.read(first.token, limit=1)
    delivered = [*first.tasks, *second.tasks], [*first.comment_deletions, *second.comment_deletions]
    assert [[each.id for each in kind] for kind in delivered] == [[task.id], [comment.id]]


async def test_pages_of_comments_deliver_each_once(service: FeedService) -> None:
    """Also where a page begins with a comment."""
    token, task = await service.token(), await service.tasks.create(WORKSPACE, NEW)
    expected = []
    for number in range(7):
        service.clock.advance(seconds=10)
        body = CommentBody(text=str(number))
        await service.comments.create(ANONYMOUS, task.id, body, None)
        expected.append(str(number))
    found, has_more = [], True
    while has_more:
        changes = await service.read(token, limit=2)
        found += [comment.text for comment in changes.comments]
        token, has_more = changes.token, changes.has_more
    assert found == expected


# Over HTTP


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clocked(moto: str, clock: Clock) -> Iterator[Client]:
    app = create_app(settings(moto), clock=clock)
    with serving(app) as url, Client(base_url=url) as client:
        yield client


def _token(client: Client, **query: str) -> str:
    response = client.get(FEED, params=query)
    assert response.status_code == 200
    token: str = response.json()["token"]
    return token


def test_a_token_is_valid_for_30_days_but_for_seconds(clocked: Client, clock: Clock) -> None:
    """Then the client is told that it may have missed deletions, and where to go on."""
    token = _token(clocked)
    clock.advance(days=29, hours=23)
    assert clocked.get(FEED, params={"token": token}).status_code == 200
    clock.advance(hours=1)
    response = clocked.get(FEED, params={"token": token})
    assert (response.status_code, response.json()["type"]) == (410, "/problems/feed-expired")
    assert response.json()["detail"].startswith("Read all lists again")
    clocked.create("Later")
    fresh = clocked.get(FEED, params={"token": response.json()["token"]}).json()
    assert [task["title"] for task in fresh["tasks"]] == ["Later"]


def test_a_token_of_the_future_or_of_another_feed_is_as_an_expired_one(
    clocked: Client, clock: Clock
) -> None:
    """Also a forged one, and the cursor of a list: all get the same text, and a fresh token."""
    clocked.create()
    clocked.create()
    filtered, cursor = _token(clocked, project="p"), clocked.page(limit=1)["next_cursor"]
    clock.advance(minutes=1)
    future = _token(clocked)
    clock.advance(minutes=-1)
    for token in (filtered, cursor, future, "forged", future[:-1] + "AB"):
        response = clocked.get(FEED, params={"token": token})
        assert response.status_code == 410, response.text
        assert clocked.get(FEED, params={"token": response.json()["token"]}).status_code == 200


def test_a_token_of_another_workspace_is_as_a_forged_one(moto: str) -> None:
    with serve(moto) as app:
        one, two = app.tenant("one"), app.tenant("two")
        one.create()
        same = {"X-Request-Id": "same"}
        responses = [
            two.get(FEED, params={"token": token}, headers=same)
            for token in (_token(one), "forged")
        ]
        # The fresh tokens are of the same time, because the clock stands still.
        assert [response.status_code for response in responses] == [410, 410]
        assert responses[0].content == responses[1].content
        assert two.get(FEED, params={"token": _token(two)}).json()["tasks"] == []


def test_the_feed_says_who_deleted_a_task(moto: str) -> None:
    with serve(moto) as app:
        client = app.tenant("one", *TASKS)
        token, task = _token(client), client.create()
        client.delete(f"/v1/tasks/{task['id']}", headers={"If-Match": "*"})
        (deletion,) = client.get(FEED, params={"token": token}).json()["deletions"]
        assert deletion["deleted_by"]["label"] == "test"


def test_the_horizon_covers_what_delays_a_write() -> None:
    """The deadline of a request, the index's lag, and the skew of two clocks."""
    assert timedelta(seconds=15) == HORIZON
