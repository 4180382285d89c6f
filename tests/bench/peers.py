"""The same four operations on the same models, as other libraries do them.

Every peer serialises its responses as this project does, which is faster than FastAPI's default,
and has nothing around it: no middleware, metrics, log, ETags or API keys. Each is set up for speed
as its documentation says. A peer's POST and PATCH are one unconditional write.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Protocol

from fastapi import Body, FastAPI
from starlette.responses import Response

from api.clock import system_clock
from api.http import problem_handlers
from api.http.context import RequestContext
from api.http.dependencies import JSON, MERGE_PATCH
from api.principal import ANONYMOUS, NO_KEY, Scope
from api.tasks import routes as own_routes
from api.tasks.change_models import TaskChange
from api.tasks.list_models import TaskPage, page_json
from api.tasks.models import NewTask, Task, task_json
from api.tasks.table import (
    NO_REVISION,
    PRIORITIES,
    REVISION_HISTORY,
    STATUSES,
    TASK_PREFIX,
    TaskItem,
    TaskKey,
    attributes_of,
    item_of,
    partition,
    task_of,
)
from api.tasks.writes import Stamp, new_task
from tests.bench import stub

TABLE, REGION = "tasks", "us-east-1"
WORKSPACE = "default"
CONNECTIONS = 64

Change = Annotated[TaskChange, Body(media_type=MERGE_PATCH)]


def task_response(task: Task, status: int = 200) -> Response:
    return Response(task_json(task), status, media_type=JSON)


def page_response(tasks: list[Task]) -> Response:
    return Response(page_json(TaskPage(tasks, None)), media_type=JSON)


def bare(_endpoint: str) -> FastAPI:
    """Serve this project's own routes, models and responses from a dictionary."""

    class Dictionary:
        def __init__(self) -> None:
            self._tasks = {stub.ID: task_of(stub.ITEM)}
            self._page = TaskPage([task_of(stub.ITEM)] * stub.PAGE, None)

        async def create(self, _workspace: str, new: NewTask) -> Task:
            return new_task(new, Stamp.new(system_clock()))

        async def get(self, _workspace: str, task_id: str) -> Task:
            return self._tasks[task_id]

        async def list(self, *_: Any) -> TaskPage:
            return self._page

        async def change(self, _workspace: str, task_id: str, _match: Any, change: Any) -> Task:
            task = self._tasks[task_id]
            for name, value in change.values().items():
                setattr(task, name, value)
            return task

    class NoAuthorizer:
        async def authorize(self, scope: Any, _required: Scope) -> None:
            RequestContext.attach(scope, trusted_hops=0).principal = ANONYMOUS

    class NoLimit:
        def enter(self, _holders: tuple[str, ...]) -> None: ...

    app = FastAPI()
    app.include_router(own_routes.router)
    app.state.tasks = Dictionary()
    app.state.authorizer = NoAuthorizer()
    app.state.in_flight = NoLimit()
    problem_handlers.install(app)
    return app


def pynamodb_threads(endpoint: str) -> FastAPI:
    """PynamoDB's models in `def` routes, which FastAPI runs in threads."""
    app = FastAPI()

    class Item(TaskItem):
        class Meta:
            table_name = TABLE
            region = REGION
            host = endpoint
            max_pool_connections = CONNECTIONS
            aws_access_key_id = aws_secret_access_key = "local"

    @app.get("/v1/tasks/{task_id}")
    def get_one(task_id: str) -> Response:
        item: Any = Item.get(*_key(task_id).primary_key, consistent_read=True)
        return task_response(task_of(item.serialize()))

    @app.get("/v1/tasks")
    def list_25(limit: int = 25) -> Response:
        items: Any = Item.query(partition(WORKSPACE), Item.sk.startswith(TASK_PREFIX), limit=limit)
        return page_response([task_of(item.serialize()) for item in items])

    @app.post("/v1/tasks")
    def post(new: NewTask) -> Response:
        task = new_task(new, Stamp.new(system_clock()))
        Item(*_key(task.id).primary_key, **_attributes(task)).save()
        return task_response(task, 201)

    @app.patch("/v1/tasks/{task_id}")
    def patch(task_id: str, change: Change) -> Response:
        item: Any = Item(*_key(task_id).primary_key)
        values = attributes_of(_key(task_id), change.values())
        item.update([getattr(Item, name).set(value) for name, value in values.items()])
        return task_response(task_of(item.serialize()))

    return app


class Client(Protocol):
    """What an asynchronous library does with DynamoDB."""

    async def get(self, task_id: str) -> Task: ...
    async def page(self, limit: int) -> list[Task]: ...
    async def add(self, task: Task) -> None: ...
    async def change(self, task_id: str, values: dict[str, Any]) -> Task: ...


class AsyncPeer(FastAPI):
    """Routes to a client that lives as long as the app."""

    client: Client

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

        @self.get("/v1/tasks/{task_id}")
        async def get_one(task_id: str) -> Response:
            return task_response(await self.client.get(task_id))

        @self.get("/v1/tasks")
        async def list_25(limit: int = 25) -> Response:
            return page_response(await self.client.page(limit))

        @self.post("/v1/tasks")
        async def post(new: NewTask) -> Response:
            task = new_task(new, Stamp.new(system_clock()))
            await self.client.add(task)
            return task_response(task, 201)

        @self.patch("/v1/tasks/{task_id}")
        async def patch(task_id: str, change: Change) -> Response:
            values = attributes_of(_key(task_id), change.values())
            return task_response(await self.client.change(task_id, values))


class Aiobotocore:
    """Calls of an aiobotocore client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def get(self, task_id: str) -> Task:
        response = await self._client.get_item(
            TableName=TABLE, Key=_primary_key(task_id), ConsistentRead=True
        )
        return task_of(response["Item"])

    async def page(self, limit: int) -> list[Task]:
        response = await self._client.query(
            TableName=TABLE,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={
                ":pk": {"S": partition(WORKSPACE)},
                ":sk": {"S": TASK_PREFIX},
            },
            Limit=limit,
        )
        return [task_of(item) for item in response["Items"]]

    async def add(self, task: Task) -> None:
        await self._client.put_item(TableName=TABLE, Item=item_of(_key(task.id), task))

    async def change(self, task_id: str, values: dict[str, Any]) -> Task:
        response = await self._client.update_item(
            TableName=TABLE,
            Key=_primary_key(task_id),
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
            ExpressionAttributeNames={f"#{name}": name for name in values},
            ExpressionAttributeValues={f":{name}": {"S": value} for name, value in values.items()},
            ReturnValues="ALL_NEW",
        )
        return task_of(response["Attributes"])


def aiobotocore(endpoint: str) -> FastAPI:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    @asynccontextmanager
    async def lifespan(app: AsyncPeer) -> AsyncIterator[None]:
        async with get_session().create_client(
            "dynamodb",
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=AioConfig(max_pool_connections=CONNECTIONS, parameter_validation=False),
        ) as client:
            app.client = Aiobotocore(client)
            yield

    return AsyncPeer(lifespan=lifespan)


class Aiodynamo:
    """Calls of an aiodynamo table."""

    def __init__(self, table: Any) -> None:
        self._table = table

    async def get(self, task_id: str) -> Task:
        return _plain_task(await self._table.get_item(_plain_key(task_id), consistent_read=True))

    async def page(self, limit: int) -> list[Task]:
        from aiodynamo.expressions import HashKey, RangeKey

        condition = HashKey("pk", partition(WORKSPACE)) & RangeKey("sk").begins_with(TASK_PREFIX)
        page = await self._table.query_single_page(condition, limit=limit)
        return [_plain_task(item) for item in page.items]

    async def add(self, task: Task) -> None:
        present = {name: value for name, value in _attributes(task).items() if value is not None}
        await self._table.put_item(_plain_key(task.id) | present)

    async def change(self, task_id: str, values: dict[str, Any]) -> Task:
        from aiodynamo.expressions import F, UpdateExpression
        from aiodynamo.models import ReturnValues

        expression = UpdateExpression()
        for name, value in values.items():
            expression &= F(name).set(value)
        return _plain_task(
            await self._table.update_item(
                _plain_key(task_id), expression, return_values=ReturnValues.all_new
            )
        )


def aiodynamo(endpoint: str) -> FastAPI:
    import aiohttp
    from aiodynamo.client import Client as AiodynamoClient
    from aiodynamo.credentials import Key, StaticCredentials
    from aiodynamo.http.aiohttp import AIOHTTP
    from yarl import URL

    @asynccontextmanager
    async def lifespan(app: AsyncPeer) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:
            credentials = StaticCredentials(Key("local", "local"))
            client = AiodynamoClient(AIOHTTP(session), credentials, REGION, URL(endpoint))
            app.client = Aiodynamo(client.table(TABLE))
            yield

    return AsyncPeer(lifespan=lifespan)


def _key(task_id: str) -> TaskKey:
    return TaskKey(WORKSPACE, task_id)


def _plain_key(task_id: str) -> dict[str, str]:
    return dict(zip(("pk", "sk"), _key(task_id).primary_key, strict=True))


def _primary_key(task_id: str) -> dict[str, Any]:
    return {name: {"S": value} for name, value in _plain_key(task_id).items()}


def _attributes(task: Task) -> dict[str, Any]:
    """Return a task's attributes in Python's types."""
    fields = {name: getattr(task, name) for name in Task.__slots__ if name not in ("id", "etag")}
    history = dict.fromkeys(REVISION_HISTORY, NO_REVISION) | {"revision": task.etag.strip('"')}
    return attributes_of(_key(task.id), fields) | history


def _plain_task(item: dict[str, Any]) -> Task:
    """Convert an item in Python's types to a task."""
    return Task(
        id=item["sk"][len(TASK_PREFIX) :],
        title=item["title"],
        description=item.get("description", ""),
        status=STATUSES[item["status"]],
        priority=PRIORITIES[item["priority"]],
        labels=item.get("labels", []),
        project=item.get("project"),
        assignee=item.get("assignee"),
        due_at=item.get("due_at"),
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        completed_at=item.get("completed_at"),
        created_by=NO_KEY,
        updated_by=NO_KEY,
        comment_count=int(item.get("comment_count", 0)),
        version=int(item["version"]),
        etag=f'"{item["revision"]}"',
    )


PEERS = {
    "bare": bare,
    "pynamodb-threads": pynamodb_threads,
    "aiobotocore": aiobotocore,
    "aiodynamo": aiodynamo,
}


def create() -> FastAPI:
    """Create the peer that the environment names, as uvicorn's factory."""
    return PEERS[os.environ["PEER"]](os.environ["DYNAMODB_ENDPOINT"])
