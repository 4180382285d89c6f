"""docs/dynamodb-transport.md and the code agree."""

import importlib
import re

from api.dynamodb import retry
from api.local.processes import ROOT

ROW = re.compile(r"^\| `(\w+)\.([A-Z_]+)` \| ([\d.]+) \|", re.MULTILINE)


def test_the_documented_time_outs_and_retries_are_those_of_the_code() -> None:
    """Each setting has its value, and no number of the retry policy is missing."""
    rows = ROW.findall((ROOT / "docs/dynamodb-transport.md").read_text())
    documented = {(module, name): float(value) for module, name, value in rows}
    for (module, name), value in documented.items():
        assert vars(importlib.import_module(f"api.dynamodb.{module}"))[name] == value
    numbers = {name for name, value in vars(retry).items() if isinstance(value, int | float)}
    assert numbers == {name for module, name in documented if module == "retry"}
