"""Error messages of `make stack` on a machine that cannot run it."""

from pathlib import Path

import pytest

from api.local import processes
from monitoring import local_stack
from tests.support.require_tool import require_tool


def test_the_error_for_a_missing_program_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names Debian's packages and the containers."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(local_stack.NotHereError, match=r"apt-get install .* `docker compose up`"),
        local_stack.running(tmp_path),
    ):
        pass


def test_without_alertmanager_the_stack_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest works without it; with it, a missing webhook is named."""
    (tmp_path / "alertmanager").write_text("")
    (tmp_path / "alertmanager").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ALERT_WEBHOOK_URL", raising=False)
    assert "no ALERT_WEBHOOK_URL" in local_stack.where_alerts_go()
    monkeypatch.setenv("ALERT_WEBHOOK_URL", "https://alerts.example")
    assert local_stack.where_alerts_go() == "http://127.0.0.1:9093"
    (tmp_path / "alertmanager").unlink()
    assert "apt-get install prometheus-alertmanager" in local_stack.where_alerts_go()


def test_a_port_in_use_is_reported_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ports are fixed, because the configuration names them."""
    require_tool("prometheus", package="prometheus")
    require_tool("prometheus-node-exporter", package="prometheus-node-exporter")
    monkeypatch.setattr(processes, "wait_until_free", lambda _host, port, _s: port != 9090)
    with (
        pytest.raises(local_stack.NotHereError, match=r"Port 9090 .* systemctl disable"),
        local_stack.running(tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
