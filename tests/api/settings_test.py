"""Settings: read from the environment, refused with a sentence, and all in the README."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from api.__main__ import read_settings
from api.settings import Settings
from tests.support.builders import SECRET
from tests.support.processes import ROOT


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are the fields' in capitals; the region has AWS's older name too."""
    monkeypatch.setenv("CURSOR_SECRET", SECRET)
    monkeypatch.setenv("PORT", "8001")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    read = read_settings()
    assert (read.port, read.aws_region) == (8001, "eu-west-1")


def test_a_wrong_environment_is_said_setting_by_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends with a line for each, and tells no secret."""
    monkeypatch.setenv("CURSOR_SECRET", "hunter2")
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(SystemExit) as end:
        read_settings()
    assert "CURSOR_SECRET" in str(end.value)
    assert "PORT" in str(end.value)
    assert "hunter2" not in str(end.value)


def test_a_secret_does_not_show() -> None:
    """Settings can be printed."""
    assert SECRET not in repr(Settings(cursor_secret=SECRET))


def test_settings_do_not_change() -> None:
    """Whoever holds them may rely on them."""
    with pytest.raises(ValidationError):
        Settings(cursor_secret=SECRET).port = 1  # type: ignore[misc]


def test_the_readme_lists_every_setting() -> None:
    """Name, default and description are those of the code."""
    assert settings_table() in (ROOT / "README.md").read_text()


def settings_table() -> str:
    """Write the README's table of settings."""
    rows = [
        f"| `{name.upper()}` | {_default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | default | what it is |", "|---|---|---|", *rows])


def _default(value: object) -> str:
    if value is None:
        return "none"
    return f"`{value}`" if isinstance(value, str | int) else "must be set"


def test_nothing_is_read_at_import() -> None:
    """No module of the app makes settings, a client or an app by being imported."""
    for module in Path(ROOT / "api").rglob("*.py"):
        outside = re.findall(r"^\w.*\b(Settings|create_app)\(\)", module.read_text(), re.MULTILINE)
        assert not outside, module
