"""The function of a preview, as its Terraform describes it: handler, limits and environment."""

import hashlib
import re
from typing import NamedTuple

from tests.support.doors import BOOTSTRAP
from tests.support.processes import ROOT

REGION = "eu-central-1"
TEXT = (ROOT / "terraform/preview/main.tf").read_text()
# What Terraform would have for the names in it, of one preview.
VALUES = {
    "data.aws_caller_identity.current.account_id": "123456789012",
    "local.preview": "task-tracker-preview-42",
    "module.tasks_table.name": "task-tracker-preview-42",
    "var.bootstrap_key": BOOTSTRAP,
    "var.pull_request": "42",
}
# What Terraform calls what is wanted of it.
NAMES = {
    "function_name": "name",
    "handler": "handler",
    "runtime": "runtime",
    "memory_size": "memory_mb",
    "timeout": "timeout_seconds",
}


class Preview(NamedTuple):
    """What Lambda is told of the function."""

    name: str
    handler: str
    runtime: str
    memory_mb: str
    timeout_seconds: str
    variables: dict[str, str]


def read(text: str = TEXT) -> Preview:
    """Read it from Terraform.

    Raises:
        KeyError: there is an expression that nothing here has a value for.
    """
    (block,) = re.findall(r'^resource "aws_lambda_function" .*?^}', text, re.MULTILINE | re.DOTALL)
    (variables,) = re.findall(r"^    variables = \{\n(.*?)^    }", block, re.MULTILINE | re.DOTALL)
    said = {name: _value(to) for name, to in _assigned(block).items() if name in NAMES}
    told = {name: _value(to) for name, to in _assigned(variables).items()}
    return Preview(**{NAMES[name]: value for name, value in said.items()}, variables=told)


def _assigned(block: str) -> dict[str, str]:
    return dict(re.findall(r"^ +(\w+) += (.*)$", block, re.MULTILINE))


def _value(expression: str) -> str:
    if hashed := re.fullmatch(r"sha256\((.*)\)", expression):
        return hashlib.sha256(_value(hashed[1]).encode()).hexdigest()
    if quoted := re.fullmatch(r'"(.*)"', expression):
        return re.sub(r"\$\{(.*?)}", lambda named: VALUES[named[1]], quoted[1])
    return expression if expression.isdecimal() else VALUES[expression]
