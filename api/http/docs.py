"""The documentation page with its assets, served by the app itself instead of a CDN."""

import base64
import hashlib
import re

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from api.http.context import RequestContext
from api.http.headers import security_headers

PATH = "/docs"
ASSETS_PATH = f"{PATH}/assets"
INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def install(app: FastAPI) -> None:
    """Add the page and its assets."""
    # Relative URLs, because API Gateway can put a stage before every path.
    page = get_swagger_ui_html(
        title=app.title,
        openapi_url="openapi.json",
        swagger_js_url=f"{ASSETS_PATH[1:]}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS_PATH[1:]}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS_PATH[1:]}/favicon.png",
    )

    headers = security_headers(_policy(bytes(page.body).decode()))

    @app.get(PATH, include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        RequestContext.of(request.scope).security_headers = headers
        return page

    app.mount(ASSETS_PATH, StaticFiles(packages=[("fastapi_offline", "static")]))


def _policy(page: str) -> bytes:
    """Return a content security policy that allows the page's own inline script only."""
    hashes = " ".join(f"'{_hash(script)}'" for script in INLINE_SCRIPT.findall(page))
    return (
        "default-src 'none'; base-uri 'none'; connect-src 'self'; form-action 'none'; "
        "frame-ancestors 'none'; img-src 'self' data:; "
        f"script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'"
    ).encode()


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
