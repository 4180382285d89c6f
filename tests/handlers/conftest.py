"""What the tests of the Lambda function share."""

import pytest


@pytest.fixture(autouse=True)
def _any_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve any Host without keys, which saves keys in the golden events.

    Settings refuse AUTH=off in a function, so its check of the Host is not tested here.
    """
    monkeypatch.setattr("api.keys.authorization._require_loopback_host", lambda _scope: None)
