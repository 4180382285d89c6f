"""The OpenAPI document serves readers and generators of clients; its examples are true."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator

from api.main import create_app
from api.problem import problem_types
from tests.support.builders import Client, settings

DOCUMENT: dict[str, Any] = json.loads(
    json.dumps(create_app(settings("http://127.0.0.1:9")).openapi())
)
COMPONENTS = DOCUMENT["components"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
# What a generator makes of a default: a field that must be sent.
DEFAULTS = re.compile(r'"default":')


class Example(NamedTuple):
    """A value, where it stands, and the schema that it must match."""

    where: str
    value: Any
    schema: dict[str, Any]


def resolved(node: Any) -> Any:
    """Follow a reference into the components."""
    while isinstance(node, dict) and "$ref" in node:
        _, _, kind, name = node["$ref"].split("/")
        node = COMPONENTS[kind][name]
    return node


def media_types() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each body of a request and of a response."""
    for name, operation in OPERATIONS.items():
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} {media_type}", content
        for status, response in operation["responses"].items():
            for content in response.get("content", {}).values():
                yield f"{name} {status}", content


def schema_examples(where: str, node: Any) -> Iterator[Example]:
    """Yield the examples inside of a schema, or of anything that contains schemas."""
    if isinstance(node, dict):
        if isinstance(node.get("examples"), list):
            schema = {key: value for key, value in node.items() if key != "examples"}
            yield from (Example(where, value, schema) for value in node["examples"])
        for key, each in node.items():
            yield from schema_examples(f"{where}/{key}", each)
    elif isinstance(node, list):
        for place, each in enumerate(node):
            yield from schema_examples(f"{where}/{place}", each)


def all_examples() -> list[Example]:
    bodies = [
        Example(f"{where} {name}", resolved(example)["value"], content["schema"])
        for where, content in media_types()
        for name, example in content["examples"].items()
    ]
    fields = [*schema_examples("", DOCUMENT["paths"])]
    for kind in ("schemas", "headers"):
        fields += schema_examples(kind, COMPONENTS[kind])
    return bodies + fields


def test_every_example_matches_its_schema() -> None:
    """Of each request, response, field, parameter and header."""
    examples = all_examples()
    assert len(examples) > 200
    for example in examples:
        schema = {**example.schema, "components": COMPONENTS}
        errors = [
            error.message for error in Draft202012Validator(schema).iter_errors(example.value)
        ]
        assert errors == [], example.where


def test_every_body_has_an_example() -> None:
    """Of each request, and of each response that has a body."""
    assert [where for where, content in media_types() if not content.get("examples")] == []


def test_every_parameter_has_a_description_and_an_example() -> None:
    for name, operation in OPERATIONS.items():
        for parameter in operation.get("parameters", []):
            where = f"{name} {parameter['name']}"
            assert parameter["description"], where
            assert parameter["schema"]["examples"], where
            # It is left out, or has a value: neither a header nor a query can be null.
            assert '"null"' not in json.dumps(parameter), where


@pytest.mark.parametrize("name", COMPONENTS["schemas"])
def test_every_field_has_a_description_and_an_example(name: str) -> None:
    """An object that is a field has them in its own fields; so has each item of a list."""
    schema = COMPONENTS["schemas"][name]
    assert schema["description"]
    for field, definition in schema.get("properties", {}).items():
        assert definition.get("description"), field
        assert definition.get("examples") or _is_object(definition), field


def _is_object(definition: dict[str, Any]) -> bool:
    variants = definition.get("items", definition)
    return all(
        resolved(variant).get("type") == "object" for variant in variants.get("anyOf", [variants])
    )


def test_every_header_has_a_description_and_an_example() -> None:
    for operation in OPERATIONS.values():
        for response in operation["responses"].values():
            assert "X-Request-Id" in response["headers"]
            for header in response["headers"].values():
                assert resolved(header)["description"]
                assert resolved(header)["schema"]["examples"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_example_of_each_request_succeeds(name: str, client: Client) -> None:
    """Under each media type; what a path names exists."""
    method, path = name.split(" ")
    for media_type, content in OPERATIONS[name].get("requestBody", {}).get("content", {}).items():
        for example in content["examples"].values():
            response = client.request(
                method,
                _filled(path, client),
                content=json.dumps(resolved(example)["value"]),
                headers={"Content-Type": media_type, "If-Match": "*"},
            )
            assert response.is_success, response.text


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name.startswith("GET /v1")])
def test_the_example_of_each_query_parameter_is_accepted(name: str, client: Client) -> None:
    """Except for a cursor and a token, which only the service can make."""
    path = _filled(name.split(" ")[1], client)
    for parameter in OPERATIONS[name].get("parameters", []):
        if parameter["in"] == "query" and parameter["name"] not in {"cursor", "token"}:
            for value in parameter["schema"]["examples"]:
                short = {"seconds": 0} if path.endswith("/stream") else {}
                response = client.get(path, params=short | {parameter["name"]: value})
                assert response.status_code == 200, response.text


def _filled(path: str, client: Client) -> str:
    """Fill a path with the ids of a task and of its comment."""
    task = client.create()
    return path.format(task_id=task["id"], comment_id=client.comment(task)["id"])


def test_an_operation_is_named_as_its_function_is() -> None:
    """Generated clients name their functions so; each name occurs once."""
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert {"createTask", "listTasks", "readTask", "changeTask", "deleteTask"} <= set(names)
    assert all(re.fullmatch("[a-z]+([A-Z][a-z]+)*", name) for name in names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["NewTask", "TaskChange", "NewKey", "BulkItem", "BulkRequest"])
def test_no_field_of_a_request_has_a_default(name: str) -> None:
    """Some generators make such a field required, or send its default in every request."""
    assert not DEFAULTS.search(json.dumps(COMPONENTS["schemas"][name]))


def test_the_values_of_enumerations_have_names() -> None:
    """A generator cannot make a name of `-created`."""
    enumerations = [
        schema for schema in COMPONENTS["schemas"].values() if len(schema.get("enum", [])) > 1
    ]
    assert len(enumerations) >= 6
    for schema in enumerations:
        assert len(schema["x-enum-varnames"]) == len(schema["enum"])
    assert "CREATED_DESCENDING" in COMPONENTS["schemas"]["Sort"]["x-enum-varnames"]


def test_the_examples_of_failures_are_the_problems_own() -> None:
    """Each is a document as a response has it."""
    problems = {problem.name(): problem for problem in problem_types()}
    documented = COMPONENTS["examples"].keys() & problems.keys()
    assert {"task-not-found", "stale-etag", "rate-limit-exceeded"} <= documented
    for name in documented:
        assert COMPONENTS["examples"][name]["value"]["type"] == problems[name].type_uri()
        assert COMPONENTS["examples"][name]["value"]["status"] == problems[name].status


def test_a_retry_is_documented_where_a_failure_passes() -> None:
    """429 and 503 always carry Retry-After, 401 WWW-Authenticate."""
    for operation in OPERATIONS.values():
        for status, response in operation["responses"].items():
            assert ("Retry-After" in response["headers"]) >= (status in {"429", "503"})
            assert ("WWW-Authenticate" in response["headers"]) >= (status in {"401", "403"})


def test_no_text_is_for_authors_of_the_code() -> None:
    """Descriptions are those of the API; pydantic and dataclasses are not part of it."""
    assert not re.search("pydantic|dataclass|FastAPI", json.dumps(DOCUMENT))
