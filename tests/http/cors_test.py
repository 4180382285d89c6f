"""Responses that are written outside of the CORS middleware carry its headers, too."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.limits import LIMITS
from api.main import create_app
from tests.support import builders
from tests.support.server import serving

ORIGIN = "https://board.example"


@pytest.fixture(scope="module")
def url(moto: str) -> Iterator[str]:
    config = builders.settings(moto, cors_origins=ORIGIN)
    app = create_app(config, limits=LIMITS._replace(head_bytes=1000))

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError

    with serving(app) as url:
        yield url


CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "413 by the middleware": ("POST", "/v1/tasks", {"content": b"x" * (LIMITS.body_bytes + 1)}),
    "431 by the connection": ("GET", f"/v1/tasks?label={'x' * 1000}", {}),
    "500": ("GET", "/bug", {}),
    "404": ("GET", "/nothing", {}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("origin", [ORIGIN, "https://elsewhere.example"])
def test_a_failure_can_be_read_by_pages_of_allowed_origins(
    url: str, case: str, origin: str
) -> None:
    """And by no other page."""
    method, path, options = CASES[case]
    response = httpx.request(method, url + path, headers={"Origin": origin}, **options)
    assert str(response.status_code) == case[:3]
    allowed = response.headers.get("Access-Control-Allow-Origin")
    assert allowed == (ORIGIN if origin == ORIGIN else None)
    if allowed:
        assert "X-Request-Id" in response.headers["Access-Control-Expose-Headers"]
