"""What the platform asks of a process: is it alive, is it ready, how is it doing."""

from fastapi import APIRouter, Request
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api import errors
from api.addresses import is_loopback
from api.openapi import responses

router = APIRouter(tags=["operations"])
# Left out where nobody on this host asks for it.
scraped = APIRouter()


@router.get("/livez", summary="Is the process alive", response_model=dict[str, str])
async def livez() -> Response:
    # Never the store: a platform that restarts tasks because DynamoDB is down makes it worse.
    return _ok()


@router.get(
    "/readyz",
    summary="Can the process reach its table",
    response_model=dict[str, str],
    responses=responses(*errors.STORE_FAILURES),
)
async def readyz(request: Request) -> Response:
    await request.app.state.readiness.check()
    return _ok()


@scraped.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    # By the socket's peer: headers say what their sender likes.
    if not (request.client and is_loopback(request.client.host)):
        raise HTTPException(404)
    page = generate_latest(request.app.state.metrics.registry)
    return Response(page, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _ok() -> Response:
    return Response(b'{"status":"ok"}', media_type="application/json")
