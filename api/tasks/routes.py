"""The endpoints of tasks."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request
from starlette.responses import Response

from api.errors import (
    BODY_FAILURES,
    IfMatchRequired,
    InvalidCursor,
    InvalidRequest,
    RequestInProgress,
)
from api.http import etags
from api.http.dependencies import JSON, MERGE_PATCH, reject_duplicates_except
from api.http.openapi import example_references, json_examples
from api.http.openapi_parts import header
from api.keys.authorized_route import (
    AuthorizedRoute,
    JsonWriter,
    PatchWriter,
    Reader,
    Writer,
    read_failures,
    write_failures,
)
from api.tasks import examples, idempotency
from api.tasks.change_models import TaskChange
from api.tasks.errors import (
    IdempotencyKeyReused,
    IllegalMove,
    StaleEtag,
    TaskNotFound,
    TooManyComments,
)
from api.tasks.idempotency import Replay
from api.tasks.list_models import TaskPage, TaskQuery
from api.tasks.models import NewTask, Task, task_json
from api.tasks.service import TaskService
from api.tasks.views import BriefTaskPage, view_json

REQUIRED = {"required": True}
ETAG_HEADER = {"ETag": header("The task's state, for `If-Match`.", examples.ETAG) | REQUIRED}
PAGE_ETAG_HEADER = {
    "ETag": header("Weak; for `If-None-Match` only.", f"W/{examples.ETAG}") | REQUIRED
}
LOCATION_HEADER = {"Location": header("The task's path.", f"/v1/tasks/{examples.ID}") | REQUIRED}
REPLAYED = {"Idempotent-Replayed": "true"}
REPLAYED_HEADER = {
    "Idempotent-Replayed": header(
        "Present if this is the response to an earlier request under the same idempotency key.",
        "true",
        const="true",
    )
}

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=AuthorizedRoute)


def _tasks(request: Request) -> TaskService:
    # Not a dependency: FastAPI takes 7 us for each, a fiftieth of a request.
    service: TaskService = request.app.state.tasks
    return service


TaskId = Annotated[str, Path(description="The task's `id`.", examples=[examples.ID])]
IfMatch = Annotated[
    str,
    etags.HEADER,
    Header(
        alias="If-Match",
        max_length=etags.HEADER_MAX_LENGTH,
        description="The ETag as last read, or `*` to write without this check.",
        examples=[examples.ETAG, "*"],
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="The ETag of a state that the client has: 304 if that is still the state.",
        examples=[examples.ETAG],
    ),
]
PageIfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="The ETag of the same page as the client has it: 304 if the page is unchanged.",
        examples=[f"W/{examples.ETAG}"],
    ),
]
IdempotencyKey = Annotated[
    Annotated[str, idempotency.HEADER] | None,
    Header(
        alias="Idempotency-Key",
        description="Makes the request safe to repeat: for 24 hours, the same request under the "
        "same key has one effect and gets the same response. Defaults may be left out or sent. "
        "Failures are not stored.",
        examples=["order-4711"],
    ),
]


def _task_response(task: Task | Replay, status: int = 200, **headers: str) -> Response:
    headers["ETag"] = task.etag
    if isinstance(task, Replay):
        return Response(task.body, status, headers | REPLAYED, JSON)
    return Response(task_json(task), status, headers, JSON)


def _not_modified(etag: str) -> Response:
    return Response(status_code=304, headers={"ETag": etag})


def _created(request: Request, task: Task | Replay) -> Response:
    base_path = request.app.state.settings.base_path or ""
    return _task_response(task, 201, Location=f"{base_path}/v1/tasks/{task.id}")


@router.post(
    "",
    status_code=201,
    response_model=Task,
    summary="Create a task",
    description="The title, names and labels are one line of text each, stored in NFC without "
    "surrounding spaces.",
    responses={
        201: {
            "description": "The task as it is stored.",
            "headers": ETAG_HEADER | REPLAYED_HEADER | LOCATION_HEADER,
            **json_examples("task"),
        },
        **write_failures(RequestInProgress, *BODY_FAILURES, IdempotencyKeyReused),
    },
)
async def create_task(
    request: Request,
    caller: JsonWriter,
    new: Annotated[NewTask, Body(openapi_examples=example_references("title_alone", "new_task"))],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    tasks, by = _tasks(request), caller.actor
    if idempotency_key is None:
        return _created(request, await tasks.create(caller.workspace, new, by))
    task = await tasks.create_once(caller.workspace, new, idempotency_key, by=by)
    return _created(request, task)


@router.get(
    "",
    response_model=TaskPage | BriefTaskPage,
    summary="List tasks",
    dependencies=[Depends(reject_duplicates_except("status", "label"))],
    description="Open tasks, unless `state` or `status` says otherwise. Filters are combined with "
    "AND. Beside `state`, one filter costs the same however many tasks there are: the name of a "
    "project or an assignee, `status` or `priority` under `sort=created`, or a range under its own "
    "order. "
    "Other filters run after the read, on at most 1 000 tasks a page, so a page may hold fewer "
    "items than `limit`.",
    responses={
        200: {
            "description": "One page: a `TaskPage`, or under `view=brief` a `BriefTaskPage`.",
            "headers": PAGE_ETAG_HEADER,
            **json_examples("page", "brief_page"),
        },
        304: {"description": "The page is unchanged.", "headers": PAGE_ETAG_HEADER},
        **read_failures(InvalidCursor, InvalidRequest),
    },
)
async def list_tasks(
    request: Request,
    caller: Reader,
    query: Annotated[TaskQuery, Query()],
    if_none_match: PageIfNoneMatch = None,
) -> Response:
    body = view_json(await _tasks(request).list(caller.workspace, query), query.view)
    etag = etags.weak_etag_of(body)
    if etags.is_cached(etag, if_none_match):
        return _not_modified(etag)
    return Response(body, headers={"ETag": etag}, media_type=JSON)


@router.get(
    "/{task_id}",
    response_model=Task,
    summary="Read a task",
    description="Always the last acknowledged state.",
    responses={
        200: {
            "description": "The task.",
            "headers": ETAG_HEADER,
            **json_examples("task"),
        },
        304: {"description": "The task is unchanged.", "headers": ETAG_HEADER},
        **read_failures(TaskNotFound),
    },
)
async def read_task(
    request: Request, caller: Reader, task_id: TaskId, if_none_match: IfNoneMatch = None
) -> Response:
    task = await _tasks(request).get(caller.workspace, task_id)
    if etags.is_cached(task.etag, if_none_match):
        return _not_modified(task.etag)
    return _task_response(task)


@router.patch(
    "/{task_id}",
    response_model=Task,
    summary="Change a task",
    description="JSON Merge Patch (RFC 7396): absent fields stay, null resets a field to its "
    "default, and a list is replaced as a whole. `labels_add` and `labels_remove` change single "
    "labels: under `If-Match: *` two clients can do so at once. `comment` adds a comment: the "
    "change and the comment are both made, or neither.",
    responses={
        200: {
            "description": "The task after the change.",
            "headers": ETAG_HEADER | REPLAYED_HEADER,
            **json_examples("changed_task"),
        },
        **write_failures(
            TaskNotFound,
            IllegalMove,
            TooManyComments,
            RequestInProgress,
            StaleEtag,
            *BODY_FAILURES,
            IdempotencyKeyReused,
            IfMatchRequired,
        ),
    },
)
async def change_task(
    request: Request,
    caller: PatchWriter,
    task_id: TaskId,
    if_match: IfMatch,
    change: Annotated[
        TaskChange,
        Body(media_type=MERGE_PATCH, openapi_examples=example_references("change", "reset")),
    ],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    tasks, match, by = _tasks(request), etags.parse_strong(if_match), caller.actor
    if idempotency_key is None:
        changed = await tasks.change(caller.workspace, task_id, match, change, by)
        return _task_response(changed)
    return _task_response(
        await tasks.change_once(caller.workspace, task_id, match, change, idempotency_key, by=by)
    )


@router.delete(
    "/{task_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a task",
    description="Safe to repeat: for 30 days, deleting the same state again succeeds.",
    responses={
        204: {"description": "The task is deleted."},
        **write_failures(TaskNotFound, StaleEtag, InvalidRequest, IfMatchRequired),
    },
)
async def delete_task(
    request: Request, caller: Writer, task_id: TaskId, if_match: IfMatch
) -> Response:
    match = etags.parse_strong(if_match)
    await _tasks(request).delete(caller.workspace, task_id, match, caller.actor)
    return Response(status_code=204)
