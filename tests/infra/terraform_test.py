"""Checks of the Terraform files that need no AWS: format, types, refusals and checkov."""

import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from api.local.processes import ROOT
from tests.infra import terraform
from tests.infra.terraform import Terraform, TerraformError
from tests.support.require_tool import require_tool


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    require_tool("terraform")
    return terraform.copy_tree(tmp_path)


def initialised(tree: Path, root: str) -> Terraform:
    module = Terraform(tree, root, terraform.environment(tree))
    module.run("init", "-backend=false", "-input=false")
    return module


def test_terraform_files_are_formatted(tree: Path) -> None:
    """The files are as `terraform fmt` writes them."""
    Terraform(tree, "", terraform.environment(tree)).run("fmt", "-check", "-recursive")


@pytest.mark.parametrize(
    "root", ["bootstrap", "", "preview"], ids=["bootstrap", "stack", "preview"]
)
def test_a_root_is_valid_and_passes_its_own_tests(tree: Path, root: str) -> None:
    """Invalid inputs are refused and options take effect, with AWS replaced by mocks."""
    module = initialised(tree, root)
    module.run("validate")
    assert "0 failed" in module.run("test", "-no-color")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rules/store.yaml", r"rules/store\.yaml has \d+ bytes .* Split the file"),
        ("prometheus.yml", r"prometheus\.yml has \d+ bytes; a parameter holds 4096"),
    ],
)
def test_a_file_that_exceeds_a_parameter_is_refused(tree: Path, name: str, message: str) -> None:
    """The plan fails, names the file and says what to do."""
    path = tree / "monitoring/prometheus" / name
    incompressible = random.Random(0).randbytes(4000).hex()  # noqa: S311 - no secret
    path.write_text(f"# {incompressible}\n{path.read_text()}")
    with pytest.raises(TerraformError, match=message):
        initialised(tree, "").run("test", "-no-color", "-filter=tests/options.tftest.hcl")


@pytest.mark.parametrize(
    "arguments",
    [
        ["terraform", "--directory", "terraform"],
        ["dockerfile", "--file", "Dockerfile", "monitoring/grafana/Dockerfile"],
    ],
    ids=["terraform", "dockerfile"],
)
def test_checkov_finds_nothing(arguments: list[str]) -> None:
    """Every check passes or is skipped in the source."""
    checkov = os.environ.get("CHECKOV", "checkov")
    require_tool(checkov)
    found = subprocess.run(
        [checkov, "--quiet", "--compact", "--skip-download", "--framework", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout
    assert "Failed checks: 0" in found.stdout


def test_every_skipped_check_has_a_reason() -> None:
    """A reason of at least three words follows the id of the check."""
    dockerfiles = [ROOT / "Dockerfile", ROOT / "monitoring/grafana/Dockerfile"]
    for path in (*(ROOT / "terraform").rglob("*.tf"), *dockerfiles):
        for skip in re.findall(r"checkov:skip=(.*)", path.read_text()):
            check, _, reason = skip.partition(":")
            assert re.fullmatch(r"CKV2?_(AWS|DOCKER)_\d+", check)
            assert len(reason.split()) >= 3, skip


def variables_of(root: Path) -> dict[str, str]:
    """Return the text of each variable block of a root module."""
    text = "".join(file.read_text() for file in sorted(root.glob("*.tf")))
    return dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL))


ROOTS = [ROOT / "terraform", ROOT / "terraform/bootstrap", ROOT / "terraform/preview"]


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_every_input_refuses_bad_values(root: Path) -> None:
    """Each variable that is not a bool has a validation, and a run that expects its refusal."""
    runs = "".join(file.read_text() for file in root.glob("tests/*.tftest.hcl"))
    expected = set(re.findall(r"^ +var\.(\w+),$|\[var\.(\w+)\]", runs, re.MULTILINE))
    refused = {"".join(names) for names in expected}
    variables = variables_of(root)
    checked = {name for name, text in variables.items() if not re.search(r"type += bool", text)}
    assert checked <= refused
    assert {name for name in checked if "validation {" not in variables[name]} == set()


def test_roots_agree_on_what_they_refuse() -> None:
    """A variable that two root modules have refuses the same values in both."""
    refusals: dict[str, set[str]] = {}
    for root in ROOTS:
        for name, text in variables_of(root).items():
            if name in {"name", "region", "bootstrap_key"}:
                (condition,) = re.findall(r"condition +=(.*)", text)
                condition = condition.removeprefix(" var.bootstrap_key_version == 0 ||")
                refusals.setdefault(name, set()).add(condition.strip())
    assert {name: len(conditions) for name, conditions in refusals.items()} == {
        "name": 1,
        "region": 1,
        "bootstrap_key": 1,
    }


def test_each_environment_has_a_name_of_its_own() -> None:
    """Only production has the bare name; of others, theirs follows it, as in the bootstrap."""
    names = {
        file.stem: re.findall(r'(?m)^name += "(.*)"', file.read_text())
        for file in (ROOT / "terraform/environments").glob("*.tfvars")
        if "." not in file.stem
    }
    assert names == {
        environment: [f"task-tracker-{environment}".removesuffix("-production")]
        for environment in names
    }
    assert "production" in names
