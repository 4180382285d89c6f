"""What several tests of reliability need."""

import pytest

from api.dynamodb import retry

# The app's time-out of a call, which a silent fault takes whole.
READ_SECONDS = 0.2


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the app's time-outs, and remove its limit on retries."""
    monkeypatch.setattr(retry, "READ_SECONDS", READ_SECONDS)
    monkeypatch.setattr(retry, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(retry, "RETRY_COST", 0)
