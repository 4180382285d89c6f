"""The OpenAPI document: FastAPI's, with failures as problem documents and what generators need."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.http.dependencies import JSON, MERGE_PATCH
from api.http.openapi_parts import (
    EXAMPLE_REQUEST_ID,
    FAULT,
    HEADERS,
    INFO,
    PROBLEM,
    RATE_LIMIT_HEADERS,
    SECURITY_SCHEMES,
    SERVER,
    header_references,
)
from api.problem import MEDIA_TYPE, Problem, problem_types

PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def operation_id(route: APIRoute) -> str:
    """Name an operation after its function, in the form of most generated clients."""
    first, *others = route.name.split("_")
    return first + "".join(word.capitalize() for word in others)


def document(app: FastAPI, examples: dict[str, Any]) -> dict[str, Any]:
    """Return the document, which is built once, with the examples that the routes refer to."""
    if app.openapi_schema is None:
        base_path = app.state.settings.base_path
        servers = [SERVER | {"url": base_path} if base_path else SERVER]
        app.openapi_schema = get_openapi(
            title=app.title, version=app.version, routes=app.routes, servers=servers, **INFO
        )
        _complete(app.openapi_schema, examples)
    return app.openapi_schema


def example_references(*names: str) -> dict[str, Any]:
    """Refer to examples; inside of an operation FastAPI would drop their nulls."""
    return {name: {"$ref": f"#/components/examples/{name}"} for name in names}


def json_examples(*names: str) -> dict[str, Any]:
    """Give the response of an operation its examples."""
    return {"content": {JSON: {"examples": example_references(*names)}}}


def failure_responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Document the failures of an operation; several may share a status."""
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in problems:
        by_status.setdefault(problem.status, []).append(problem)
    return {status: _failure_response(each) for status, each in by_status.items()}


def _failure_response(problems: list[type[Problem]]) -> dict[str, Any]:
    names = {name: None for each in problems for name in each.example().headers or {}}
    examples = example_references(*(each.name() for each in problems))
    return {
        "description": ", or: ".join(each.title for each in problems),
        "headers": header_references(*names),
        "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA, "examples": examples}},
    }


def _complete(document: dict[str, Any], examples: dict[str, Any]) -> None:
    components = document["components"]
    # FastAPI's own errors are problem documents here.
    for fastapis_own in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(fastapis_own, None)
    components["schemas"] |= {"Fault": FAULT, "Problem": PROBLEM}
    components["securitySchemes"] = SECURITY_SCHEMES
    components["headers"] = HEADERS
    for method, operation in _operations(document):
        _complete_operation(method, operation)
    components["examples"] = examples | _problem_examples(document)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for operations in document["paths"].values():
        yield from operations.items()


def _complete_operation(method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    # FastAPI documents a 422 for every parameter, even one that accepts any text.
    if JSON in responses.get("422", {}).get("content", {}):
        del responses["422"]
    for status, response in responses.items():
        names = ["X-Request-Id"]
        if operation.get("security") and (int(status) < 400 or status == "429"):
            names += RATE_LIMIT_HEADERS
        if status == "415":
            names.append(f"Accept-{method.capitalize()}")
        response["headers"] = response.get("headers", {}) | header_references(*names)
    for parameter in operation.get("parameters", ()):
        _make_not_null(parameter)
    _accept_json_patches(operation)


def _make_not_null(parameter: dict[str, Any]) -> None:
    """Leave null out of a parameter's type: it is left out of a request, or is a text."""
    schema = parameter["schema"]
    if schema.get("anyOf", [])[1:] == [{"type": "null"}]:
        parameter["schema"] = schema.pop("anyOf")[0] | schema


def _accept_json_patches(operation: dict[str, Any]) -> None:
    """Document a merge patch as JSON, too: many generated clients can send nothing else."""
    content = operation.get("requestBody", {}).get("content", {})
    if MERGE_PATCH in content:
        content[JSON] = content[MERGE_PATCH]


def _problem_examples(document: dict[str, Any]) -> dict[str, Any]:
    """Return an example of each problem type that an operation documents."""
    named = {
        name
        for _, operation in _operations(document)
        for response in operation["responses"].values()
        for name in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", ())
    }
    return {
        each.name(): {
            "summary": each.title,
            "description": each.description(),
            "value": each.example().document(request_id=EXAMPLE_REQUEST_ID),
        }
        for each in problem_types()
        if each.name() in named
    }
