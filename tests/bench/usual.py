"""The tasks' routes in the usual way: PynamoDB and boto3 at the top, `def` routes, Mangum around.

Routes and models are this project's. Nothing else is: no keys, no metrics, no log, no ETags.
"""

import os
from datetime import UTC, datetime
from typing import Annotated, Any

import boto3
from fastapi import FastAPI, HTTPException, Query
from mangum import Mangum
from pynamodb.exceptions import DoesNotExist
from ulid import ULID

from api.models import NewTask, Task, TaskChange, TaskPage, TaskQuery, rfc3339
from api.table import LINEAGE, NO_REVISION, TASK, Place, TaskItem, attributes, partition, task_of

WORKSPACE = "default"


class Item(TaskItem):
    class Meta:
        """Which table, and where."""

        table_name = os.environ["TABLE_NAME"]
        region = os.environ["AWS_REGION"]


app = FastAPI(title="Task Tracker")


def place(task_id: str) -> tuple[str, str]:
    return partition(WORKSPACE), TASK + task_id


def found(task_id: str) -> Any:
    try:
        return Item.get(*place(task_id), consistent_read=True)
    except DoesNotExist as error:
        raise HTTPException(404, "There is no such task.") from error


def task(item: Any) -> Task:
    return task_of(item.serialize())


@app.post("/v1/tasks", status_code=201)
def create(new: NewTask) -> Task:
    moment = datetime.now(UTC)
    stamp = rfc3339(moment)
    task_id = str(ULID.from_datetime(moment))
    stamps = {"created_at": stamp, "updated_at": stamp, "version": 1}
    stored = {**new.model_dump(), **stamps, **dict.fromkeys(LINEAGE, NO_REVISION)}
    values = attributes(Place(WORKSPACE, task_id), stored)
    item = Item(*place(task_id), **values)
    item.save()
    return task(item)


@app.get("/v1/tasks/{task_id}")
def get(task_id: str) -> Task:
    return task(found(task_id))


@app.get("/v1/tasks")
def listed(query: Annotated[TaskQuery, Query()]) -> TaskPage:
    items = Item.query(partition(WORKSPACE), Item.sk.startswith(TASK), limit=query.limit)
    return TaskPage([task(item) for item in items], None)


@app.patch("/v1/tasks/{task_id}")
def change(task_id: str, change: TaskChange) -> Task:
    item = found(task_id)
    values = attributes(Place(WORKSPACE, task_id), change.values())
    item.update([getattr(Item, name).set(value) for name, value in values.items()])
    return task(item)


@app.delete("/v1/tasks/{task_id}", status_code=204)
def delete(task_id: str) -> None:
    found(task_id).delete()


@app.get("/readyz")
def ready() -> dict[str, str]:
    boto3.client("dynamodb").describe_table(TableName=Item.Meta.table_name)
    return {"status": "ready"}


handler = Mangum(app, lifespan="off")
