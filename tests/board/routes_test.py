"""The board is served at `/`: cheaply, strictly, and only to people."""

import re
from collections.abc import Iterator
from urllib.parse import urljoin

import httpx
import pytest

from api.board.assets import STATIC, load_assets
from api.main import create_app
from api.serving.load import Load
from tests.support import secured_app
from tests.support.builders import Client, settings
from tests.support.server import serving

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
REFERENCE = re.compile(r'(?:src|href)="([^"#]+)"')
PAGE = load_assets().page.body.decode()
FILES = sorted(set(REFERENCE.findall(PAGE)))


def page(client: Client, **headers: str) -> httpx.Response:
    return client.get("/", headers=BROWSER | headers)


@pytest.fixture
def boardless(moto: str) -> Iterator[Client]:
    """A client of an app with BOARD=off."""
    app = create_app(settings(moto, board="off"))
    with serving(app) as url, Client(base_url=url) as client:
        yield client


def test_a_browser_gets_the_page(served: Client) -> None:
    response = page(served)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Vary"] == "Accept"
    assert "<title>Task Tracker</title>" in response.text


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
def test_other_clients_get_links_as_json(served: Client, accept: str) -> None:
    """Each leads somewhere, relative to the page."""
    response = served.get("/", headers={"Accept": accept})
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Vary"] == "Accept"
    links = response.json()
    assert set(links) == {"tasks", "docs", "openapi"}
    for link in links.values():
        assert not link.startswith("/")
        assert served.get(urljoin("/", link)).status_code == 200


def test_without_docs_there_are_no_links_to_them(moto: str) -> None:
    app = create_app(settings(moto, docs="off"))
    with serving(app) as url, Client(base_url=url) as client:
        assert client.get("/").json() == {"tasks": "v1/tasks"}


def test_it_needs_no_key_because_it_holds_no_data(moto: str) -> None:
    with secured_app.serve(moto) as secured:
        assert page(secured.client).status_code == 200
        assert secured.client.get(urljoin("/", FILES[0])).status_code == 200
        assert secured.client.get("/v1/tasks").status_code == 401


def test_the_page_loads_its_own_files_only_by_relative_urls(served: Client) -> None:
    """So it works without internet, and below a base path. Each file has its type."""
    types = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert len(FILES) > 10
    for file in FILES:
        assert re.fullmatch(r"board/[0-9a-f]{16}/[a-z]+\.(css|js|svg)", file)
        response = served.get(urljoin("/", file))
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith(types[file.rpartition(".")[2]])
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_names_every_file_so_that_they_load_at_once() -> None:
    """A module that only another one names would load after it."""
    names = {file.rpartition("/")[2] for file in FILES}
    assert names == {path.name for path in STATIC.iterdir()} - {"index.html"}


@pytest.mark.parametrize("file", ["", FILES[0]])
def test_the_policy_allows_the_apps_own_files_and_nothing_else(served: Client, file: str) -> None:
    """No inline script or style, no evaluation, no markup from text, no framing."""
    policy = served.get(f"/{file}", headers=BROWSER).headers["Content-Security-Policy"]
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))
    assert directives.pop("require-trusted-types-for") == "'script'"
    own = {"connect-src", "img-src", "script-src", "style-src"}
    assert {name for name, sources in directives.items() if sources == "'self'"} == own
    rest = {sources for name, sources in directives.items() if name not in own}
    assert rest == {"'none'"}
    assert {"default-src", "base-uri", "form-action", "frame-ancestors"} <= set(directives)


def test_the_page_is_revalidated_and_its_files_are_kept(served: Client) -> None:
    """A file's URL holds the version of all files; another version has other URLs."""
    assert page(served).headers["Cache-Control"] == "no-cache"
    current = served.get(f"/{FILES[0]}").headers["Cache-Control"]
    assert current == "public, max-age=31536000, immutable"
    name = FILES[0].rpartition("/")[2]
    other = served.get(f"/board/0000000000000000/{name}")
    assert (other.status_code, other.headers["Cache-Control"]) == (200, "no-cache")


@pytest.mark.parametrize("path", ["/", f"/{FILES[0]}"])
def test_what_the_browser_has_is_not_sent_again(served: Client, path: str) -> None:
    etag = served.get(path, headers=BROWSER).headers["ETag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        again = served.get(path, headers=BROWSER | {"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == etag
    assert served.get(path, headers=BROWSER | {"If-None-Match": '"x"'}).status_code == 200


@pytest.mark.parametrize("path", ["/", f"/{FILES[0]}"])
def test_head_gets_the_headers_of_get(served: Client, path: str) -> None:
    got, head = (served.request(method, path, headers=BROWSER) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Cache-Control"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize(
    "path", ["/board/", "/board/x/y.js", "/board/x/index.html", "/board/x/..%2fassets.py"]
)
def test_other_paths_are_not_found(served: Client, path: str) -> None:
    response = served.get(path)
    assert response.status_code == 404
    assert response.json()["type"] == "/problems/not-found"


@pytest.mark.parametrize("path", ["/", f"/{FILES[0]}"])
def test_other_methods_are_refused(served: Client, path: str) -> None:
    response = served.post(path)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_board_off_takes_everything_away(boardless: Client, accept: str) -> None:
    for path in ("/", f"/{FILES[0]}"):
        response = boardless.get(path, headers={"Accept": accept})
        assert response.status_code == 404
        assert response.headers["Content-Type"] == "application/problem+json"


def test_its_labels_are_two_routes(client: Client) -> None:
    """Whatever version and name are requested."""
    page(client)
    for number in range(3):
        client.get(f"/board/{number}/{number}.js")
        client.get(f"/board/{number}/main.js")
    text = client.get("/metrics").text
    routes = set(
        re.findall(r'^http_requests_total{method="GET",route="(/|/board[^"]*)"', text, re.MULTILINE)
    )
    assert routes == {"/", "/board/{version}/{name}"}


def test_its_files_are_shed_under_overload_as_other_requests(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take no place from requests that do work, and cost little when there is none."""
    monkeypatch.setattr(Load, "must_shed", lambda *_: True)
    response = client.get(f"/{FILES[0]}")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert page(client).status_code == 503
