"""The documentation page works without any other host."""

import re
from urllib.parse import urljoin

from tests.support.builders import Client

REFERENCE = re.compile(r'(?:src|href)="([^"]+)"')


def test_the_page_refers_to_its_own_host_only(client: Client) -> None:
    """Each script, style and image that it loads is served by the app."""
    page = client.get("/docs")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    references = REFERENCE.findall(page.text)
    assert len(references) == 3
    for reference in references:
        assert not reference.startswith(("http:", "https:", "//"))
        response = client.get(urljoin("/docs", reference))
        assert response.status_code == 200
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_policy_allows_the_inline_script_by_its_hash(client: Client) -> None:
    """No other inline script runs, and no form or base element leads elsewhere."""
    policy = client.get("/docs").headers["Content-Security-Policy"]
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))
    assert re.fullmatch(r"'self' 'sha256-[A-Za-z0-9+/]{43}='", directives["script-src"])
    assert directives["default-src"] == "'none'"
    assert directives["form-action"] == "'none'"
    assert directives["base-uri"] == "'none'"
    assert not re.search(r"https?:", policy)


def test_urls_are_relative(client: Client) -> None:
    """The page works below a stage of API Gateway."""
    text = client.get("/docs").text
    assert "url: 'openapi.json'" in text.replace('"', "'")
    assert not [reference for reference in REFERENCE.findall(text) if reference.startswith("/")]
