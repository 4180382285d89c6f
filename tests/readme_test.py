"""The README: its commands print what it says, and its links and targets exist."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from api.local.processes import ROOT
from api.problem import problem_types
from api.tasks.models import MOVES, STATES, Status
from tests.support.builders import Client

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHOWS = re.compile(r"(?:^# shows .*\n)+", re.MULTILINE)
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(path for room in ("docs", "monitoring") for path in (ROOT / room).rglob("*.md")),
]


def test_the_tour_prints_what_the_readme_shows(client: Client) -> None:
    """The output of each command contains the texts of the `# shows` comments below it."""
    script = "".join(BLOCKS).replace("http://localhost:8000", str(client.base_url))
    groups = SHOWS.findall(script)
    marked = SHOWS.sub("printf '\\n@@\\n'\n", script)
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", marked], capture_output=True, text=True, check=True
    )
    outputs = run.stdout.split("\n@@\n")[:-1]
    assert len(groups) >= 10
    for group, output in zip(groups, outputs, strict=True):
        assert [text for text in group.splitlines() if text[len("# shows ") :] not in output] == []


def test_documented_make_targets_exist() -> None:
    """README and CONTRIBUTING name targets of the Makefile only."""
    text = README + CONTRIBUTING
    documented = set(re.findall(r"(?:^|`|=\S+ )make ([a-z-]+)", text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test"} <= documented <= targets


def test_the_endpoints_are_those_of_the_openapi_document(client: Client) -> None:
    """With their scopes and summaries."""
    rows = re.findall(r"^\| `([A-Z]+) (\S+)` \| (\S+) \| (.+) \|$", README, re.MULTILINE)
    document = client.get("/openapi.json").json()
    assert rows == [
        (method.upper(), path, _scope(operation), operation["summary"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def test_the_statuses_are_those_of_the_api() -> None:
    """With their states, and what they can change to."""
    rows = re.findall(r"^\| `(\w+)` \| (open|closed) \| (.+) \|$", README, re.MULTILINE)
    assert rows == [
        (status, STATES[status], ", ".join(f"`{each}`" for each in Status if each in MOVES[status]))
        for status in Status
    ]


def _scope(operation: dict[str, Any]) -> str:
    return f"`{operation['x-required-scope']}`" if operation["security"] else "none"


def test_the_changelog_lists_every_problem_type() -> None:
    """Each type of api/errors.py and of the packages is in CHANGELOG.md."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert [p for p in problem_types() if f"`{p.type_uri()}`" not in changelog] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_heading(document: Path) -> None:
    """In every Markdown file of the project's root, of docs and of monitoring."""
    for target, anchor in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", document.read_text()):
        linked = document.parent / target if target else document
        assert linked.exists(), target
        assert not anchor or anchor in _anchors(linked), f"{target}#{anchor}"


def test_the_index_of_documents_names_each() -> None:
    index = (ROOT / "docs/README.md").read_text()
    names = [path.name for path in (ROOT / "docs").glob("*.*") if path.name != "README.md"]
    assert [name for name in names if f"]({name}" not in index] == []


def _anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
