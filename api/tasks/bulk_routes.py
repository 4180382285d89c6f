"""The endpoint that takes many writes at once."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Request
from starlette.responses import Response

from api.errors import BODY_FAILURES, RequestInProgress
from api.http.dependencies import JSON, reject_duplicates_except
from api.http.latency import slow_by_design
from api.http.openapi import example_references, json_examples
from api.keys.authorized_route import AuthorizedRoute, JsonWriter, write_failures
from api.tasks.bulk import BulkResponse, BulkService
from api.tasks.bulk_models import BulkRequest, BulkResults
from api.tasks.errors import (
    IdempotencyKeyReused,
    IllegalMove,
    StaleEtag,
    TaskNotFound,
    TransactionTooLarge,
)
from api.tasks.routes import REPLAYED, REPLAYED_HEADER, IdempotencyKey

Atomic = Annotated[
    bool,
    Query(
        description="Do all items or none. If one is refused, the response is its problem, and "
        "`item` is its index, from 0. Under an `Idempotency-Key` 99 items are allowed.",
        examples=[True],
    ),
]

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=AuthorizedRoute)


@router.post(
    "/bulk",
    response_model=BulkResults,
    summary="Create, change and delete up to 100 tasks",
    description="Items are processed independently, eight at a time. Each result is what a single "
    "request would return: a status or a problem. If an item is invalid, or a task occurs twice, "
    "the whole request is refused and nothing is done. All items share the time limit of one "
    "request; items not done by then have a 503. With an `Idempotency-Key` the request can be "
    "repeated, even if its first run was interrupted: each item takes effect once. New tasks sort "
    "in the order of their items. A body has at most 128 KiB. For the rate limit, each item "
    "counts as a request.",
    dependencies=[Depends(reject_duplicates_except())],
    responses={
        200: {
            "description": "A result for each item, in their order.",
            "headers": REPLAYED_HEADER,
            **json_examples("bulk_results"),
        },
        **write_failures(
            TaskNotFound,
            IllegalMove,
            RequestInProgress,
            StaleEtag,
            TransactionTooLarge,
            *BODY_FAILURES,
            IdempotencyKeyReused,
        ),
    },
)
@slow_by_design
async def run_bulk(
    request: Request,
    caller: JsonWriter,
    bulk: Annotated[BulkRequest, Body(openapi_examples=example_references("bulk"))],
    atomic: Atomic = False,  # noqa: FBT002 - FastAPI passes it by name
    idempotency_key: IdempotencyKey = None,
) -> Response:
    request.app.state.authorizer.charge(request.scope, len(bulk.items))
    bulks: BulkService = request.app.state.bulks
    by = caller.actor
    if atomic:
        return _response(await bulks.run_atomic(caller.workspace, bulk, idempotency_key, by=by))
    if idempotency_key is None:
        return _response(await bulks.run(caller.workspace, bulk, by=by))
    return _response(await bulks.run_once(caller.workspace, bulk, idempotency_key, by=by))


def _response(response: BulkResponse) -> Response:
    headers = REPLAYED if response.is_replay else None
    return Response(response.body, headers=headers, media_type=JSON)
