"""Labels of API keys."""

import pytest

from tests.support.builders import Client


def test_a_label_is_normalised_like_a_name(served: Client) -> None:
    new = {"label": " cafe\u0301 ", "scopes": ["tasks:read"]}
    assert served.post("/v1/keys", json=new).json()["label"] == "caf\u00e9"


@pytest.mark.parametrize("label", ["\u3164", " ", "a\0", "\u200b" * 100])
def test_a_label_that_cannot_be_seen_is_refused_by_name(served: Client, label: str) -> None:
    response = served.post("/v1/keys", json={"label": label, "scopes": ["tasks:read"]})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "label"
