"""The pages that the `type` of a problem points to, and docs/errors.md, which says the same."""

import json
import re
from html import unescape
from typing import Any, NamedTuple

import pytest

from api.errors import NotFound
from api.local.processes import ROOT
from api.problem import Problem, problem_types
from tests.support.builders import Client

PAGE = re.compile(
    r"<h1>(\d+) (.+?)</h1>(?:<p>)(.+)</p><p>For example:</p><pre>(.+?)</pre>", re.DOTALL
)
# In docs/errors.md, below a heading that is the anchor of the type.
SECTION = re.compile(
    r"^### ([\w-]+)\n\n`(\d+)` \*\*(.+?)\*\*\n\n(.+?)\n\n> (.+?)(?=\n\n|\n*\Z)",
    re.MULTILINE | re.DOTALL,
)


class Text(NamedTuple):
    """What a page or a section says about a problem type."""

    status: int
    title: str
    description: str
    detail: str


def one_line(text: str) -> str:
    return " ".join(text.split())


def page_of(problem: type[Problem], client: Client) -> tuple[Text, dict[str, Any]]:
    """Return a page's text, and the problem document that it shows."""
    response = client.get(problem.type_uri())
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    found = PAGE.search(response.text)
    assert found
    status, title, description, example = map(unescape, found.groups())
    document = json.loads(example)
    paragraphs = one_line(description.replace("</p><p>", "\n"))
    return Text(int(status), title, paragraphs, document["detail"]), document


def documented() -> dict[str, Text]:
    sections = SECTION.findall((ROOT / "docs/errors.md").read_text())
    return {
        name: Text(int(status), title, one_line(description), one_line(detail.replace("\n> ", " ")))
        for name, status, title, description, detail in sections
    }


@pytest.mark.parametrize("problem", list(problem_types()), ids=lambda problem: problem.name())
def test_every_problem_type_has_a_page_with_an_example(
    served: Client, problem: type[Problem]
) -> None:
    """The page has the title, the description, and a document as a response has it."""
    text, example = page_of(problem, served)
    assert text[:3] == (problem.status, problem.title, one_line(problem.description()))
    assert text.description
    assert text.detail
    assert example["type"] == problem.type_uri()
    assert example["status"] == problem.status
    assert example["request_id"]


def test_the_page_and_the_section_of_each_type_say_the_same(served: Client) -> None:
    """docs/errors.md has a heading for each type, by status and name."""
    types = sorted(problem_types(), key=lambda problem: (problem.status, problem.name()))
    pages = {problem.name(): page_of(problem, served)[0] for problem in types}
    sections = documented()
    assert sections == pages
    assert list(sections) == list(pages)


def test_the_text_of_a_page_is_escaped(served: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NotFound, "title", "<i>title</i>")
    monkeypatch.setattr(NotFound, "__doc__", "<i>description</i>")
    page = served.get("/problems/not-found").text
    assert page.count("&lt;i&gt;") == 4
    assert "<i>" not in page


def test_an_unknown_problem_type_is_not_found(served: Client) -> None:
    response = served.get("/problems/unknown")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["type"] == "/problems/not-found"
