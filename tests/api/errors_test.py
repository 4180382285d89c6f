"""Every failure is a problem document that helps its reader and tells a stranger nothing."""

import json
import re

import httpx
import pytest

from api import errors, problem_json
from api.main import create_app
from tests.support.builders import MERGE_PATCH, Client, settings
from tests.support.processes import ROOT
from tests.support.server import serving

JSON = {"Content-Type": "application/json"}


def assert_problem(response: httpx.Response, status: int) -> dict[str, object]:
    """Check what all failures have in common."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, object] = response.json()
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["X-Request-Id"]
    assert problem["type"]
    assert problem["title"]
    return problem


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/tasks/", "/v1/tasks/a/b", "/nope", "//", "/docs/x"]
)
def test_no_route_is_a_problem(client: Client, path: str) -> None:
    """A path that nothing answers to is a 404 like any other."""
    assert_problem(client.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/tasks", "GET, POST"),
        ("POST", "/v1/tasks/x", "DELETE, GET, PATCH"),
        ("DELETE", "/livez", "GET"),
        ("PROPFIND", "/v1/tasks", "GET, POST"),
        ("POST", "/metrics", "GET"),
        ("POST", "/docs", "GET"),
    ],
)
def test_a_wrong_method_names_the_right_ones(
    client: Client, method: str, path: str, allowed: str
) -> None:
    """Allow lists every method of the path."""
    response = client.request(method, path)
    assert_problem(response, 405)
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
    ],
)
def test_a_body_that_is_no_object_is_invalid(client: Client, body: bytes) -> None:
    """Whatever json makes of it, it is the caller's fault and not a 500."""
    assert_problem(client.post("/v1/tasks", content=body, headers=JSON), 422)


def test_a_lone_surrogate_is_invalid(client: Client) -> None:
    """It is no character: DynamoDB could not keep it."""
    body = rb'{"title": "\ud800"}'
    assert_problem(client.post("/v1/tasks", content=body, headers=JSON), 422)


def test_nothing_sent_is_echoed(client: Client) -> None:
    """A value may be secret; the answer names the field only."""
    secret = "hunter2-hunter2"
    bodies = [
        {"title": {"x": secret}},
        {"title": "x", "due_at": secret},
        {"title": "x", "status": secret},
    ]
    for body in bodies:
        response = client.post("/v1/tasks", json=body)
        assert_problem(response, 422)
        assert secret not in response.text
    for query in ({"cursor": secret}, {"status": secret}, {"due_from": secret}):
        assert secret not in client.get("/v1/tasks", params=query).text


def test_a_thousand_faults_are_cut_short(client: Client) -> None:
    """The answer to a hostile body stays small."""
    response = client.post("/v1/tasks", json={f"{n}" + "x" * 100: n for n in range(1000)})
    problem = assert_problem(response, 422)
    assert isinstance(problem["errors"], list)
    assert len(problem["errors"]) == problem_json.MOST_FAULTS
    assert len(response.content) < 10_000


@pytest.mark.parametrize("content_type", [None, "text/plain", MERGE_PATCH, "application/jsonx"])
def test_a_new_task_is_json(client: Client, content_type: str | None) -> None:
    """The answer says what is accepted."""
    headers = {"Content-Type": content_type} if content_type else {}
    response = client.post("/v1/tasks", content=b'{"title": "x"}', headers=headers)
    assert_problem(response, 415)
    assert response.headers["Accept-Post"] == "application/json"


def test_a_media_type_may_have_parameters(client: Client) -> None:
    """Case and charset make no other type of it."""
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert client.post("/v1/tasks", content=b'{"title": "x"}', headers=headers).status_code == 201


def test_a_change_is_a_merge_patch(client: Client) -> None:
    """Plain JSON could mean a replacement; RFC 5789 has Accept-Patch say what is meant."""
    task = client.create()
    response = client.patch(f"/v1/tasks/{task['id']}", json={}, headers={"If-Match": "*"})
    assert_problem(response, 415)
    assert response.headers["Accept-Patch"] == MERGE_PATCH


def test_a_chunked_body_is_measured_as_it_comes(client: Client) -> None:
    """No declared length, and still no more than the limit."""
    chunks = (b"x" * 10_000 for _ in range(20))
    response = client.post("/v1/tasks", content=chunks, headers=JSON)
    assert_problem(response, 413)


def test_a_body_at_the_limit_is_read(client: Client) -> None:
    """The limit itself is allowed: it fails for what it says, not for its size."""
    body = b" " * (128 * 1024 - 2) + b"{}"
    assert_problem(client.post("/v1/tasks", content=body, headers=JSON), 422)
    assert_problem(client.post("/v1/tasks", content=b" " + body, headers=JSON), 413)


def test_a_store_that_is_away_says_when_to_come_back(storeless_client: Client) -> None:
    """503 with Retry-After, on reads and writes alike."""
    for response in (
        storeless_client.get("/v1/tasks"),
        storeless_client.post("/v1/tasks", json={"title": "x"}),
        storeless_client.get("/readyz"),
    ):
        problem = assert_problem(response, 503)
        assert problem["type"] == "urn:problem:store-unavailable"
        assert response.headers["Retry-After"] == "1"
    assert storeless_client.get("/livez").status_code == 200


def test_a_missing_table_is_told_apart(moto: str) -> None:
    """On AWS the app makes no table, and readiness says that this is what is missing."""
    app = create_app(settings(moto))
    app.state.repository.create_table = _never
    with serving(app) as url, Client(base_url=url) as client:
        problem = assert_problem(client.get("/readyz"), 503)
    assert problem["type"] == "urn:problem:table-missing"


async def _never() -> None:
    """Stand in for a table that Terraform has not made."""


def test_a_fault_of_ours_is_logged_and_not_told(
    moto: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets a request id, the log gets the traceback."""
    app = create_app(settings(moto))

    async def broken(*_: object) -> None:
        raise RuntimeError("the secret reason")

    app.state.tasks.get = broken
    with serving(app) as url, Client(base_url=url) as client:
        response = client.get("/v1/tasks/x")
    problem = assert_problem(response, 500)
    assert "secret" not in response.text
    (record,) = [record for record in caplog.records if record.message == "unhandled"]
    assert record.exc_info
    assert record.fields["id"] == problem["request_id"]  # type: ignore[attr-defined]


def test_a_request_id_is_kept_if_it_is_harmless(client: Client) -> None:
    """A caller can follow its request; it cannot write into the log."""

    def answered(given: str) -> str:
        headers = {b"X-Request-Id": given.encode()}
        return client.get("/livez", headers=headers).headers["X-Request-Id"]

    assert answered("mine-1.2_3") == "mine-1.2_3"
    for harmful in ("a b", "x" * 65, 'a"b', "", "é"):
        assert re.fullmatch(r"[0-9a-f]{16}", answered(harmful))


def test_the_documented_problems_are_the_ones_there_are() -> None:
    """docs/errors.md has a row for each class, with its status and its title."""
    rows = re.findall(
        r"^\| `(urn:[\w:-]+)` \| (\d+) \| (.+?) \|",
        (ROOT / "docs/errors.md").read_text(),
        re.MULTILINE,
    )
    assert rows == [
        (problem.type_uri(), str(problem.status), problem.title) for problem in _all(errors.Problem)
    ]


def _all(problem: type[errors.Problem]) -> list[type[errors.Problem]]:
    below = [found for child in problem.__subclasses__() for found in (child, *_all(child))]
    concrete = {found for found in below if hasattr(found, "status")}
    return sorted(concrete, key=lambda found: (found.status, found.type_uri()))


def test_problem_documents_are_plain_json() -> None:
    """Nothing in one needs more than JSON to be read."""
    body = problem_json.render(errors.IllegalMove("done", "cancelled", ["todo"]), "id").body
    assert json.loads(bytes(body))["legal_moves"] == ["todo"]


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/keys"])
def test_a_query_that_says_a_thing_twice_is_refused(client: Client, path: str) -> None:
    """It is named: two values would mean different things to what stands in front."""
    problem = assert_problem(client.get(path, params=[("limit", "1"), ("limit", "2")]), 422)
    assert problem["errors"] == [{"location": "query", "field": "limit", "detail": "Say it once."}]
