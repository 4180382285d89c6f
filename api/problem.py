"""The base of all problems (RFC 9457).

A class is a problem type: its docstring is the text of the page that `type` points to.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Self

from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """A failure that the client is told about; extra members become members of the document.

    It is an HTTPException because FastAPI lets only those through while it reads a body.
    """

    status: ClassVar[int]
    title: ClassVar[str]
    # The detail of every problem of a type, where it is always the same.
    detail: str = ""
    retry_after: ClassVar[int | None] = None
    # What makes a problem as documents show it.
    example_args: ClassVar[tuple[Any, ...]] = ()

    def __init__(
        self, detail: str = "", *, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        if self.retry_after is not None:
            headers = {"Retry-After": str(self.retry_after)}
        super().__init__(self.status, detail or self.detail, headers)
        self.members = members

    def document(self, **more: Any) -> dict[str, Any]:
        """Return the members of the problem document."""
        return {
            "type": self.type_uri(),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **more,
            **self.members,
        }

    @classmethod
    def example(cls) -> Self:
        """Return a problem of this type with the detail and the members of a usual one."""
        return cls(*cls.example_args)

    @classmethod
    def name(cls) -> str:
        """Return the last part of the type, such as `task-not-found`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def type_uri(cls) -> str:
        return f"/problems/{cls.name()}"

    @classmethod
    def description(cls) -> str:
        return inspect.getdoc(cls) or ""


def problem_types(base: type[Problem] = Problem) -> Iterator[type[Problem]]:
    """Yield every problem type that has been imported."""
    for problem in base.__subclasses__():
        if "title" in vars(problem):
            yield problem
        yield from problem_types(problem)
