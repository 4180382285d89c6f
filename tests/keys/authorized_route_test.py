"""Routes that authorize before the body of a request is read."""

import pytest

from api.keys.authorized_route import AuthorizedRoute
from tests.support.builders import Client

JSON = {"Content-Type": "application/json"}


def test_a_route_without_a_required_scope_cannot_be_constructed() -> None:
    async def endpoint() -> None: ...

    with pytest.raises(TypeError, match="/open declares no required scope"):
        AuthorizedRoute("/open", endpoint)


@pytest.mark.parametrize("chunks", [[b"{"], [b"x" * 20_000] * 10], ids=["invalid", "too large"])
def test_a_request_without_a_key_gets_401_whatever_its_body(
    guarded_client: Client, chunks: list[bytes]
) -> None:
    response = guarded_client.post("/v1/tasks", content=iter(chunks), headers=JSON)
    assert response.status_code == 401
