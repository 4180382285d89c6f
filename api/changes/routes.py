"""The endpoint of changes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response

from api.changes.errors import FeedExpired
from api.changes.models import (
    MAX_TOKEN_LENGTH,
    Changes,
    ChangesQuery,
    StreamQuery,
    changes_json,
)
from api.changes.service import ChangesService
from api.changes.stream import UNBUFFERED, EventStream
from api.errors import InvalidRequest
from api.http.context import RequestContext
from api.http.dependencies import JSON, reject_duplicates_except
from api.http.latency import slow_by_design
from api.http.openapi import json_examples
from api.http.waits import Waits, receive_body, while_connected
from api.keys.authorized_route import AuthorizedRoute, Reader, read_failures
from api.values import EXAMPLE_CURSOR

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        max_length=MAX_TOKEN_LENGTH,
        description="The `id` of the last event, which browsers send by themselves; instead of "
        "`token`.",
        examples=[EXAMPLE_CURSOR],
    ),
]

router = APIRouter(prefix="/v1/changes", tags=["changes"], route_class=AuthorizedRoute)

# A function cannot stream.
stream_router = APIRouter(prefix="/v1/changes", tags=["changes"], route_class=AuthorizedRoute)


@router.get(
    "",
    response_model=Changes,
    summary="Read what changed",
    description="What changed in the workspace since `token`: tasks as they are now, and "
    "deletions; comments, too. Each change is delivered at least once: for each task and comment, "
    "keep the state with the highest `version`. For a mirror, request a token, list all tasks "
    "(`state=all`), then read on from the token. A task that changes so that it no longer passes "
    "the filters is not delivered. A token is valid for 30 days. An older one, or one of another "
    "feed, gets 410 with a new token.",
    dependencies=[Depends(reject_duplicates_except("status", "label"))],
    responses={
        200: {"description": "What changed since.", **json_examples("changes")},
        **read_failures(FeedExpired, InvalidRequest),
    },
)
@slow_by_design
async def read_changes(
    request: Request, caller: Reader, query: Annotated[ChangesQuery, Query()]
) -> Response:
    changes: ChangesService = request.app.state.changes
    waits: Waits | None = request.app.state.waits
    found: Changes | None
    # Without a token there is nothing to wait for.
    if waits is None or not query.wait or query.token is None:
        found = await changes.read(caller.workspace, query)
    else:
        await receive_body(request.receive)
        with waits.slot(request.scope):
            waiting = changes.wait(caller.workspace, query)
            found = await while_connected(request.receive, waiting)
    return Response(found and changes_json(found), media_type=JSON)


@stream_router.get(
    "/stream",
    response_class=Response,
    summary="Follow what changes",
    description="The same as server-sent events: `task`, `deletion`, `comment` and "
    "`comment_deletion` with the objects of `Changes`, and after each page of them `token`, whose "
    "`id` is the token to go on from. "
    "Without changes there is a `token` every 15 seconds. A Lambda function has no streams.",
    dependencies=[Depends(reject_duplicates_except("status", "label"))],
    responses={
        200: {"description": "`text/event-stream`, for as long as `seconds` says."},
        **read_failures(FeedExpired, InvalidRequest),
    },
)
@slow_by_design
async def stream_changes(
    request: Request,
    caller: Reader,
    query: Annotated[StreamQuery, Query()],
    last_event_id: LastEventId = None,
) -> Response:
    if RequestContext.of(request.scope).is_head:
        return Response(headers=UNBUFFERED, media_type=EventStream.media_type)
    changes: ChangesService = request.app.state.changes
    start = query.read_from(last_event_id or query.token)
    # A problem is a response of its own, before the stream begins.
    await receive_body(request.receive)
    first = await changes.read(caller.workspace, start)
    pages = changes.follow(caller.workspace, start, first, query.seconds)
    return EventStream(pages, request.app.state.waits)
