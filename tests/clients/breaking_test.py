"""A change of the OpenAPI document that breaks clients is found, unless it is declared."""

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import LINT
from tests.support.openapi_document import document

Document = dict[str, Any]
BEFORE: Document = json.loads(document())
CHANGELOG = """# Changelog

## Unreleased

### Breaking changes of the OpenAPI document

{}
## 1.0.0

### Breaking changes of the OpenAPI document

- `GET /v1/labels`
"""


def check(folder: Path, after: Document, *declared: str) -> tuple[int, list[str]]:
    """Return the exit status, and the lines of the breaks."""
    files = [folder / name for name in ("before.json", "after.json", "CHANGELOG.md")]
    lines = "".join(f"- `{line}`: because.\n" for line in declared)
    for file, text in zip(
        files, (json.dumps(BEFORE), json.dumps(after), CHANGELOG.format(lines)), strict=True
    ):
        file.write_text(text)
    done = subprocess.run(
        ["node", LINT / "breaking.mjs", *files], capture_output=True, text=True, check=False
    )
    breaks = [line[3:-1] for line in done.stderr.splitlines() if line.startswith("- `")]
    return done.returncode, breaks


def _remove_operation(document: Document) -> None:
    del document["paths"]["/v1/labels"]


def _remove_parameter(document: Document) -> None:
    listing = document["paths"]["/v1/tasks"]["get"]
    listing["parameters"] = [each for each in listing["parameters"] if each["name"] != "q"]


def _require_field(document: Document) -> None:
    document["components"]["schemas"]["NewTask"]["required"].append("project")


def _remove_field(document: Document) -> None:
    task = document["components"]["schemas"]["Task"]
    del task["properties"]["version"]
    task["required"].remove("version")


def _narrow(document: Document) -> None:
    document["components"]["schemas"]["NewTask"]["properties"]["title"]["maxLength"] = 100


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_remove_operation, "GET /v1/labels: remove"),
        (_remove_parameter, "GET /v1/tasks: remove parameters/q"),
        (_require_field, "POST /v1/tasks: add requestBody/"),
        (_remove_field, "GET /v1/tasks/{task_id}: remove responses/200/"),
        (_narrow, "POST /v1/tasks: replace requestBody/"),
    ],
)
def test_a_break_fails_until_it_is_declared(
    npm: Path, tmp_path: Path, change: Callable[[Document], None], line: str
) -> None:
    """A declaration of an earlier entry, such as that of `GET /v1/labels`, does not count."""
    after = copy.deepcopy(BEFORE)
    change(after)
    status, breaks = check(tmp_path, after)
    assert status == 1
    assert any(each.startswith(line) for each in breaks), breaks
    assert check(tmp_path, after, *breaks) == (0, [])


def test_an_addition_is_no_break(npm: Path, tmp_path: Path) -> None:
    """An operation, a parameter that may be left out, and a field of a response."""
    after = copy.deepcopy(BEFORE)
    after["paths"]["/v1/additions"] = copy.deepcopy(after["paths"]["/v1/labels"])
    parameter = {"name": "new", "in": "query", "required": False, "schema": {"type": "string"}}
    after["paths"]["/v1/tasks"]["get"]["parameters"].append(parameter)
    task = after["components"]["schemas"]["Task"]
    task["properties"]["added"] = {"type": "string"}
    task["required"].append("added")
    assert check(tmp_path, after) == (0, [])
