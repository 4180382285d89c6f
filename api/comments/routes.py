"""The endpoints of comments."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from starlette.responses import Response

from api.comments import examples
from api.comments.errors import CommentNotFound, NotTheAuthor, StaleComment
from api.comments.models import (
    Comment,
    CommentBody,
    CommentPage,
    comment_json,
    comment_page_json,
)
from api.comments.service import CommentService
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
from api.tasks.errors import IdempotencyKeyReused, TaskNotFound, TooManyComments
from api.tasks.examples import ID
from api.tasks.idempotency import Replay
from api.tasks.routes import (
    REPLAYED,
    REPLAYED_HEADER,
    REQUIRED,
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    TaskId,
)
from api.values import PageQuery

ETAG_HEADER = {"ETag": header("The comment's state, for `If-Match`.", examples.ETAG) | REQUIRED}
PATH = f"/v1/tasks/{ID}/comments/{examples.COMMENT_ID}"
LOCATION_HEADER = {"Location": header("The comment's path.", PATH) | REQUIRED}
NOT_FOUND = (TaskNotFound, CommentNotFound)

CommentId = Annotated[str, Path(description="The comment's `id`.", examples=[examples.COMMENT_ID])]
Text = Annotated[CommentBody, Body(openapi_examples=example_references("comment_body"))]
NewText = Annotated[
    CommentBody,
    Body(media_type=MERGE_PATCH, openapi_examples=example_references("comment_body")),
]

router = APIRouter(
    prefix="/v1/tasks/{task_id}/comments", tags=["comments"], route_class=AuthorizedRoute
)


def _comments(request: Request) -> CommentService:
    service: CommentService = request.app.state.comments
    return service


def _comment_response(comment: Comment | Replay, status: int = 200, **headers: str) -> Response:
    headers["ETag"] = comment.etag
    if isinstance(comment, Replay):
        return Response(comment.body, status, headers | REPLAYED, JSON)
    return Response(comment_json(comment), status, headers, JSON)


@router.post(
    "",
    status_code=201,
    response_model=Comment,
    summary="Write a comment",
    description="Counts as a change of the task, whose `comment_count`, `version` and ETag it "
    "changes. The text is stored in NFC without surrounding whitespace.",
    responses={
        201: {
            "description": "The comment as it is stored.",
            "headers": ETAG_HEADER | REPLAYED_HEADER | LOCATION_HEADER,
            **json_examples("comment"),
        },
        **write_failures(
            TaskNotFound, TooManyComments, RequestInProgress, *BODY_FAILURES, IdempotencyKeyReused
        ),
    },
)
async def create_comment(
    request: Request,
    caller: JsonWriter,
    task_id: TaskId,
    new: Text,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    comment = await _comments(request).create(caller, task_id, new, idempotency_key)
    base_path = request.app.state.settings.base_path or ""
    location = f"{base_path}/v1/tasks/{task_id}/comments/{comment.id}"
    return _comment_response(comment, 201, Location=location)


@router.get(
    "",
    response_model=CommentPage,
    summary="List a task's comments",
    dependencies=[Depends(reject_duplicates_except())],
    description="Oldest first; always with those that were acknowledged.",
    responses={
        200: {"description": "One page.", **json_examples("comment_page")},
        **read_failures(TaskNotFound, InvalidCursor, InvalidRequest),
    },
)
async def list_comments(
    request: Request, caller: Reader, task_id: TaskId, query: Annotated[PageQuery, Query()]
) -> Response:
    page = await _comments(request).list(caller.workspace, task_id, query)
    return Response(comment_page_json(page), media_type=JSON)


@router.get(
    "/{comment_id}",
    response_model=Comment,
    summary="Read a comment",
    description="Always the last acknowledged state.",
    responses={
        200: {
            "description": "The comment.",
            "headers": ETAG_HEADER,
            **json_examples("comment"),
        },
        304: {"description": "The comment is unchanged.", "headers": ETAG_HEADER},
        **read_failures(*NOT_FOUND),
    },
)
async def read_comment(
    request: Request,
    caller: Reader,
    task_id: TaskId,
    comment_id: CommentId,
    if_none_match: IfNoneMatch = None,
) -> Response:
    comment = await _comments(request).get(caller.workspace, task_id, comment_id)
    if etags.is_cached(comment.etag, if_none_match):
        return Response(status_code=304, headers={"ETag": comment.etag})
    return _comment_response(comment)


@router.patch(
    "/{comment_id}",
    response_model=Comment,
    summary="Change a comment",
    description="By the API key that wrote it, or one with the scope `admin`.",
    responses={
        200: {
            "description": "The comment after the change.",
            "headers": ETAG_HEADER | REPLAYED_HEADER,
            **json_examples("comment"),
        },
        **write_failures(
            NotTheAuthor,
            *NOT_FOUND,
            RequestInProgress,
            StaleComment,
            *BODY_FAILURES,
            IdempotencyKeyReused,
            IfMatchRequired,
        ),
    },
)
async def change_comment(
    request: Request,
    caller: PatchWriter,
    task_id: TaskId,
    comment_id: CommentId,
    if_match: IfMatch,
    change: NewText,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    match = etags.parse_strong(if_match)
    return _comment_response(
        await _comments(request).change(caller, task_id, comment_id, match, change, idempotency_key)
    )


@router.delete(
    "/{comment_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a comment",
    description="By the API key that wrote it, or one with the scope `admin`. Counts as a change "
    "of the task. Safe to repeat: for 30 days, deleting the same state again succeeds.",
    responses={
        204: {"description": "The comment is deleted."},
        **write_failures(
            NotTheAuthor,
            *NOT_FOUND,
            RequestInProgress,
            StaleComment,
            InvalidRequest,
            IfMatchRequired,
        ),
    },
)
async def delete_comment(
    request: Request, caller: Writer, task_id: TaskId, comment_id: CommentId, if_match: IfMatch
) -> Response:
    match = etags.parse_strong(if_match)
    await _comments(request).delete(caller, task_id, comment_id, match)
    return Response(status_code=204)
