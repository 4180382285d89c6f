"""SECURITY.md: what it leans on is there, and its pattern finds keys."""

import re
import runpy

from tests.support.processes import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
LINK = re.compile(r"\]\(([^)#:]+)\)")


def rows(section: str) -> list[str]:
    """Read the rows of a section's tables, without what is above the line."""
    tables = re.findall(r"^\|[-|]+\|\n((?:\|.*\n)+)", SECTIONS[section], re.MULTILINE)
    return [row for table in tables for row in table.splitlines()]


def test_every_file_that_it_names_is_there() -> None:
    """A proof that was moved or taken out is noticed."""
    named = LINK.findall(TEXT)
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_door_and_every_attempt_has_its_proof() -> None:
    """A file, in the last column; a claim without one is not made."""
    claims = rows("Doors") + rows("What somebody may try")
    assert len(claims) > 20
    for claim in claims:
        assert LINK.search(claim.strip("|").rpartition("|")[2]), claim


def test_a_scanner_finds_keys_by_the_pattern() -> None:
    """In the middle of a text, and nothing where there is none."""
    (pattern,) = re.findall(r"^(tt_\[.*)$", TEXT, re.MULTILINE)
    script = runpy.run_path(str(ROOT / "terraform/scripts/new_key.py"))
    key = script["key"](script["ulid"](1_800_000_000_000), "5e" * 32)
    assert re.findall(pattern, f"curl -H 'Authorization: Bearer {key}' there") == [key]
    assert re.findall(pattern, key.replace("tt_", "tt-")) == []
