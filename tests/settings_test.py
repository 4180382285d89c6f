"""Settings: read from the environment, validated, and documented in the README."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from api.__main__ import read_settings
from api.local.processes import ROOT
from api.settings import Settings
from tests.support.builders import SECRET


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable is a field's name in capitals; AWS_DEFAULT_REGION is read too."""
    monkeypatch.setenv("CURSOR_SECRET", SECRET)
    monkeypatch.setenv("PORT", "8001")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    read = read_settings()
    assert (read.port, read.aws_region) == (8001, "eu-west-1")


def test_each_invalid_variable_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value may be a secret."""
    monkeypatch.setenv("CURSOR_SECRET", "hunter2")
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(SystemExit) as end:
        read_settings()
    assert "CURSOR_SECRET" in str(end.value)
    assert "PORT" in str(end.value)
    assert "hunter2" not in str(end.value)


def test_settings_hide_secrets_and_cannot_be_changed() -> None:
    settings = Settings(cursor_secret=SECRET)
    assert SECRET not in repr(settings)
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_the_readme_lists_every_setting_with_its_default() -> None:
    assert settings_table() in (ROOT / "README.md").read_text()


def settings_table() -> str:
    """Return the README's table of settings."""
    rows = [
        f"| `{name.upper()}` | {_default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | default | what it is |", "|---|---|---|", *rows])


def _default(value: object) -> str:
    if value is None:
        return "none"
    return f"`{value}`" if isinstance(value, str | int) else "must be set"


def test_no_module_creates_settings_or_an_app_at_import() -> None:
    for module in Path(ROOT / "api").rglob("*.py"):
        outside = re.findall(r"^\w.*\b(Settings|create_app)\(\)", module.read_text(), re.MULTILINE)
        assert not outside, module


@pytest.mark.parametrize(
    "example",
    [
        {"cursor_secret": "for-local-use-only-and-not-a-real-secret"},
        {"bootstrap_key": "tt_00000000000000000000000000_" + "0" * 64 + "_b330d6a1"},
    ],
    ids=["cursor secret", "bootstrap key"],
)
def test_example_secrets_are_accepted_for_a_local_store_only(example: dict[str, str]) -> None:
    values: dict[str, Any] = {"cursor_secret": SECRET, **example}
    Settings(**values, dynamodb_endpoint="http://127.0.0.1:9")
    with pytest.raises(ValidationError, match="an example"):
        Settings(**values)


@pytest.mark.parametrize("variable", ["tls_certfile", "tls_keyfile"])
def test_a_certificate_needs_its_key(tmp_path: Path, variable: str) -> None:
    file = tmp_path / "file.pem"
    file.touch()
    values: dict[str, Any] = {"cursor_secret": SECRET, variable: file}
    with pytest.raises(ValidationError, match="belong together"):
        Settings(**values)


@pytest.mark.parametrize("base_path", ["live", "/live/", "/", "//live", "/a b", "/v1", "/v1/x"])
def test_a_base_path_that_could_not_work_is_refused(base_path: str) -> None:
    """It starts with a slash, does not end with one, and is not /v1 of the API's own paths."""
    with pytest.raises(ValidationError, match="base_path"):
        Settings(cursor_secret=SECRET, base_path=base_path)


@pytest.mark.parametrize("base_path", ["/live", "/v1beta", "/shop/orders_2"])
def test_a_base_path_has_one_or_more_segments(base_path: str) -> None:
    assert Settings(cursor_secret=SECRET, base_path=base_path).base_path == base_path
