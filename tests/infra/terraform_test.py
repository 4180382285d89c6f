"""Terraform's own checks: the form, the types, and every refusal with mocks in the place of AWS."""

import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from tests.infra import terraform
from tests.infra.terraform import Failed, Terraform
from tests.support.presence import need
from tests.support.processes import ROOT

ROOTS = pytest.mark.parametrize(
    "root", ["bootstrap", "", "preview"], ids=["bootstrap", "stack", "preview"]
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    need("terraform")
    return terraform.copy_tree(tmp_path)


def opened(tree: Path, root: str) -> Terraform:
    opened = Terraform(tree, root, terraform.environment(tree))
    opened.run("init", "-backend=false", "-input=false")
    return opened


def test_the_files_are_in_shape(tree: Path) -> None:
    """As `terraform fmt` writes them."""
    Terraform(tree, "", terraform.environment(tree)).run("fmt", "-check", "-recursive")


@ROOTS
def test_a_root_is_valid(tree: Path, root: str) -> None:
    """Every name and type, by the provider's own schema."""
    opened(tree, root).run("validate")


@ROOTS
def test_what_is_wrong_is_refused_and_options_do_what_they_say(tree: Path, root: str) -> None:
    """The root's own tests."""
    assert "0 failed" in opened(tree, root).run("test", "-no-color")


def test_rules_that_outgrow_a_parameter_are_refused(tree: Path) -> None:
    """At plan, by the file's name, with what to do about it."""
    rules = tree / "monitoring/prometheus/rules/store.yaml"
    # What cannot be compressed.
    noise = random.Random(0).randbytes(4000).hex()  # noqa: S311 - no secret
    rules.write_text(f"# {noise}\n{rules.read_text()}")
    with pytest.raises(Failed, match=r"rules/store\.yaml has \d+ bytes .* Split it by concern"):
        opened(tree, "").run("test", "-no-color", "-filter=tests/options.tftest.hcl")


def test_a_configuration_that_outgrows_a_parameter_is_refused(tree: Path) -> None:
    """Likewise."""
    configuration = tree / "monitoring/prometheus/prometheus.yml"
    configuration.write_text("# " + "x" * 4096 + "\n" + configuration.read_text())
    with pytest.raises(Failed, match=r"prometheus\.yml has \d+ bytes; a parameter holds 4096"):
        opened(tree, "").run("test", "-no-color", "-filter=tests/options.tftest.hcl")


@pytest.mark.parametrize(
    "what",
    [
        ["terraform", "--directory", "terraform"],
        ["dockerfile", "--file", "Dockerfile", "monitoring/grafana/Dockerfile"],
    ],
    ids=["terraform", "dockerfile"],
)
def test_checkov_has_nothing_to_say(what: list[str]) -> None:
    """Each of its checks is satisfied, or left out beside what it is about, with the reason."""
    checkov = os.environ.get("CHECKOV", "checkov")
    need(checkov)
    found = subprocess.run(
        [checkov, "--quiet", "--compact", "--skip-download", "--framework", *what],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout
    assert "Failed checks: 0" in found.stdout


def test_every_check_that_is_left_out_has_its_reason() -> None:
    """More than a word, behind the check's name."""
    for path in (ROOT / "terraform").rglob("*.tf"):
        for skip in re.findall(r"checkov:skip=(.*)", path.read_text()):
            check, _, reason = skip.partition(":")
            assert re.fullmatch(r"CKV2?_AWS_\d+", check)
            assert len(reason.split()) >= 3, skip
