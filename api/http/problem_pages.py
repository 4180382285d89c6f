"""The page that a problem's `type` points to."""

import json
from html import escape

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from api.errors import NotFound
from api.http.openapi_parts import EXAMPLE_REQUEST_ID
from api.problem import Problem, problem_types

router = APIRouter(include_in_schema=False)


@router.get("/problems/{name}")
async def problem_page(name: str) -> Response:
    for problem in problem_types():
        if problem.name() == name:
            return HTMLResponse(_page(problem))
    raise NotFound


def _page(problem: type[Problem]) -> str:
    title = escape(f"{problem.status} {problem.title}")
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in problem.description().split("\n\n"))
    example = problem.example().document(request_id=EXAMPLE_REQUEST_ID)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1>{paragraphs}<p>For example:</p>"
        f"<pre>{escape(json.dumps(example, indent=2), quote=False)}</pre></html>"
    )
