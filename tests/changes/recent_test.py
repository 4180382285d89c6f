"""Requests that wait get from memory what a read of the feed would have returned."""

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import patch

import pytest

from api.changes.feed import Page
from api.changes.models import Changes, ChangesQuery
from api.changes.recent import KEPT, Recent
from api.changes.tokens import HORIZON, Token
from api.changes.watch import Watched
from api.comments.models import CommentBody
from api.errors import StoreUnavailable
from api.principal import ANONYMOUS
from api.tasks.change_models import TaskChange
from api.tasks.models import NewTask, Priority, Status, Task
from api.tasks.pages import MAX_PAGE_BYTES
from tests.support.clock import Clock
from tests.support.service import ANY, WORKSPACE, Service

pytestmark = pytest.mark.anyio

FILTERS: list[dict[str, Any]] = [
    {},
    {"state": "closed"},
    {"status": ["in_progress", "done"]},
    {"project": "p", "assignee": "none"},
    {"assignee": "ada", "priority": "high"},
    {"label": ["a", "b"]},
    {"q": "PACK boxes"},
    {"due_from": "2027-02-01T00:00:00Z", "due_before": "2027-03-01T00:00:00Z"},
]
VALUES: dict[str, list[Any]] = {
    "title": ["Pack the boxes", "Repack", "Other"],
    "status": list(Status),
    "priority": list(Priority),
    "labels": [["a"], ["b", "c", "a"], []],
    "project": ["p", None],
    "assignee": ["ada", "bob", None],
    "due_at": ["2027-02-01T00:00:00.000Z", "2027-03-01T00:00:00.000Z", None],
}
STEPS = 20
PATIENCE_SECONDS = 5
LARGE = "\N{EURO SIGN}" * 8_000


class WatchedService(Service):
    """A service whose clock and looks at the feed are the test's."""

    clock: Clock
    watched: Watched

    async def look(self) -> None:
        await self.feed.watch._look(WORKSPACE, self.watched)

    async def token(self, **query: Any) -> str:
        return (await self.feed.read(WORKSPACE, ChangesQuery(**query))).token

    async def latest(self, token: str, **query: Any) -> Changes:
        return await self.feed._latest(WORKSPACE, ChangesQuery(token=token, **query), self.watched)


@pytest.fixture
async def service(store: str) -> AsyncIterator[WatchedService]:
    clock = Clock()
    async with WatchedService.at(store, clock=clock) as service:
        service.clock, service.watched = clock, Watched()
        yield service


async def _write(service: WatchedService, chance: random.Random, tasks: list[Task]) -> None:
    fields = {name: chance.choice(values) for name, values in VALUES.items()}
    if len(tasks) < 8:
        tasks.append(await service.tasks.create(WORKSPACE, NewTask(**fields)))
        return
    place = chance.randrange(len(tasks))
    if chance.random() < 0.2:
        await service.tasks.delete(WORKSPACE, tasks.pop(place).id, ANY)
    elif chance.random() < 0.3:
        await service.comments.create(ANONYMOUS, tasks[place].id, CommentBody(text="x"), None)
    else:
        change = TaskChange(title=fields["title"], labels=fields["labels"])
        tasks[place] = await service.tasks.change(WORKSPACE, tasks[place].id, ANY, change)


async def test_a_response_from_memory_is_that_of_a_read(service: WatchedService) -> None:
    """For all filters, page sizes, and tokens of different ages."""
    chance = random.Random(0)  # noqa: S311 - must be repeatable
    tasks: list[Task] = []
    tokens = [[await service.token(**query)] for query in FILTERS]
    from_memory = 0
    for _ in range(STEPS):
        await _write(service, chance, tasks)
        service.clock.advance(seconds=chance.choice([0, 1, 5, 20]))
        await service.look()
        for number, query in enumerate(FILTERS):
            wanted = ChangesQuery(
                token=chance.choice(tokens[number][-4:]), limit=chance.choice([1, 3, 100]), **query
            )
            expected = await service.feed.read(WORKSPACE, wanted)
            queries = _queries(service)
            assert await service.feed._latest(WORKSPACE, wanted, service.watched) == expected
            from_memory += _queries(service) == queries
            tokens[number].append(expected.token)
    assert from_memory > STEPS * len(FILTERS) / 2


async def test_a_change_is_delivered_from_memory_once_also_when_it_was_stored_late(
    service: WatchedService,
) -> None:
    """It was stamped before changes that were delivered."""
    token = await service.token()
    service.clock.advance(seconds=2)
    later = await service.tasks.create(WORKSPACE, NewTask(title="Later"))
    await service.look()
    changes = await service.latest(token)
    assert changes.tasks == [later]
    service.clock.advance(seconds=-1)
    earlier = await service.tasks.create(WORKSPACE, NewTask(title="Earlier"))
    service.clock.advance(seconds=1)
    await service.look()
    changes = await service.latest(changes.token)
    assert changes.tasks == [earlier]
    service.clock.advance(seconds=HORIZON.total_seconds() + 1)
    await service.look()
    assert (await service.latest(changes.token)).tasks == []


@pytest.mark.parametrize("seconds", [1, 15])
async def test_what_is_old_or_too_much_for_memory_is_read(
    service: WatchedService, seconds: int
) -> None:
    """Memory holds a minute and one page of changes; what is before them is in the store."""
    token, expected = await service.token(), []
    for _ in range(15):
        service.clock.advance(seconds=seconds)
        new = NewTask(title="Large", description=LARGE)
        expected.append((await service.tasks.create(WORKSPACE, new)).id)
        await service.look()
        recent = service.watched.recent
        assert recent is not None
        assert recent._bytes <= MAX_PAGE_BYTES
        assert len(recent._items) <= (KEPT + HORIZON).total_seconds() / seconds + 1
    delivered, has_more = [], True
    while has_more:
        changes = await service.latest(token)
        delivered += [task.id for task in changes.tasks]
        token, has_more = changes.token, changes.has_more
    assert delivered == expected


async def test_requests_that_ask_the_same_share_one_read(service: WatchedService) -> None:
    """Of what is too much for memory; also those whose first tokens were of different times."""
    tokens = []
    for _ in range(4):
        tokens.append(await service.token())
        service.clock.advance(milliseconds=1)
    for _ in range(2):
        for _ in range(15):
            await service.tasks.create(WORKSPACE, NewTask(title="Large", description=LARGE))
        service.clock.advance(seconds=1)
        await service.look()
        before = _queries(service)
        await service.feed.read(WORKSPACE, ChangesQuery(token=tokens[0]))
        alone = _queries(service) - before
        first = await asyncio.gather(*(service.latest(token) for token in tokens))
        together = _queries(service) - before - alone
        tokens = [await _last_token(service, changes) for changes in first]
    assert len(set(tokens)) == 1
    assert together == alone > 0
    assert service.watched.pending == {}


async def test_a_failed_read_whose_client_has_left_is_not_logged(
    service: WatchedService, caplog: pytest.LogCaptureFixture
) -> None:
    """It would be logged as an exception that was never retrieved."""
    began, left = asyncio.Event(), asyncio.Event()

    async def fail(*_: object) -> None:
        began.set()
        await left.wait()
        raise StoreUnavailable("lost by the test")

    token = await service.token()
    with patch.object(service.feed, "_page", fail):
        waiting = asyncio.create_task(service.latest(token))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await began.wait()
            waiting.cancel()
            await asyncio.wait([waiting])
            left.set()
            await asyncio.wait(service.watched.pending.values())
    gc.collect()
    assert caplog.records == []


async def _last_token(service: WatchedService, changes: Changes) -> str:
    while changes.has_more:
        service.clock.advance(milliseconds=1)
        changes = await service.latest(changes.token)
    return changes.token


async def test_an_index_that_shows_an_older_state_last_changes_nothing(
    service: WatchedService,
) -> None:
    task = await service.tasks.create(WORKSPACE, NewTask(title="Old"))
    items, _ = await _read(service)
    service.clock.advance(seconds=1)
    await service.tasks.change(WORKSPACE, task.id, ANY, TaskChange(title="New"))
    newer, _ = await _read(service)
    now = service.clock()
    recent, token = Recent(now), Token.at_horizon(now)
    for found in (newer, items):
        recent.add(Page(found, token), now)
    page = recent.page(WORKSPACE, ChangesQuery(), token)
    assert [item["title"]["S"] for item in page.items] == ["New"]


async def _read(service: WatchedService) -> tuple[list[dict[str, Any]], Token]:
    page = await service.feed._read_all(WORKSPACE, Token.at_horizon(service.clock()))
    return page.items, page.token


def _queries(service: WatchedService) -> float:
    samples = service.metrics.registry.get_sample_value
    return samples("dynamodb_calls_total", {"operation": "Query", "outcome": "ok"}) or 0
