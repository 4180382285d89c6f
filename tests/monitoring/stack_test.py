"""What `make stack` says where it cannot run."""

from pathlib import Path

import pytest

from tests.support import processes, stack
from tests.support.presence import need


def test_a_missing_program_is_named_with_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's packages, or containers."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(stack.NotHereError, match=r"apt-get install .* `docker compose up`"),
        stack.running(tmp_path),
    ):
        pass


def test_a_taken_port_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration names the ports; another would not be scraped."""
    need("prometheus", package="prometheus")
    need("prometheus-node-exporter", package="prometheus-node-exporter")
    monkeypatch.setattr(processes, "wait_until_free", lambda _host, port, _s: port != 9090)
    with (
        pytest.raises(stack.NotHereError, match=r"Port 9090 .* systemctl disable"),
        stack.running(tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
