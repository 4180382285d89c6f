"""The running app against schemathesis, which reads the app's own OpenAPI document."""

import copy
import os
import re
import unicodedata
import uuid
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig

from api.changes.models import MAX_STREAM_SECONDS
from api.main import create_app
from api.values import _INVISIBLE, _INVISIBLE_BEYOND_FFFF, LINES_PATTERN, TEXT_PATTERN
from tests.support import builders
from tests.support.builders import Client

pytestmark = pytest.mark.slow

# `make fuzz` sets more.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))

# The method, route and status of requests that were made.
COUNTED = re.compile(
    r'^http_requests_total\{method="(\w+)",route="(.+)",status="(\d+)"\} [1-9]', re.MULTILINE
)
EXACT_PATTERNS = {
    pattern: pattern.replace(_INVISIBLE, _INVISIBLE + _INVISIBLE_BEYOND_FFFF)
    for pattern in (TEXT_PATTERN, LINES_PATTERN)
}
MAX_BULK_ITEMS = 10
# Before a request has an operation, so no operation documents it.
HEADERS_TOO_LARGE = 431

CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {
            # Valid data can still name a missing task (404), a stale ETag (412), no ETag (428) or
            # a cursor of another list (400) or feed (410).
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", 304, 400, 404, 409, 410, 412, 415, 428]
            },
            # RFC 6585 defines a status of its own for a missing If-Match.
            "missing_required_header": {"expected-statuses": [428]},
            # No 5xx: invalid data is the client's fault.
            "negative_data_rejection": {
                "expected-statuses": [400, 404, 405, 410, 412, 413, 415, 422, 428]
            },
        }
    }
)


def _document() -> dict[str, Any]:
    """Leave out the API keys; tests/keys/authorization_test.py tests them on every operation.

    The pattern of texts becomes the exact one, because the fuzzer finds the difference.
    """
    document = copy.deepcopy(create_app(builders.settings("http://127.0.0.1:9")).openapi())
    _use_exact_pattern(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    return document


def _use_exact_pattern(node: Any) -> None:
    if isinstance(node, dict) and node.get("pattern") in EXACT_PATTERNS:
        node["pattern"] = EXACT_PATTERNS[node["pattern"]]
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _use_exact_pattern(each)


schema = schemathesis.openapi.from_dict(_document(), config=CONFIG)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_no_input_gets_an_undocumented_response(
    case: schemathesis.Case[Any], served: Client
) -> None:
    """Status, headers and body of every response are the documented ones, and no status is 500."""
    if case.operation.label == "GET /v1/changes/stream":
        _shorten(case.query)
    if case.meta and case.meta.generation.mode.is_positive:
        _aim_at_existing_data(case, served)
    response = case.call(base_url=str(served.base_url))
    # What the documented limit of a parameter would refuse may already be too long for a request.
    if response.status_code != HEADERS_TOO_LARGE:
        case.validate_response(response)


def _aim_at_existing_data(case: schemathesis.Case[Any], client: Client) -> None:
    """Let valid requests name existing tasks and API keys, and fresh idempotency keys.

    Each API key gets a workspace of its own, because a workspace may have a limited number.
    """
    workspace = uuid.uuid4().hex
    _make_labels_distinct(case.body)
    if case.operation.label == "POST /v1/keys" and isinstance(case.body, dict):
        case.body["workspace"] = workspace
        if case.body.get("expires_at"):
            case.body["expires_at"] = "9999-12-31T23:59:59Z"
    if case.operation.label == "POST /v1/tasks/bulk" and isinstance(case.body, dict):
        body = cast("dict[str, Any]", case.body)
        body["items"] = _existing(body["items"], client)
    if "key_id" in case.path_parameters:
        new = {"label": "x", "scopes": ["tasks:read"], "workspace": workspace}
        case.path_parameters["key_id"] = client.post("/v1/keys", json=new).json()["id"]
    if case.operation.label in {"GET /v1/tasks", "GET /v1/changes", "GET /v1/changes/stream"}:
        _drop_contradictions(case.query)
    _aim_at_task(case, client)
    if "if-match" in case.headers:
        case.headers["if-match"] = "*"
    if "idempotency-key" in case.headers:
        case.headers["idempotency-key"] = str(uuid.uuid4())


def _aim_at_task(case: schemathesis.Case[Any], client: Client) -> None:
    if "task_id" not in case.path_parameters:
        return
    task = client.create()
    task_id = case.path_parameters["task_id"] = task["id"]
    if "comment_id" in case.path_parameters:
        case.path_parameters["comment_id"] = client.comment(task)["id"]
    if case.operation.label.endswith("/restore"):
        client.delete(f"/v1/tasks/{task_id}", headers={"If-Match": "*"})


def _existing(items: list[dict[str, Any]], client: Client) -> list[dict[str, Any]]:
    """Let the items of a bulk name existing tasks, each its own."""
    # moto copies its table for each transaction, so that a large one takes seconds.
    items = items[:MAX_BULK_ITEMS]
    for operation in (each for item in items for each in item.values()):
        if "id" in operation:
            operation |= {"id": client.create()["id"], "etag": "*"}
    return items


def test_the_fuzzer_reads_changes_and_deletes_existing_tasks(served: Client) -> None:
    """And comments. Otherwise it would test 404 responses only."""
    metrics = served.get("/metrics").text
    found = COUNTED.findall(metrics)
    comments = "/v1/tasks/{task_id}/comments"
    assert {
        (method, path, status)
        for path in ("/v1/tasks/{task_id}", f"{comments}/{{comment_id}}")
        for method, status in (("GET", "200"), ("PATCH", "200"), ("DELETE", "204"))
    } | {("POST", comments, "201"), ("GET", comments, "200")} <= set(found)


def test_every_test_has_an_id_of_its_own(request: pytest.FixtureRequest) -> None:
    """pytest-xdist would run only one of several; see conftest.pytest_itemcollected."""
    ids = [item.nodeid for item in request.session.items]
    assert len(ids) == len(set(ids))


def _drop_contradictions(query: dict[str, Any]) -> None:
    """Leave out what contradicts another parameter, which no schema can tell."""
    if "status" in query:
        query.pop("state", None)
    if query.keys() & {"status", "state"} and query.get("sort", "").lstrip("-") != "updated":
        query.pop("sort", None)


def _shorten(query: dict[str, Any]) -> None:
    """Let a stream end at once, unless how long it lasts is invalid."""
    if (
        str(query.get("seconds", 0)).isdigit()
        and int(query.get("seconds", 0)) <= MAX_STREAM_SECONDS
    ):
        query["seconds"] = 0


def _make_labels_distinct(content: Any) -> None:
    """Leave out labels that differ by normalisation only, which JSON Schema takes for distinct."""
    if isinstance(content, list):
        for each in content:
            _make_labels_distinct(each)
    elif isinstance(content, dict):
        for name, value in content.items():
            if name.startswith("labels") and value:
                normal = {unicodedata.normalize("NFC", label).strip(): label for label in value}
                content[name] = list(normal.values())
            else:
                _make_labels_distinct(value)
