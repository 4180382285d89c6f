"""The board's files: safe by construction, small, and of a known version."""

import re
from pathlib import Path

import pytest

from api.board.assets import STATIC, load_assets

SCRIPTS = sorted(STATIC.glob("*.js"))
STYLES = (STATIC / "board.css").read_text()
# What makes markup, code or addresses of text.
UNSAFE = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML|createContextual"
    r"|\beval\(|new Function|srcdoc|javascript:|localStorage|document\.cookie"
)
MAX_LINES = 250
# What a first visit loads.
MAX_BYTES = 120_000


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_module_makes_no_markup_of_text(script: Path) -> None:
    """Nor does it keep anything beyond the tab, or send anything to an absolute URL."""
    text = script.read_text()
    assert UNSAFE.findall(text) == []
    assert re.findall(r"[\"'`](?:https?:)?//|[\"'`]/v1", text) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_module_is_short_and_says_what_it_is_for(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert len(lines) < MAX_LINES
    assert lines[0].startswith("// ")


def test_the_page_has_no_inline_script_style_or_handler() -> None:
    """The policy would block them."""
    page = (STATIC / "index.html").read_text()
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))


def test_the_styles_load_nothing() -> None:
    assert re.findall(r"@import|url\(", STYLES) == []


def test_all_files_together_are_small() -> None:
    assets = load_assets()
    assert sum(len(each.body) for each in (assets.page, *assets.files.values())) < MAX_BYTES


def test_the_version_depends_on_every_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Otherwise a browser would keep an old module beside a new page."""
    for path in STATIC.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr("api.board.assets.STATIC", tmp_path)
    before = load_assets.__wrapped__().version
    for script in SCRIPTS:
        (tmp_path / script.name).write_text("// changed")
        after = load_assets.__wrapped__().version
        assert after != before
        before = after
