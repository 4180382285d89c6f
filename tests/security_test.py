"""SECURITY.md: the files it names exist, and its pattern finds API keys."""

import re
import runpy

from api.local.processes import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
LINK = re.compile(r"\]\(([^)#:]+)\)")


def rows(section: str) -> list[str]:
    """Read the rows of a section's tables without their headers."""
    tables = re.findall(r"^\|[-|]+\|\n((?:\|.*\n)+)", SECTIONS[section], re.MULTILINE)
    return [row for table in tables for row in table.splitlines()]


def test_every_named_file_exists() -> None:
    """A moved or deleted proof fails this test."""
    named = LINK.findall(TEXT)
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_claim_has_a_proof() -> None:
    """The last column of each row links to a file."""
    claims = rows("Entry points") + rows("Attacks and defences")
    assert len(claims) > 20
    for claim in claims:
        assert LINK.search(claim.strip("|").rpartition("|")[2]), claim


def test_a_scanner_finds_keys_by_the_pattern() -> None:
    """The pattern matches a key inside other text, and does not match without the prefix."""
    (pattern,) = re.findall(r"^(tt_\[.*)$", TEXT, re.MULTILINE)
    key = runpy.run_path(str(ROOT / "terraform/scripts/new_key.py"))["key"]("0" * 26, "5e" * 32)
    assert re.findall(pattern, f"curl -H 'Authorization: Bearer {key}' there") == [key]
    assert re.findall(pattern, key.replace("tt_", "tt-")) == []
