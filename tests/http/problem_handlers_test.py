"""Every failure is a problem document that helps the client and reveals nothing else."""

import re

import httpx
import pytest

from api.http import problem_handlers
from api.main import create_app
from tests.support.builders import MERGE_PATCH, Client, settings
from tests.support.server import serving

JSON = {"Content-Type": "application/json"}


def assert_problem(response: httpx.Response, status: int, name: str = "") -> dict[str, object]:
    """Check what all problem documents have in common, and the last part of the type."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, object] = response.json()
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["X-Request-Id"]
    assert str(problem["type"]).startswith(f"/problems/{name}")
    assert problem["title"]
    assert problem["detail"]
    return problem


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/tasks/a/b", "/nope", "/v1//tasks", "/docs/x", "/problems/unknown"]
)
def test_a_path_without_a_route_gets_404_that_lists_the_paths(served: Client, path: str) -> None:
    """They are those of the OpenAPI document; the requested path is not repeated."""
    detail = str(assert_problem(served.get(path), 404, "not-found")["detail"])
    first, listed = detail.split(" There are ")
    assert first == "There is nothing at this path."
    assert listed.endswith("; /openapi.json describes them.")
    paths = listed.split(";")[0].split(", ")
    assert paths == sorted(served.get("/openapi.json").json()["paths"])


@pytest.mark.parametrize("path", ["/v1/tasks/", "/v1/tasks/a/", "/readyz/"])
def test_a_path_with_a_slash_at_its_end_gets_404_that_explains_it(
    served: Client, path: str
) -> None:
    problem = assert_problem(served.get(path), 404, "not-found")
    assert problem["detail"] == "Remove the slash at the end of the path."


def test_without_documentation_a_404_lists_no_paths(moto: str) -> None:
    """DOCS=off does not describe the API to strangers."""
    app = create_app(settings(moto, docs="off"))
    with serving(app) as url, Client(base_url=url) as client:
        problem = assert_problem(client.get("/nope"), 404, "not-found")
    assert problem["detail"] == "There is nothing at this path."


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/tasks", "GET, HEAD, POST"),
        ("POST", "/v1/tasks/x", "DELETE, GET, HEAD, PATCH"),
        ("DELETE", "/livez", "GET, HEAD"),
        ("PROPFIND", "/v1/tasks", "GET, HEAD, POST"),
        ("POST", "/metrics", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
    ],
)
def test_a_wrong_method_gets_405_with_all_methods_of_the_path(
    served: Client, method: str, path: str, allowed: str
) -> None:
    response = served.request(method, path)
    problem = assert_problem(response, 405, "method-not-allowed")
    assert problem["detail"] == f"This path allows {allowed}."
    assert response.headers["Allow"] == allowed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'{"title": ' + b"9" * 5000 + b"}",
        b'"x"',
        b"null",
        rb'{"title": "\ud800"}',
        b" " * (128 * 1024 - 2) + b"{}",
    ],
)
def test_a_body_that_is_not_a_valid_json_object_gets_422(served: Client, body: bytes) -> None:
    """Including a lone surrogate, which is not a character, and a body of the maximum size."""
    assert_problem(served.post("/v1/tasks", content=body, headers=JSON), 422, "invalid-request")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"title": "x" x}', "invalid JSON at line 1, column 15: "),
        (b'{\n  "title": "x"\n  "status": "todo"\n}', "invalid JSON at line 3, column 3: "),
        ('{"title": "\u00e9\u00e9"'.encode(), "invalid JSON at line 1, column 15: "),
        (b"", "must be sent"),
        (b'"x"', "must be a JSON object"),
        (b"\xff\xfe\x00", "must be JSON in UTF-8"),
    ],
)
def test_the_detail_of_an_invalid_body_says_where_and_what(
    served: Client, body: bytes, detail: str
) -> None:
    """Lines and columns count characters from 1, as editors do."""
    response = served.post("/v1/tasks", content=body, headers=JSON)
    problem = assert_problem(response, 422, "invalid-request")
    assert str(problem["detail"]).startswith(f"body: {detail}")


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "detail"),
    [
        ("DELETE", "/v1/tasks/x", {"If-Match": "a5a7d12d3d028369"}, None,
         'header If-Match: put the ETag in double quotes, such as "a5a7d12d3d028369"'),
        ("POST", "/v1/tasks/bulk", {}, {"items": [{"delete": {"id": "x", "etag": "a5a7"}}]},
         "body items/0/delete/etag: the double quotes belong to the ETag"),
        ("POST", "/v1/tasks", {"Idempotency-Key": "a, b"}, {"title": "x"},
         "header Idempotency-Key: must be 1 to 255 visible ASCII characters without commas"),
        ("POST", "/v1/keys", {}, {"label": "x", "scopes": ["admin"], "workspace": "My team"},
         "body workspace: must be 1 to 63 lower-case letters, digits and dashes"),
        ("POST", "/v1/tasks", {}, {}, "body title: must be sent"),
        ("POST", "/v1/tasks", {}, {"title": "x", "colour": 1}, "body colour: there is no such"),
        ("POST", "/v1/tasks", {}, {"title": 1}, "body title: must be a string"),
        ("POST", "/v1/tasks", {}, {"title": ""}, "body title: must not be empty"),
        ("POST", "/v1/tasks", {}, {"title": "x" * 201}, "body title: must have at most 200 char"),
        ("POST", "/v1/tasks", {}, {"title": "x", "priority": "now"},
         "body priority: must be 'none', 'low', 'medium', 'high' or 'urgent'"),
        ("POST", "/v1/tasks", {}, {"title": "x", "labels": "a"}, "body labels: must be an array"),
        ("POST", "/v1/tasks", {}, {"title": "x", "labels": [f"{n}" for n in range(21)]},
         "body labels: must have at most 20 items"),
        ("POST", "/v1/tasks/bulk", {}, {"items": []}, "body items: must not be empty"),
        ("POST", "/v1/tasks/bulk?atomic=perhaps", {}, {"items": []},
         "query atomic: must be true or false"),
        ("GET", "/v1/tasks?limit=0", {}, None, "query limit: must be at least 1"),
        ("GET", "/v1/tasks?limit=101", {}, None, "query limit: must be at most 100"),
        ("GET", "/v1/tasks?limit=all", {}, None, "query limit: must be an integer"),
        ("GET", "/v1/tasks?view=all", {}, None, "query view: must be 'full' or 'brief'"),
    ],
)  # fmt: skip
def test_the_detail_of_an_invalid_field_says_what_to_send(  # noqa: PLR0913, PLR0917
    served: Client, method: str, path: str, headers: dict[str, str], body: object, detail: str
) -> None:
    """Instead of a regular expression, or of pydantic's words."""
    response = served.request(method, path, headers=headers, json=body)
    problem = assert_problem(response, 422, "invalid-request")
    assert str(problem["detail"]).startswith(detail)


@pytest.mark.parametrize(
    "chunks", [[b" " * (128 * 1024 + 1)], [b"x" * 10_000] * 20], ids=["one chunk", "many chunks"]
)
def test_a_body_without_a_declared_length_gets_413_above_the_limit(
    served: Client, chunks: list[bytes]
) -> None:
    response = served.post("/v1/tasks", content=iter(chunks), headers=JSON)
    assert_problem(response, 413, "body-too-large")


def test_a_problem_document_does_not_contain_input(served: Client) -> None:
    """Input may be secret."""
    secret = "hunter2-hunter2"
    for body in ({"title": {"x": secret}}, {"title": "x", "due_at": secret, "status": secret}):
        response = served.post("/v1/tasks", json=body)
        assert_problem(response, 422)
        assert secret not in response.text
    for query in ({"cursor": secret}, {"status": secret}, {"due_from": secret}):
        assert secret not in served.get("/v1/tasks", params=query).text


def test_a_problem_document_lists_a_limited_number_of_errors(served: Client) -> None:
    response = served.post("/v1/tasks", json={f"{n}" + "x" * 100: n for n in range(1000)})
    problem = assert_problem(response, 422)
    assert isinstance(problem["errors"], list)
    assert len(problem["errors"]) == problem_handlers.MAX_ERRORS
    assert len(response.content) < 10_000


@pytest.mark.parametrize("content_type", [None, "text/plain", MERGE_PATCH, "application/jsonx"])
def test_creating_a_task_requires_json(served: Client, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = served.post("/v1/tasks", content=b'{"title": "x"}', headers=headers)
    assert_problem(response, 415)
    assert response.headers["Accept-Post"] == "application/json"


def test_a_media_type_is_compared_without_case_and_parameters(served: Client) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert served.post("/v1/tasks", content=b'{"title": "x"}', headers=headers).status_code == 201


@pytest.mark.parametrize("content_type", [MERGE_PATCH, "application/json"])
def test_a_change_is_a_merge_patch_under_both_media_types(
    served: Client, content_type: str
) -> None:
    """Generated clients send application/json; what is absent stays all the same."""
    task = served.create(project="kept")
    headers = {"If-Match": task["etag"], "Content-Type": content_type}
    changed = served.patch(f"/v1/tasks/{task['id']}", content=b'{"title": "y"}', headers=headers)
    assert (changed.json()["title"], changed.json()["project"]) == ("y", "kept")


def test_changing_a_task_requires_merge_patch_or_json(served: Client) -> None:
    """RFC 5789 defines Accept-Patch for this response."""
    headers = {"If-Match": "*", "Content-Type": "application/json-patch+json"}
    response = served.patch("/v1/tasks/x", content=b"[]", headers=headers)
    problem = assert_problem(response, 415)
    assert problem["detail"] == "Send application/merge-patch+json or application/json."
    assert response.headers["Accept-Patch"] == "application/merge-patch+json, application/json"


def test_an_unreachable_store_gets_503_with_retry_after(storeless_client: Client) -> None:
    """The process itself stays alive."""
    for response in (
        storeless_client.get("/v1/tasks"),
        storeless_client.post("/v1/tasks", json={"title": "x"}),
        storeless_client.get("/readyz"),
    ):
        assert_problem(response, 503, "store-unavailable")
        assert response.headers["Retry-After"] == "1"
    assert storeless_client.get("/livez").status_code == 200


def test_readiness_reports_a_missing_table(moto: str) -> None:
    """On AWS the app does not create its table."""
    app = create_app(settings(moto))

    async def create_nothing() -> None: ...

    app.state.repository.create_table = create_nothing
    with serving(app) as url, Client(base_url=url) as client:
        assert_problem(client.get("/readyz"), 503, "table-not-found")


def test_the_traceback_of_a_bug_is_logged_and_not_returned(
    moto: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings(moto))

    async def broken(*_: object) -> None:
        raise RuntimeError("the secret reason")

    app.state.tasks.get = broken
    with serving(app) as url, Client(base_url=url) as client:
        response = client.get("/v1/tasks/x")
    problem = assert_problem(response, 500, "internal-error")
    assert "secret" not in response.text
    (record,) = [record for record in caplog.records if record.message == "unhandled"]
    assert record.exc_info
    assert record.fields["id"] == problem["request_id"]  # type: ignore[attr-defined]


def test_a_harmless_request_id_is_kept_and_any_other_is_replaced(served: Client) -> None:
    """A request id cannot inject anything into the log."""

    def request_id(sent: str) -> str:
        headers = {b"X-Request-Id": sent.encode()}
        return served.get("/livez", headers=headers).headers["X-Request-Id"]

    assert request_id("mine-1.2_3") == "mine-1.2_3"
    for harmful in ("a b", "x" * 65, 'a"b', "", "é"):
        assert re.fullmatch(r"[0-9a-f]{16}", request_id(harmful))


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/keys"])
def test_a_duplicate_query_parameter_gets_422(served: Client, path: str) -> None:
    """A proxy in front might use the other value."""
    problem = assert_problem(served.get(path, params=[("limit", "1"), ("limit", "2")]), 422)
    assert problem["errors"] == [
        {"location": "query", "field": "limit", "detail": "Duplicate query parameter."}
    ]
