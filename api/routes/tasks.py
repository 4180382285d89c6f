"""Tasks over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from api import errors, etags
from api.access import Caller, GuardedRoute, needs
from api.idempotency import HEADER_PATTERN, Replay
from api.keys import Scope
from api.models import NewTask, Task, TaskChange, TaskPage, TaskQuery, task_json
from api.openapi import responses
from api.routes.checks import JSON, MERGE_PATCH, json_only, merge_patch_only, said_once
from api.service import TaskService

ETAG_HEADER = {
    "ETag": {
        "schema": {"type": "string"},
        "required": True,
        "description": "The task's state.",
    }
}
REPLAYED_HEADER = {
    "Idempotent-Replayed": {
        "schema": {"type": "string", "const": "true"},
        "description": "Only where this is the answer to an earlier request with the same key.",
    }
}

page_json = TypeAdapter(TaskPage).dump_json

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=GuardedRoute)


async def _tasks(request: Request) -> TaskService:
    tasks: TaskService = request.app.state.tasks
    return tasks


async def _match(
    if_match: Annotated[
        str,
        Header(
            pattern=etags.HEADER_PATTERN,
            max_length=etags.HEADER_MAX_LENGTH,
            description="The task's ETag as last seen, or `*` for whatever it is now.",
        ),
    ],
) -> etags.Match:
    return etags.parse_strong(if_match)


Tasks = Annotated[TaskService, Depends(_tasks)]
Match = Annotated[etags.Match, Depends(_match)]
TaskId = Annotated[str, Path(description="The task's `id`.")]
IfNoneMatch = Annotated[
    str | None,
    Header(description="An ETag the client already has the task for: 304 if it still holds."),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=HEADER_PATTERN,
        description="Makes the request safe to repeat: for a day, the same request under the same "
        "key has one effect and the same answer. Failures are not kept.",
    ),
]


def _answer(task: Task | Replay, status: int = 200, **headers: str) -> Response:
    headers["ETag"] = task.etag
    if isinstance(task, Replay):
        return Response(task.body, status, {**headers, "Idempotent-Replayed": "true"}, JSON)
    return Response(task_json(task), status, headers, JSON)


def _created(task: Task | Replay) -> Response:
    return _answer(task, 201, Location=f"/v1/tasks/{task.id}")


@router.post(
    "",
    status_code=201,
    response_model=Task,
    summary="Create a task",
    openapi_extra=needs(Scope.WRITE),
    dependencies=[Depends(json_only)],
    responses={
        201: {
            "description": "The task as it is stored.",
            "headers": {
                **ETAG_HEADER,
                **REPLAYED_HEADER,
                "Location": {
                    "schema": {"type": "string"},
                    "required": True,
                    "description": "The task's path.",
                },
            },
        },
        **responses(
            *errors.ACCESS_PROBLEMS,
            errors.RequestInProgress,
            errors.BodyTooLarge,
            errors.WrongMediaType,
            errors.InvalidRequest,
            errors.KeyReused,
            *errors.WRITE_FAILURES,
        ),
    },
)
async def create_task(tasks: Tasks, caller: Caller, new: NewTask, key: Key = None) -> Response:
    if key is None:
        return _created(await tasks.create(caller.workspace, new))
    return _created(await tasks.create_once(caller.workspace, new, key))


@router.get(
    "",
    response_model=TaskPage,
    summary="List tasks",
    dependencies=[Depends(said_once)],
    openapi_extra=needs(Scope.READ),
    description="Filters narrow together. One filter of status, project, assignee or priority, "
    "or a due range sorted by `due`, costs the same however many tasks there are; others are "
    "dropped from what is read, and their pages can be short.",
    responses={
        200: {"description": "One page."},
        **responses(
            *errors.ACCESS_PROBLEMS, errors.BadCursor, errors.InvalidRequest, *errors.STORE_FAILURES
        ),
    },
)
async def list_tasks(
    tasks: Tasks, caller: Caller, query: Annotated[TaskQuery, Query()]
) -> Response:
    page = await tasks.list(caller.workspace, query)
    return Response(page_json(page), media_type=JSON)


@router.get(
    "/{task_id}",
    response_model=Task,
    summary="Read a task",
    openapi_extra=needs(Scope.READ),
    description="Always the last acknowledged state.",
    responses={
        200: {"description": "The task.", "headers": ETAG_HEADER},
        304: {"description": "The client has this state already.", "headers": ETAG_HEADER},
        **responses(*errors.ACCESS_PROBLEMS, errors.TaskNotFound, *errors.STORE_FAILURES),
    },
)
async def read_task(
    tasks: Tasks, caller: Caller, task_id: TaskId, if_none_match: IfNoneMatch = None
) -> Response:
    task = await tasks.get(caller.workspace, task_id)
    if if_none_match and etags.parse_weak(if_none_match).accepts(etags.revision_of(task.etag)):
        return Response(status_code=304, headers={"ETag": task.etag})
    return _answer(task)


@router.patch(
    "/{task_id}",
    response_model=Task,
    summary="Change a task",
    openapi_extra=needs(Scope.WRITE),
    description="JSON Merge Patch (RFC 7396): what is absent stays, null goes back to the "
    "default, a list is replaced whole.",
    dependencies=[Depends(merge_patch_only)],
    responses={
        200: {
            "description": "The task after the change.",
            "headers": ETAG_HEADER | REPLAYED_HEADER,
        },
        **responses(
            *errors.ACCESS_PROBLEMS,
            errors.TaskNotFound,
            errors.IllegalMove,
            errors.RequestInProgress,
            errors.StaleTag,
            errors.BodyTooLarge,
            errors.WrongMediaType,
            errors.InvalidRequest,
            errors.KeyReused,
            errors.TagMissing,
            *errors.WRITE_FAILURES,
        ),
    },
)
async def change_task(
    tasks: Tasks,
    caller: Caller,
    task_id: TaskId,
    match: Match,
    change: Annotated[TaskChange, Body(media_type=MERGE_PATCH)],
    key: Key = None,
) -> Response:
    if key is None:
        return _answer(await tasks.change(caller.workspace, task_id, match, change))
    return _answer(await tasks.change_once(caller.workspace, task_id, match, change, key))


@router.delete(
    "/{task_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a task",
    openapi_extra=needs(Scope.WRITE),
    description="Safe to repeat: for a day, whoever deletes the same state again hears the same.",
    responses={
        204: {"description": "The task is gone."},
        **responses(
            *errors.ACCESS_PROBLEMS,
            errors.TaskNotFound,
            errors.StaleTag,
            errors.InvalidRequest,
            errors.TagMissing,
            *errors.WRITE_FAILURES,
        ),
    },
)
async def delete_task(tasks: Tasks, caller: Caller, task_id: TaskId, match: Match) -> Response:
    await tasks.delete(caller.workspace, task_id, match)
    return Response(status_code=204)
