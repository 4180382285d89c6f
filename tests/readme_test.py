"""The README's tour, walked by a newcomer who types what it says."""

import re
import subprocess

import pytest

from tests.support.builders import Client
from tests.support.processes import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_tour_shows_what_it_says(client: Client) -> None:
    """Each command's output holds what the comments behind it promise."""
    script = "".join(BLOCKS).replace("http://localhost:8000", str(client.base_url))
    # A mark behind each command, where its promises stand.
    marked = re.sub(r"^# shows (.*)$", r"echo '@@ shows \1'", script, flags=re.MULTILINE)
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", marked], capture_output=True, text=True, check=True
    )
    checked = 0
    output = ""
    for line in run.stdout.splitlines():
        if promise := re.search(r"(.*)@@ shows (.*)", line):
            output += promise[1]
            assert promise[2] in output
            checked += 1
        else:
            output = line if output.endswith("\0") else output + "\n" + line
    assert checked == script.count("# shows ") >= 10


@pytest.mark.parametrize(
    "target", ["run", "reset", "stack", "stack-test", "infra-test", "lambda-test", "test"]
)
def test_the_commands_of_the_readme_exist(target: str) -> None:
    """What the README tells a newcomer to type is in the Makefile."""
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_link_leads_somewhere() -> None:
    """A document that moved is noticed, in every Markdown file."""
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"
