"""The operational endpoints: liveness, readiness, metrics."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field
from starlette.responses import Response

from api.errors import STORE_FAILURES, BodyTooLarge, NotFound
from api.http.openapi import failure_responses, json_examples
from api.values import is_loopback

PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for")


@dataclass(slots=True)
class Health:
    """The health of the process."""

    status: Annotated[Literal["ok"], Field(description="Always `ok`.", examples=["ok"])]


HEALTHY: dict[int | str, dict[str, Any]] = {200: {"description": "Yes.", **json_examples("health")}}
EXAMPLES: dict[str, Any] = {"health": {"summary": "Healthy", "value": {"status": "ok"}}}
WITHOUT_KEY: dict[str, Any] = {"security": []}

router = APIRouter(tags=["operations"])
# Left out on Lambda, where nothing on the host scrapes it.
scraped_router = APIRouter(include_in_schema=False)


@router.get(
    "/livez",
    summary="Check that the process is alive",
    description="Never calls DynamoDB: restarting the container would not end an outage of it.",
    response_model=Health,
    responses=HEALTHY | failure_responses(BodyTooLarge),
    openapi_extra=WITHOUT_KEY,
)
async def livez() -> Response:
    # Never the store: restarting containers because DynamoDB is down would make it worse.
    return _ok()


@router.get(
    "/readyz",
    summary="Check that the process can reach its table",
    description="Reads one item of the table, at most once a second.",
    response_model=Health,
    responses=HEALTHY | failure_responses(BodyTooLarge, *STORE_FAILURES),
    openapi_extra=WITHOUT_KEY,
)
async def readyz(request: Request) -> Response:
    await request.app.state.readiness.check()
    return _ok()


@scraped_router.get("/metrics")
async def metrics(request: Request) -> Response:
    # Decided on the socket's peer, because headers can be forged; they can only close it, for
    # behind a proxy on this host every client is a loopback peer.
    is_local = request.client is not None and is_loopback(request.client.host)
    if not is_local or any(name in request.headers for name in PROXY_HEADERS):
        raise NotFound
    page = generate_latest(request.app.state.metrics.registry)
    return Response(page, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _ok() -> Response:
    return Response(b'{"status":"ok"}', media_type="application/json")
