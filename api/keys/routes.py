"""The endpoints of API keys."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from starlette.responses import Response

from api.errors import BODY_FAILURES, InvalidCursor, InvalidRequest
from api.http.dependencies import JSON, reject_duplicates_except
from api.http.openapi import example_references, json_examples
from api.keys.authorized_route import AuthorizedRoute, read_failures, requires_scope, write_failures
from api.keys.errors import ApiKeyNotFound, TooManyKeys, WorkspaceNotAllowed
from api.keys.examples import KEY
from api.keys.models import CreatedKey, KeyPage, KeyQuery, NewKey, created_key_json, key_page_json
from api.keys.service import KeyService
from api.principal import Principal, Scope

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=AuthorizedRoute)


Admin = Annotated[Principal, requires_scope(Scope.ADMIN)]
JsonAdmin = Annotated[Principal, requires_scope(Scope.ADMIN, body=(JSON,))]


def _keys(request: Request) -> KeyService:
    service: KeyService = request.app.state.keys
    return service


def _workspace(caller: Principal, named: str | None) -> str:
    """Return the workspace whose keys are meant; only an operator may name another's.

    Raises:
        WorkspaceNotAllowed: the caller may not.
    """
    if named not in {None, caller.workspace} and not caller.operator:
        raise WorkspaceNotAllowed
    return named or caller.workspace


@router.post(
    "",
    status_code=201,
    response_model=CreatedKey,
    summary="Create a key",
    description="The response contains the key. It is not shown again, because only a hash of it "
    "is stored. A workspace can have several keys; create the next one before you revoke the last. "
    "A key cannot create one with a scope that it lacks, or that ends later than itself.",
    responses={
        201: {"description": "The key.", **json_examples("created_key")},
        **write_failures(WorkspaceNotAllowed, TooManyKeys, *BODY_FAILURES),
    },
)
async def create_key(
    request: Request,
    caller: JsonAdmin,
    new: Annotated[NewKey, Body(openapi_examples=example_references("new_key"))],
) -> Response:
    created = await _keys(request).create(caller, _workspace(caller, new.workspace), new)
    return Response(created_key_json(created), 201, media_type=JSON)


@router.get(
    "",
    response_model=KeyPage,
    summary="List keys",
    dependencies=[Depends(reject_duplicates_except())],
    description="Newest first. Expired and revoked keys stay listed for 30 days; new keys appear "
    "with a short delay.",
    responses={
        200: {"description": "One page.", **json_examples("key_page")},
        **read_failures(WorkspaceNotAllowed, InvalidCursor, InvalidRequest),
    },
)
async def list_keys(
    request: Request, caller: Admin, query: Annotated[KeyQuery, Query()]
) -> Response:
    page = await _keys(request).list(_workspace(caller, query.workspace), query)
    return Response(key_page_json(page), media_type=JSON)


@router.delete(
    "/{key_id}",
    status_code=204,
    response_class=Response,
    summary="Revoke a key",
    description="The key stops working; in other processes of the service, within seconds. "
    "Safe to repeat.",
    responses={
        204: {"description": "The key is revoked."},
        **write_failures(ApiKeyNotFound, InvalidRequest),
    },
)
async def revoke_key(
    request: Request,
    caller: Admin,
    key_id: Annotated[str, Path(description="The key's `id`.", examples=[KEY["id"]])],
    *,
    with_created: Annotated[
        bool,
        Query(
            description="Also revoke the keys that it created, directly or not.", examples=[True]
        ),
    ] = False,
) -> Response:
    keys = _keys(request)
    revoke = keys.revoke_with_created if with_created else keys.revoke
    await revoke(key_id, None if caller.operator else caller.workspace)
    return Response(status_code=204)
