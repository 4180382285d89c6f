"""docs/architecture.md describes the code that is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.local.processes import ROOT

DOCUMENT = (ROOT / "docs" / "architecture.md").read_text()
# A file, such as `api/main.py`, or a name that it defines, such as `api/main.py:create_app`.
REFERENCE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.\w+|Makefile|compose\.yaml)(?::(\w+))?`")
REFERENCES = sorted(set(REFERENCE.findall(DOCUMENT)))
ARROWS = set(re.findall(r"^  (\w+)(?:\[.*?\])? --> (\w+)", DOCUMENT, re.MULTILINE))
ROWS = re.findall(r"^\| .+ \| (`.+) \|$", DOCUMENT, re.MULTILINE)


@pytest.mark.parametrize(("file", "name"), REFERENCES)
def test_every_file_exists_and_defines_the_name(file: str, name: str) -> None:
    """A Python file defines the name; another file contains it."""
    text = (ROOT / file).read_text()
    definition = rf"^\s*((async )?def |class )?{name}\b *[:=(]"
    pattern = definition if name and file.endswith(".py") else rf"\b{name}\b"
    assert re.search(pattern, text, re.MULTILINE)


def test_every_row_of_where_to_change_what_names_a_place() -> None:
    """Each row has a file and a name in it; there are at least the twenty of the first version."""
    assert [row for row in ROWS if not any(name for _, name in REFERENCE.findall(row))] == []
    assert len(ROWS) >= 20


def test_the_arrows_are_the_imports() -> None:
    """Each import between packages follows a path of arrows, and each arrow is an import."""
    imports = {edge for path in _sources() for edge in _imports(path) if edge[0] != edge[1]}
    reachable = _closure(ARROWS)
    assert {edge for edge in imports if edge not in reachable} == set()
    assert {arrow for arrow in ARROWS if arrow not in imports} == set()


def _sources() -> list[Path]:
    return [path for room in ("api", "handlers") for path in (ROOT / room).rglob("*.py")]


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    room = _room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("api"):
            for name in node.names:
                target = f"{node.module}.{name.name}"
                yield room, _room(target if _is_module(target) else str(node.module))


def _is_module(dotted: str) -> bool:
    path = ROOT / dotted.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def _room(module: str) -> str:
    """Return the node of the picture that a module belongs to."""
    parts = module.split(".")
    if parts[0] == "handlers":
        return "handlers"
    if len(parts) > 1 and (ROOT / "api" / parts[1]).is_dir():
        return parts[1]
    return "main" if parts[1:2] in (["main"], ["__main__"]) else "ground"


def _closure(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    found = set(arrows)
    while more := {(a, d) for a, b in found for c, d in found if b == c} - found:
        found |= more
    return found
