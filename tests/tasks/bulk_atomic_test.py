"""Atomic bulk requests: all items are done, or none is."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from unittest.mock import patch

import pytest

from api.dynamodb.http_client import BrokenError
from api.errors import OutcomeUnknown, RequestInProgress
from api.tasks import bulk_transactions
from api.tasks.bulk_models import BulkRequest
from api.tasks.bulk_transactions import MAX_WRITES
from api.tasks.change_models import TaskChange
from api.tasks.errors import StaleEtag
from api.tasks.items import MAX_REREADS
from api.tasks.list_models import TaskQuery
from api.tasks.models import NewTask, Status, Task
from tests.support.builders import Client
from tests.support.bulk_items import Item, change, create, delete, results, send
from tests.support.service import ANY, WORKSPACE, Service

UNKNOWN_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
STALE = '"0000000000000000"'
# Of DynamoDB Local of 2020, in one transaction; DynamoDB allows MAX_WRITES.
LOCAL_MAX_WRITES = 10

Meanwhile = Callable[[], Awaitable[object]]


def test_all_items_are_done_with_the_results_of_single_requests(any_client: Client) -> None:
    done, gone = any_client.create("Done", status="done"), any_client.create("Gone")
    any_client.changed(done, status="todo")
    items = [create(labels=["é"]), change(done, "*", status="cancelled", project="p"), delete(gone)]
    created, changed, deleted = results(send(any_client, *items, atomic=True))
    assert [each["status"] for each in (created, changed, deleted)] == [201, 200, 204]
    for result, version in ((created, 1), (changed, 3)):
        response = any_client.get(f"/v1/tasks/{result['id']}")
        assert response.json()["version"] == version
        assert response.headers["ETag"] == result["etag"]
    assert any_client.titles(project="p", status="cancelled") == ["Done"]
    assert sorted(any_client.titles(state="all")) == ["Done", "New"]
    # A tombstone: the same state can be deleted again, alone and in another bulk.
    path, headers = f"/v1/tasks/{gone['id']}", {"If-Match": gone["etag"]}
    assert any_client.delete(path, headers=headers).status_code == 204
    assert results(send(any_client, delete(gone), atomic=True))[0]["status"] == 204


REFUSED: dict[str, Callable[[dict[str, Any], dict[str, Any]], Item]] = {
    "404 unknown": lambda _task, _done: change({"id": UNKNOWN_ID}, "*"),
    "404 no id": lambda _task, _done: change({"id": "no id"}, "*"),
    "404 deletion": lambda _task, _done: delete({"id": UNKNOWN_ID}, "*"),
    "409 move": lambda _task, done: change(done, status="cancelled"),
    "412 change": lambda task, _done: change(task, STALE, title="New"),
    "412 deletion": lambda task, _done: delete(task, STALE),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("key", [None, "k"])
def test_an_item_that_is_refused_refuses_all(
    any_client: Client, kind: str, key: str | None
) -> None:
    """With the problem of a single request, and the item's place; nothing is done or stored."""
    other = any_client.create("Other")
    task, done = any_client.create("Old"), any_client.create("Done", status="done")
    items = [create(), change(other, title="Changed"), REFUSED[kind](task, done), delete(done)]
    if "done" in str(items[2]) or kind == "409 move":
        items.pop()
    response = send(any_client, *items, atomic=True, key=key)
    assert response.status_code == int(kind.split(maxsplit=1)[0])
    assert response.json()["item"] == 2
    assert sorted(any_client.titles(state="all")) == ["Done", "Old", "Other"]
    assert send(any_client, create(), atomic=True, key=key).status_code == 200


def test_a_bulk_of_the_largest_size_is_one_transaction(client: Client) -> None:
    """DynamoDB's limit; moto checks none."""
    tasks = [client.create() for _ in range(MAX_WRITES // 2)]
    items = [*(change(task, title="x") for task in tasks), *[create()] * (MAX_WRITES // 2)]
    assert len(results(send(client, *items, atomic=True))) == MAX_WRITES
    metrics = client.get("/metrics").text
    assert 'dynamodb_calls_total{operation="TransactWriteItems",outcome="ok"} 1.0' in metrics
    assert 'bulk_items_total{status="201"} 50.0' in metrics


def test_the_record_of_an_idempotency_key_takes_one_place(client: Client) -> None:
    response = send(client, *[create()] * MAX_WRITES, atomic=True, key="k")
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "items"
    assert client.titles(state="all") == []
    response = send(client, *[create()] * (MAX_WRITES - 1), atomic=True, key="k")
    assert len(results(response)) == MAX_WRITES - 1


def test_an_atomic_bulk_under_an_idempotency_key_is_done_once(any_client: Client) -> None:
    """It is replayed byte for byte, although its ETags are stale now."""
    tasks = [any_client.create() for _ in range(4)]
    items = [*(change(task, status="done") for task in tasks), *[create()] * 5]
    assert len(items) + 1 == LOCAL_MAX_WRITES
    first, again = (send(any_client, *items, atomic=True, key="k") for _ in range(2))
    assert len(results(first)) == len(items)
    assert again.content == first.content
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(any_client.titles(state="all")) == 9
    metrics = any_client.get("/metrics").text
    assert 'tasks_moved_total{from_status="todo",to_status="done"} 4.0' in metrics
    assert 'tasks_created_total{status="todo"} 9.0' in metrics
    assert 'bulk_items_total{status="200"} 4.0' in metrics


@pytest.mark.parametrize("atomic", [True, False])
def test_an_idempotency_key_belongs_to_one_of_both_modes(client: Client, atomic: bool) -> None:
    assert send(client, create(), atomic=atomic, key="k").status_code == 200
    for items in ([create()], [create("Other")]):
        response = send(client, *items, atomic=not atomic, key="k")
        assert response.json()["type"] == "/problems/idempotency-key-reused"
    assert client.titles(state="all") == ["New"]


def test_of_concurrent_equal_bulks_one_is_executed(any_client: Client) -> None:
    task = any_client.create("Old")
    items = [create(), change(task, title="New")]
    with ThreadPoolExecutor(6) as pool:
        responses = list(
            pool.map(lambda _: send(any_client, *items, atomic=True, key="k"), range(6))
        )
    done = [response for response in responses if response.status_code == 200]
    assert {response.status_code for response in responses} <= {200, 409}
    assert len({response.content for response in done}) == 1
    assert any_client.titles(state="all") == ["New", "New"]


def test_tasks_too_large_for_one_transaction_are_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is sent."""
    monkeypatch.setattr(bulk_transactions, "MAX_BYTES", 20_000)
    large = client.create("Large", description="x" * 8000)
    items = [create(description="x" * 8000), change(large, title="x")]
    assert len(results(send(client, *items, atomic=True))) == 2
    large = client.get(f"/v1/tasks/{large['id']}").json()
    response = send(client, *items[:1] * 2, change(large, title="y"), atomic=True)
    assert (response.status_code, response.json()["type"]) == (
        413,
        "/problems/transaction-too-large",
    )
    metrics = client.get("/metrics").text
    assert 'dynamodb_calls_total{operation="TransactWriteItems",outcome="ok"} 1.0' in metrics
    assert sorted(client.titles(state="all")) == ["New", "x"]


class LossyService(Service):
    """A service that loses the responses to transactions, and other clients' writes meanwhile."""

    @contextmanager
    def interrupted(
        self, *meanwhile: Meanwhile, arrives: bool = True, loses: bool = True, then: str = "-"
    ) -> Iterator[None]:
        """Before the response to each transaction, let another client write; lose the first."""
        original, left, lost = self.http.send, list(meanwhile), False

        async def send(request: bytes, seconds: float) -> Any:
            nonlocal lost
            if lost and f".{then}".encode() in request:
                raise BrokenError("lost by the test")
            if b".TransactWriteItems" not in request:
                return await original(request, seconds)
            response = None
            if lost or (loses and arrives):
                response = await original(request, seconds)
            if left:
                with patch.object(self.http, "send", original):
                    await left.pop(0)()
            if not lost and loses:
                lost = True
                raise BrokenError("lost by the test")
            return response or await original(request, seconds)

        with patch.object(self.http, "send", send):
            yield

    async def bulk(self, *items: Item, key: str | None = None) -> list[dict[str, Any]]:
        request = BulkRequest.model_validate({"items": items})
        response = await self.bulks.run_atomic(WORKSPACE, request, key)
        assert not response.is_replay
        found: list[dict[str, Any]] = json.loads(response.body)["results"]
        return found

    async def create(self) -> Task:
        return await self.tasks.create(WORKSPACE, NewTask(title="Old"))

    def others_change(self, task: Task, times: int = 1) -> Meanwhile:
        async def change() -> None:
            for _ in range(times):
                await self.tasks.change(WORKSPACE, task.id, ANY, TaskChange(title="Theirs"))

        return change

    async def get(self, task: Task) -> Task:
        return await self.tasks.get(WORKSPACE, task.id)


@pytest.fixture
async def service(store: str) -> AsyncIterator[LossyService]:
    async with LossyService.at(store) as service:
        yield service


@pytest.mark.anyio
@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("arrives", [True, False])
async def test_a_lost_response_does_no_harm(
    service: LossyService, key: str | None, arrives: bool
) -> None:
    """The retried transaction is neither a conflict with itself nor made and counted twice."""
    task, gone = await service.create(), await service.create()
    items = [create(), change(asdict(task), status="done"), delete(asdict(gone))]
    with service.interrupted(arrives=arrives):
        found = await service.bulk(*items, key=key)
    assert [result["status"] for result in found] == [201, 200, 204]
    current = await service.get(task)
    assert (current.version, current.status, current.etag) == (2, Status.DONE, found[1]["etag"])
    assert service.metrics.tasks_moved.labels("todo", "done")._value.get() == 1
    page = await service.tasks.list(WORKSPACE, TaskQuery(state="all"))
    assert sorted(task.title for task in page.items) == ["New", "Old"]


@pytest.mark.anyio
@pytest.mark.parametrize("others", [1, 4])
async def test_a_transaction_is_found_behind_other_writes(
    service: LossyService, others: int
) -> None:
    """One item that shows it is enough."""
    task, last = await service.create(), await service.create()
    items = [change(asdict(task), title="Mine"), change(asdict(last), title="Mine")]
    with service.interrupted(service.others_change(task, others)):
        await service.bulk(*items)
    assert (await service.get(task)).version == 2 + others
    assert (await service.get(last)).version == 2


@pytest.mark.anyio
@pytest.mark.parametrize("created", [True, False])
async def test_an_outcome_is_unknown_only_if_no_item_shows_it(moto: str, created: bool) -> None:
    """DynamoDB Local recognises the transaction's token."""
    async with LossyService.at(moto) as service:
        task = await service.create()
        items = [change(asdict(task), title="Mine"), *([create()] if created else [])]
        with service.interrupted(service.others_change(task, 4)):
            if created:
                await service.bulk(*items)
            else:
                with pytest.raises(OutcomeUnknown):
                    await service.bulk(*items)
        assert (await service.get(task)).version == 6


@pytest.mark.anyio
async def test_an_outcome_stays_unknown_if_the_read_afterwards_fails(moto: str) -> None:
    async with LossyService.at(moto) as service:
        with service.interrupted(then="GetItem"), pytest.raises(OutcomeUnknown):
            await service.bulk(create())


@pytest.mark.anyio
async def test_a_transaction_that_was_not_made_gets_a_412_for_the_item_that_changed(
    service: LossyService,
) -> None:
    task = await service.create()
    items = [create(), change(asdict(task), title="Mine")]
    with (
        service.interrupted(service.others_change(task), arrives=False),
        pytest.raises(StaleEtag) as stale,
    ):
        await service.bulk(*items)
    assert stale.value.members["item"] == 1
    assert (await service.get(task)).title == "Theirs"


@pytest.mark.anyio
@pytest.mark.parametrize("times", [MAX_REREADS - 1, MAX_REREADS])
async def test_a_star_changes_the_newest_state(service: LossyService, times: int) -> None:
    """Other clients can overtake it only so often."""
    task = await service.create()
    items = [create(), change(asdict(task), "*", description="Mine")]
    meanwhile = [service.others_change(task)] * times
    with service.interrupted(*meanwhile, loses=False):
        if times < MAX_REREADS:
            await service.bulk(*items)
        else:
            with pytest.raises(RequestInProgress):
                await service.bulk(*items)
    current = await service.get(task)
    expected = ("Theirs", "Mine") if times < MAX_REREADS else ("Theirs", "")
    assert (current.title, current.description) == expected
