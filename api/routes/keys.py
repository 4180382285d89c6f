"""API keys over HTTP, for those who give them out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from api import errors
from api.access import Caller, GuardedRoute, needs
from api.keyring import KeyRing
from api.keys import KeyPage, KeyQuery, MadeKey, NewKey, Scope, key_page_json, made_key_json
from api.openapi import responses
from api.routes.checks import JSON, json_only, said_once

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=GuardedRoute)


async def _ring(request: Request) -> KeyRing:
    ring: KeyRing = request.app.state.ring
    return ring


Ring = Annotated[KeyRing, Depends(_ring)]


@router.post(
    "",
    status_code=201,
    response_model=MadeKey,
    summary="Make a key",
    description="The answer shows the key, and nothing else ever will: only a hash is kept. "
    "Several keys of a workspace can live at once; make the next before the last is revoked.",
    dependencies=[Depends(json_only)],
    openapi_extra=needs(Scope.ADMIN),
    responses={
        201: {"description": "The key."},
        **responses(
            *errors.ACCESS_PROBLEMS,
            errors.ForeignWorkspace,
            errors.BodyTooLarge,
            errors.WrongMediaType,
            errors.InvalidRequest,
            *errors.WRITE_FAILURES,
        ),
    },
)
async def create_key(ring: Ring, caller: Caller, new: NewKey) -> Response:
    made = await ring.create(caller.workspace_of_keys(new.workspace), new)
    return Response(made_key_json(made), 201, media_type=JSON)


@router.get(
    "",
    response_model=KeyPage,
    summary="List keys",
    dependencies=[Depends(said_once)],
    description="Newest first. Those that are over stay for a month; new ones take a moment.",
    openapi_extra=needs(Scope.ADMIN),
    responses={
        200: {"description": "One page."},
        **responses(
            *errors.ACCESS_PROBLEMS,
            errors.ForeignWorkspace,
            errors.BadCursor,
            errors.InvalidRequest,
            *errors.STORE_FAILURES,
        ),
    },
)
async def list_keys(ring: Ring, caller: Caller, query: Annotated[KeyQuery, Query()]) -> Response:
    page = await ring.list(caller.workspace_of_keys(query.workspace), query)
    return Response(key_page_json(page), media_type=JSON)


@router.delete(
    "/{key_id}",
    status_code=204,
    response_class=Response,
    summary="Revoke a key",
    description="It opens nothing from now on; other tasks of the service hear of it within "
    "seconds. Safe to repeat.",
    openapi_extra=needs(Scope.ADMIN),
    responses={
        204: {"description": "The key is revoked."},
        **responses(*errors.ACCESS_PROBLEMS, errors.KeyNotFound, *errors.WRITE_FAILURES),
    },
)
async def revoke_key(
    ring: Ring, caller: Caller, key_id: Annotated[str, Path(description="The key's `id`.")]
) -> Response:
    await ring.revoke(key_id, None if caller.operator else caller.workspace)
    return Response(status_code=204)
