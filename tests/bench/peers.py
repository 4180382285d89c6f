"""The same four operations on the same models, as others do them.

Every peer gets this project's own serialisation of the answer, which is faster than FastAPI's
default, and has nothing around it: no middleware, no metrics, no log, no ETags, no access rules.
Each is set up as its own documentation says for speed. A peer's POST and PATCH are one plain write.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

from botocore.credentials import ReadOnlyCredentials
from fastapi import Body, FastAPI
from pydantic import HttpUrl, SecretStr
from starlette.responses import Response
from ulid import ULID

from api import problem_json
from api.access import ANYONE, Principal
from api.logs import RequestLog
from api.loop_wire import LoopWire
from api.metrics import Metrics
from api.middleware import Surroundings
from api.models import NewTask, Task, TaskChange, TaskPage, rfc3339, task_json
from api.routes import tasks as own_routes
from api.routes.checks import JSON, MERGE_PATCH
from api.routes.tasks import page_json
from api.service import system_clock
from api.settings import Settings
from api.signing import Signer
from api.table import (
    LINEAGE,
    NO_REVISION,
    PRIORITIES,
    STATUSES,
    TASK,
    Place,
    TaskItem,
    attributes,
    item_of,
    partition,
    task_of,
)
from tests.bench import stub

LAYERS = ("middleware", "http", "send", "bridge")
TABLE, REGION = "tasks", "us-east-1"
WORKSPACE = "default"
CONNECTIONS = 64

Change = Annotated[TaskChange, Body(media_type=MERGE_PATCH)]


def made(new: NewTask) -> Task:
    now = system_clock()
    moment = rfc3339(now)
    return Task(
        **dict(new),
        id=str(ULID.from_datetime(now)),
        created_at=moment,
        updated_at=moment,
        completed_at=None,
        version=1,
        etag='"20a3d7b635ec416a"',
    )


def stamps(task: Task) -> dict[str, Any]:
    """Tell what a task has beyond what its caller said."""
    return {
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "version": task.version,
        **dict.fromkeys(LINEAGE, NO_REVISION),
        "revision": task.etag.strip('"'),
    }


def answered(task: Task, status: int = 200) -> Response:
    return Response(task_json(task), status, media_type=JSON)


def listed(tasks: list[Task]) -> Response:
    return Response(page_json(TaskPage(tasks, None)), media_type=JSON)


def bare(_endpoint: str) -> FastAPI:
    """Serve this project's own routes, models and answers from a dictionary."""

    class Dictionary:
        def __init__(self) -> None:
            self._tasks = {stub.ID: task_of(stub.ITEM)}
            self._page = TaskPage([task_of(stub.ITEM)] * stub.PAGE, None)

        async def create(self, _workspace: str, new: NewTask) -> Task:
            return made(new)

        async def get(self, _workspace: str, task_id: str) -> Task:
            return self._tasks[task_id]

        async def list(self, *_: Any) -> TaskPage:
            return self._page

        async def change(self, _workspace: str, task_id: str, _match: Any, change: Any) -> Task:
            task = self._tasks[task_id]
            for name, value in change.values().items():
                setattr(task, name, value)
            return task

    class Open:
        async def admit(self, *_: Any) -> Principal:
            return ANYONE

    app = FastAPI()
    app.router.routes.extend(own_routes.router.routes)
    app.state.tasks = Dictionary()
    app.state.guard = Open()
    problem_json.install(app)
    return app


def bare_metrics(endpoint: str) -> FastAPI:
    """Bare FastAPI with this project's counting of requests and nothing else."""

    class NoLog(RequestLog):
        def write(self, fields: dict[str, Any]) -> None:
            """Measure the counting alone."""

    app = bare(endpoint)
    log = NoLog(Settings(cursor_secret=SecretStr("x" * 32)))
    app.add_middleware(Surroundings, metrics=Metrics("bench"), log=log)
    return app


def bare_instrumentator(endpoint: str) -> FastAPI:
    """Bare FastAPI with prometheus-fastapi-instrumentator as its documentation sets it up."""
    from prometheus_fastapi_instrumentator import Instrumentator

    app = bare(endpoint)
    Instrumentator().instrument(app).expose(app)
    return app


def layer(depth: str, endpoint: str) -> FastAPI:
    """Bare FastAPI in this app's surroundings, whose reads go down to one depth of the wire."""
    config = Settings(
        cursor_secret=SecretStr("x" * 32), dynamodb_endpoint=HttpUrl(endpoint), log_format="json"
    )
    wire = LoopWire(config)
    task = task_of(stub.ITEM)
    arguments = {**_get(stub.ID), "ReturnConsumedCapacity": "TOTAL"}
    body = json.dumps(arguments).encode()
    credentials = ReadOnlyCredentials("local", "local", None)
    request = Signer(endpoint.partition("//")[2], REGION).request("GetItem", body, credentials, 0)

    class Depths:
        async def middleware(self, *_: Any) -> Task:
            return task

        async def http(self, *_: Any) -> Task:
            await wire._http.exchange(request, 2)
            return task

        async def send(self, *_: Any) -> Task:
            await wire._send("GetItem", arguments, float("inf"))
            return task

        async def bridge(self, *_: Any) -> Task:
            await wire.run(lambda: wire.call("GetItem", arguments))
            return task

    app = bare(endpoint)
    app.state.tasks.get = getattr(Depths(), depth)
    app.add_middleware(Surroundings, metrics=Metrics("bench"), log=RequestLog(config))
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

    def task(item: Any) -> Task:
        return task_of(item.serialize())

    @app.get("/v1/tasks/{task_id}")
    def get_one(task_id: str) -> Response:
        key = (partition(WORKSPACE), TASK + task_id)
        return answered(task(Item.get(*key, consistent_read=True)))

    @app.get("/v1/tasks")
    def list_25(limit: int = 25) -> Response:
        items = Item.query(partition(WORKSPACE), Item.sk.startswith(TASK), limit=limit)
        return listed([task(item) for item in items])

    @app.post("/v1/tasks")
    def post(new: NewTask) -> Response:
        task = made(new)
        stored = attributes(Place(WORKSPACE, task.id), {**new.model_dump(), **stamps(task)})
        Item(partition(WORKSPACE), TASK + task.id, **stored).save()
        return answered(task, 201)

    @app.patch("/v1/tasks/{task_id}")
    def patch(task_id: str, change: Change) -> Response:
        item = Item(partition(WORKSPACE), TASK + task_id)
        values = attributes(Place(WORKSPACE, task_id), change.values())
        item.update([getattr(Item, name).set(value) for name, value in values.items()])
        return answered(task(item))

    return app


def boto3_threads(endpoint: str) -> FastAPI:
    """boto3's client in `def` routes."""
    import boto3
    from botocore.config import Config

    client: Any = boto3.client(
        "dynamodb",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(max_pool_connections=CONNECTIONS, parameter_validation=False),
    )
    app = FastAPI()

    @app.get("/v1/tasks/{task_id}")
    def get_one(task_id: str) -> Response:
        return answered(task_of(client.get_item(**_get(task_id))["Item"]))

    @app.get("/v1/tasks")
    def list_25(limit: int = 25) -> Response:
        return listed([task_of(item) for item in client.query(**_query(limit))["Items"]])

    @app.post("/v1/tasks")
    def post(new: NewTask) -> Response:
        task = made(new)
        client.put_item(**_put(task))
        return answered(task, 201)

    @app.patch("/v1/tasks/{task_id}")
    def patch(task_id: str, change: Change) -> Response:
        return answered(task_of(client.update_item(**_update(task_id, change))["Attributes"]))

    return app


def aiobotocore(endpoint: str) -> FastAPI:
    """Aiobotocore's client, one for the app's whole life."""
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    clients: list[Any] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with get_session().create_client(
            "dynamodb",
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=AioConfig(max_pool_connections=CONNECTIONS, parameter_validation=False),
        ) as client:
            clients.append(client)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/v1/tasks/{task_id}")
    async def get_one(task_id: str) -> Response:
        return answered(task_of((await clients[0].get_item(**_get(task_id)))["Item"]))

    @app.get("/v1/tasks")
    async def list_25(limit: int = 25) -> Response:
        items = (await clients[0].query(**_query(limit)))["Items"]
        return listed([task_of(item) for item in items])

    @app.post("/v1/tasks")
    async def post(new: NewTask) -> Response:
        task = made(new)
        await clients[0].put_item(**_put(task))
        return answered(task, 201)

    @app.patch("/v1/tasks/{task_id}")
    async def patch(task_id: str, change: Change) -> Response:
        answer = await clients[0].update_item(**_update(task_id, change))
        return answered(task_of(answer["Attributes"]))

    return app


def aiodynamo(endpoint: str) -> FastAPI:
    """Aiodynamo's table over aiohttp, one session for the app's whole life."""
    import aiohttp
    from aiodynamo.client import Client, Table
    from aiodynamo.credentials import Key, StaticCredentials
    from aiodynamo.expressions import F, HashKey, RangeKey, UpdateExpression
    from aiodynamo.http.aiohttp import AIOHTTP
    from aiodynamo.models import ReturnValues
    from yarl import URL

    tables: list[Table] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:
            client = Client(
                AIOHTTP(session), StaticCredentials(Key("local", "local")), REGION, URL(endpoint)
            )
            tables.append(client.table(TABLE))
            yield

    app = FastAPI(lifespan=lifespan)

    def key(task_id: str) -> dict[str, str]:
        return {"pk": partition(WORKSPACE), "sk": TASK + task_id}

    def task(item: dict[str, Any]) -> Task:
        return Task(
            id=item["sk"][len(TASK) :],
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
            version=int(item["version"]),
            etag=f'"{item["revision"]}"',
        )

    @app.get("/v1/tasks/{task_id}")
    async def get_one(task_id: str) -> Response:
        return answered(task(await tables[0].get_item(key(task_id), consistent_read=True)))

    @app.get("/v1/tasks")
    async def list_25(limit: int = 25) -> Response:
        condition = HashKey("pk", partition(WORKSPACE)) & RangeKey("sk").begins_with(TASK)
        page = await tables[0].query_single_page(condition, limit=limit)
        return listed([task(item) for item in page.items])

    @app.post("/v1/tasks")
    async def post(new: NewTask) -> Response:
        task = made(new)
        stored = attributes(Place(WORKSPACE, task.id), {**new.model_dump(), **stamps(task)})
        present = {name: value for name, value in stored.items() if value is not None}
        await tables[0].put_item({**key(task.id), **present})
        return answered(task, 201)

    @app.patch("/v1/tasks/{task_id}")
    async def patch(task_id: str, change: Change) -> Response:
        expression = UpdateExpression()
        for name, value in attributes(Place(WORKSPACE, task_id), change.values()).items():
            expression &= F(name).set(value)
        item = await tables[0].update_item(
            key(task_id), expression, return_values=ReturnValues.all_new
        )
        return answered(task(item or {}))

    return app


def _key(task_id: str) -> dict[str, Any]:
    return {"pk": {"S": partition(WORKSPACE)}, "sk": {"S": TASK + task_id}}


def _get(task_id: str) -> dict[str, Any]:
    return {"TableName": TABLE, "Key": _key(task_id), "ConsistentRead": True}


def _query(limit: int) -> dict[str, Any]:
    return {
        "TableName": TABLE,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
        "ExpressionAttributeValues": {":pk": {"S": partition(WORKSPACE)}, ":sk": {"S": TASK}},
        "Limit": limit,
    }


def _put(task: Task) -> dict[str, Any]:
    return {"TableName": TABLE, "Item": item_of(Place(WORKSPACE, task.id), task)}


def _update(task_id: str, change: TaskChange) -> dict[str, Any]:
    values = attributes(Place(WORKSPACE, task_id), change.values())
    return {
        "TableName": TABLE,
        "Key": _key(task_id),
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in values),
        "ExpressionAttributeNames": {f"#{name}": name for name in values},
        "ExpressionAttributeValues": {f":{name}": {"S": value} for name, value in values.items()},
        "ReturnValues": "ALL_NEW",
    }


PEERS: dict[str, Callable[[str], FastAPI]] = {
    "bare": bare,
    "bare-metrics": bare_metrics,
    "bare-instrumentator": bare_instrumentator,
    **{f"layer-{depth}": partial(layer, depth) for depth in LAYERS},
    "pynamodb-threads": pynamodb_threads,
    "boto3-threads": boto3_threads,
    "aiobotocore": aiobotocore,
    "aiodynamo": aiodynamo,
}


def create() -> FastAPI:
    """Make the peer that the environment names: uvicorn's factory."""
    import os

    return PEERS[os.environ["PEER"]](os.environ["DYNAMODB_ENDPOINT"])
