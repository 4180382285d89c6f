"""The running app against schemathesis, which reads the app's own OpenAPI document."""

import os
import uuid
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig

from api.main import create_app
from tests.support import builders
from tests.support.builders import Client

# Bounded in `make test`; `make fuzz` looks for longer.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))

CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {
            # Data that fits the document can still meet a task that is not there (404), a tag
            # that is stale (412) or missing (428), or a cursor that is not ours (400).
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", 304, 400, 404, 409, 412, 415, 428]
            },
            # RFC 6585 has a status of its own for a missing If-Match.
            "missing_required_header": {"expected-statuses": [428]},
            # No 5xx in this list: whatever does not fit is the caller's fault.
            "negative_data_rejection": {
                "expected-statuses": [400, 404, 405, 412, 413, 415, 422, 428]
            },
        }
    }
)


def _document() -> dict[str, Any]:
    """Leave the keys out: nobody is asked for one here, and access_test.py tries all of them."""
    document: dict[str, Any] = create_app(builders.settings("http://127.0.0.1:9")).openapi()
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    return document


schema = schemathesis.openapi.from_dict(_document(), config=CONFIG)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_no_input_breaks_the_contract(case: schemathesis.Case[Any], served: Client) -> None:
    """No 500, no undocumented status, no answer that is not as documented."""
    if case.meta and case.meta.generation.mode.is_positive:
        _aim(case, served)
    case.call_and_validate(base_url=str(served.base_url))


def _aim(case: schemathesis.Case[Any], client: Client) -> None:
    """Let data that fits meet a task that is there, and keys that no other request had."""
    if "key_id" in case.path_parameters:
        new = {"label": "x", "scopes": ["tasks:read"]}
        case.path_parameters["key_id"] = client.post("/v1/keys", json=new).json()["id"]
    if "task_id" in case.path_parameters:
        case.path_parameters["task_id"] = client.create()["id"]
    if "if-match" in case.headers:
        case.headers["if-match"] = "*"
    if "idempotency-key" in case.headers:
        case.headers["idempotency-key"] = str(uuid.uuid4())


def test_the_fuzzer_reaches_tasks(served: Client) -> None:
    """Changes and deletions that fit have met a task, not only 404s."""
    metrics = served.get("/metrics").text
    for method, status in (("GET", 200), ("PATCH", 200), ("DELETE", 204)):
        labels = f'method="{method}",route="/v1/tasks/{{task_id}}",status="{status}"'
        assert f"http_requests_total{{{labels}}}" in metrics


def test_no_two_tests_have_one_id(request: pytest.FixtureRequest) -> None:
    """Of those, workers would run one alone; see conftest.pytest_itemcollected."""
    ids = [item.nodeid for item in request.session.items]
    assert len(ids) == len(set(ids))
