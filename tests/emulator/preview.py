"""The settings of a preview's function, read from its Terraform configuration."""

import hashlib
import re
from typing import NamedTuple

from api.local.processes import ROOT
from tests.support.secured_app import BOOTSTRAP

REGION = "eu-central-1"
TEXT = (ROOT / "terraform/preview/main.tf").read_text()
# The values of Terraform's expressions in one preview.
VALUES = {
    "data.aws_caller_identity.current.account_id": "123456789012",
    "local.preview": "task-tracker-preview-42",
    "module.tasks_table.name": "task-tracker-preview-42",
    "var.bootstrap_key": BOOTSTRAP,
    "var.pull_request": "42",
}
# The attributes that are read, and their names in `Preview`.
NAMES = {
    "function_name": "name",
    "handler": "handler",
    "runtime": "runtime",
    "memory_size": "memory_mb",
    "timeout": "timeout_seconds",
}


class Preview(NamedTuple):
    """The function's settings."""

    name: str
    handler: str
    runtime: str
    memory_mb: str
    timeout_seconds: str
    variables: dict[str, str]


def read(text: str = TEXT) -> Preview:
    """Parse Terraform's configuration.

    Raises:
        KeyError: it has an expression that is not in VALUES.
    """
    (block,) = re.findall(r'^resource "aws_lambda_function" .*?^}', text, re.MULTILINE | re.DOTALL)
    (variables,) = re.findall(r"^    variables = \{\n(.*?)^    }", block, re.MULTILINE | re.DOTALL)
    assigned = _assignments(block)
    settings = {NAMES[name]: _value(assigned[name]) for name in assigned.keys() & NAMES.keys()}
    environment = {name: _value(text) for name, text in _assignments(variables).items()}
    return Preview(**settings, variables=environment)


def _assignments(block: str) -> dict[str, str]:
    return dict(re.findall(r"^ +(\w+) += (.*)$", block, re.MULTILINE))


def _value(expression: str) -> str:
    if hashed := re.fullmatch(r"sha256\((.*)\)", expression):
        return hashlib.sha256(_value(hashed[1]).encode()).hexdigest()
    if quoted := re.fullmatch(r'"(.*)"', expression):
        return re.sub(r"\$\{(.*?)}", lambda named: VALUES[named[1]], quoted[1])
    return expression if expression.isdecimal() else VALUES[expression]
