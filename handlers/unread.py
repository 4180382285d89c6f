"""What is imported to be read by people, and is not here: botocore's manual of itself."""

import sys
from types import ModuleType
from typing import Any, Self

import botocore


class Unwritten(str):
    """In the place of a description that would be written where somebody asks for help."""

    __slots__ = ()

    def __new__(cls, **_: Any) -> Self:
        return super().__new__(cls)


def leave_out_manual() -> None:
    """Spare botocore's client, which PynamoDB imports, the modules that describe it.

    Those beneath `botocore.docs` are still found: one has rules for parameters. What was imported
    before stays.
    """
    docs, docstring = ModuleType("botocore.docs"), ModuleType("botocore.docs.docstring")
    docs.__path__ = [f"{place}/docs" for place in botocore.__path__]
    for name in ("ClientMethodDocstring", "PaginatorDocstring", "WaiterDocstring"):
        setattr(docstring, name, Unwritten)
    for module in (docs, docstring):
        sys.modules.setdefault(module.__name__, module)
