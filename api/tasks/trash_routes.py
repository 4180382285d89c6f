"""The endpoints of deleted tasks."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from api.errors import InvalidCursor, InvalidRequest
from api.http.dependencies import JSON, reject_duplicates_except
from api.http.openapi import json_examples
from api.keys.authorized_route import AuthorizedRoute, Reader, Writer, read_failures, write_failures
from api.tasks.errors import TaskNotFound
from api.tasks.models import Task, task_json
from api.tasks.routes import ETAG_HEADER, TaskId
from api.tasks.service import TaskService
from api.tasks.trash import TrashPage, trash_json
from api.values import PageQuery

router = APIRouter(prefix="/v1", tags=["tasks"], route_class=AuthorizedRoute)


@router.post(
    "/tasks/{task_id}/restore",
    response_model=Task,
    summary="Restore a deleted task",
    description="Within 30 days of its deletion. The task is as it last was, with a new ETag and "
    "version. Safe to repeat: a task that is not deleted is returned as it is.",
    responses={
        200: {
            "description": "The task as it is now.",
            "headers": ETAG_HEADER,
            **json_examples("task"),
        },
        **write_failures(TaskNotFound),
    },
)
async def restore_task(request: Request, caller: Writer, task_id: TaskId) -> Response:
    tasks: TaskService = request.app.state.tasks
    task = await tasks.restore(caller.workspace, task_id, caller.actor)
    return Response(task_json(task), headers={"ETag": task.etag}, media_type=JSON)


@router.get(
    "/trash",
    response_model=TrashPage,
    summary="List deleted tasks",
    description="Those of the last 30 days, which can be restored; the one that was deleted last "
    "comes first. Deletions appear with a short delay.",
    dependencies=[Depends(reject_duplicates_except())],
    responses={
        200: {"description": "One page.", **json_examples("trash")},
        **read_failures(InvalidCursor, InvalidRequest),
    },
)
async def list_trash(
    request: Request, caller: Reader, query: Annotated[PageQuery, Query()]
) -> Response:
    tasks: TaskService = request.app.state.tasks
    page = await tasks.trash(caller.workspace, query)
    return Response(trash_json(page), media_type=JSON)
