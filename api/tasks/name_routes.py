"""The endpoints of the names in use."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.http.dependencies import JSON
from api.http.openapi import json_examples
from api.keys.authorized_route import AuthorizedRoute, Reader, read_failures
from api.principal import Principal
from api.tasks.names import NameField, NamesInUse, names_json
from api.tasks.pages import MAX_ROWS_READ

router = APIRouter(prefix="/v1", tags=["names"], route_class=AuthorizedRoute)

DOCUMENTATION: dict[str, Any] = {
    "response_model": NamesInUse,
    "description": "With the number of open tasks that have each, the highest first. Counted from "
    f"the newest {MAX_ROWS_READ} open tasks; changes appear with a short delay.",
    "responses": {
        200: {"description": "The names in use.", **json_examples("names")},
        **read_failures(),
    },
}


async def _names_in_use(request: Request, caller: Principal, field: NameField) -> Response:
    names = await request.app.state.tasks.names_in_use(caller.workspace, field)
    return Response(names_json(names), media_type=JSON)


@router.get("/projects", summary="List the projects of open tasks", **DOCUMENTATION)
async def list_projects(request: Request, caller: Reader) -> Response:
    return await _names_in_use(request, caller, NameField.PROJECT)


@router.get("/labels", summary="List the labels of open tasks", **DOCUMENTATION)
async def list_labels(request: Request, caller: Reader) -> Response:
    return await _names_in_use(request, caller, NameField.LABELS)


@router.get("/assignees", summary="List the assignees of open tasks", **DOCUMENTATION)
async def list_assignees(request: Request, caller: Reader) -> Response:
    return await _names_in_use(request, caller, NameField.ASSIGNEE)
