"""The endpoint of changes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from api.changes.errors import FeedExpired
from api.changes.models import Changes, ChangesQuery, changes_json
from api.changes.service import ChangesService
from api.errors import STORE_FAILURES, InvalidRequest
from api.http.dependencies import JSON, reject_duplicates_except
from api.http.openapi import failure_responses, json_examples
from api.keys.authorization import AuthorizedRoute, requires_scope
from api.keys.errors import AUTHORIZATION_PROBLEMS
from api.principal import Principal, Scope

router = APIRouter(prefix="/v1/changes", tags=["changes"], route_class=AuthorizedRoute)

Reader = Annotated[Principal, requires_scope(Scope.READ)]


@router.get(
    "",
    response_model=Changes,
    summary="Read what changed",
    description="What changed in the workspace since `token`: tasks as they are now, and "
    "deletions. Each change is delivered at least once: keep of each task what has the highest "
    "`version`. For a mirror, request a token, list all tasks (`state=all`), then read on from the "
    "token. A task that changes so that it no longer passes the filters is not delivered. A token "
    "is valid for 30 days; with one that is older, or of another feed, the feed begins anew (410).",
    dependencies=[Depends(reject_duplicates_except("status", "label"))],
    responses={
        200: {"description": "What changed since.", **json_examples("changes")},
        **failure_responses(*AUTHORIZATION_PROBLEMS, FeedExpired, InvalidRequest, *STORE_FAILURES),
    },
)
async def read_changes(
    request: Request, caller: Reader, query: Annotated[ChangesQuery, Query()]
) -> Response:
    changes: ChangesService = request.app.state.changes
    return Response(changes_json(await changes.read(caller.workspace, query)), media_type=JSON)
