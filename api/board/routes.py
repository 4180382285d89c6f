"""The board for people at `/`, and its files. They hold no data, so they need no API key."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from api.board.assets import Asset, load_assets
from api.errors import NotFound
from api.http.context import RequestContext
from api.http.etags import is_cached
from api.http.headers import security_headers

# No inline script or style, no other host, and no text that becomes markup: the page's scripts
# cannot assign to innerHTML and its like, because no Trusted Types policy may be created.
POLICY = (
    b"default-src 'none'; base-uri 'none'; connect-src 'self'; form-action 'none'; "
    b"frame-ancestors 'none'; img-src 'self'; script-src 'self'; style-src 'self'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
# Compared with the server's version at each use, which costs a 304.
REVALIDATED = security_headers(POLICY, cache=b"no-cache")
# Another version has another URL.
IMMUTABLE = security_headers(POLICY, cache=b"public, max-age=31536000, immutable")
VARY = {"Vary": "Accept"}
MAY_BE_CACHED: dict[int | str, dict[str, Any]] = {304: {}}

router = APIRouter(include_in_schema=False)


@router.get("/", responses=MAY_BE_CACHED)
async def board(request: Request) -> Response:
    if "text/html" not in request.headers.get("accept", ""):
        return _index(request)
    RequestContext.of(request.scope).security_headers = REVALIDATED
    return _respond(request, load_assets().page, VARY)


@router.get("/board/{version}/{name}", responses={**MAY_BE_CACHED, NotFound.status: {}})
async def board_file(request: Request, version: str, name: str) -> Response:
    assets = load_assets()
    if (asset := assets.files.get(name)) is None:
        raise NotFound
    # While a new version is being rolled out, a page may come from one server and its files from
    # another. They fit together as a rule; they must not be cached together.
    is_current = version == assets.version
    RequestContext.of(request.scope).security_headers = IMMUTABLE if is_current else REVALIDATED
    return _respond(request, asset, {})


def _index(request: Request) -> Response:
    """Return the links for a client that is no browser; relative, as those of the page."""
    links = {"tasks": "v1/tasks"}
    if request.app.state.settings.docs == "on":
        links |= {"docs": "docs", "openapi": "openapi.json"}
    return JSONResponse(links, headers=VARY)


def _respond(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    headers = headers | {"ETag": asset.etag}
    if is_cached(asset.etag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    return Response(asset.body, headers=headers, media_type=asset.media_type)
