"""All mutants of a module: mutmut's operators, and a few of our own for what those leave alone.

Mutmut does not touch decorated functions, for it switches its mutants inside of one process. Here
each mutant is a module of its own, so the repository's methods are mutated like any other code.
"""

import ast
import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from tests.mutants.score import Change

# Annotations say nothing at run time, and decorators here take no arguments but the name that
# wraps() passes on to people.
LEFT_OUT = (cst.Annotation, cst.Decorator)
# TypeVars and aliases of types: they are for the type checker alone.
TYPE_NAME = re.compile(r"[A-Z]([a-z]\w*)?")
# What no code here expects.
FOREIGN_ERROR = cst.Name("MemoryError")


class Mutant(NamedTuple):
    """A module with one fault."""

    change: Change
    # Of the statement that was changed, in the original.
    lines: range
    line: int
    source: str


class Site(NamedTuple):
    """A node that operators may change, and the code around it."""

    node: cst.CSTNode
    scope: tuple[str, ...]
    statement: cst.CSTNode


def negate(node: cst.If | cst.While) -> Iterator[cst.CSTNode]:
    # Mutmut turns comparisons round itself, and takes a `not` away.
    if not isinstance(node.test, cst.Comparison | cst.UnaryOperation):
        test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))


def return_nothing(node: cst.Return) -> Iterator[cst.CSTNode]:
    if node.value:
        yield cst.Return()


def do_nothing(node: cst.SimpleStatementLine) -> Iterator[cst.CSTNode]:
    (first, *_) = node.body
    is_docstring = isinstance(first, cst.Expr) and isinstance(first.value, cst.BaseString)
    if isinstance(first, cst.Expr | cst.Raise) and not is_docstring:
        yield node.with_changes(body=[cst.Pass()])


def catch_nothing(node: cst.ExceptHandler) -> Iterator[cst.CSTNode]:
    yield node.with_changes(type=FOREIGN_ERROR)


OPERATORS: list[tuple[Any, Callable[[Any], Iterable[Any]]]] = [
    *mutation_operators,
    ((cst.If, cst.While), negate),
    (cst.Return, return_nothing),
    (cst.SimpleStatementLine, do_nothing),
    (cst.ExceptHandler, catch_nothing),
]


def mutants(module: Path) -> Iterator[Mutant]:
    """Make every mutant of a module once: what differs in spelling alone is none."""
    source = module.read_text()
    seen = {_meaning(source)}
    for mutant in _spellings(module.stem, source):
        meaning = _meaning(mutant.source)
        if meaning not in seen:
            seen.add(meaning)
            yield mutant


def unchanged(module: Path) -> Mutant:
    """Give a mutant that is none, for the tests to pass."""
    return Mutant(Change(module.stem, "", "", ""), range(0), 0, module.read_text())


def _spellings(module: str, source: str) -> Iterator[Mutant]:
    wrapper = MetadataWrapper(cst.parse_module(source))
    places = wrapper.resolve(PositionProvider)
    for site in _sites(wrapper.module, (), wrapper.module):
        line, lines = places[site.node].start.line, _lines(site.statement, places)
        for changed in _changed(site.node):
            mutated = wrapper.module.deep_replace(site.node, changed).code
            change = Change(module, ".".join(site.scope), *_difference(source, mutated))
            yield Mutant(change, lines, line, mutated)


def _meaning(source: str) -> str:
    return ast.dump(ast.parse(source))


def _changed(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for kinds, operator in OPERATORS:
        if isinstance(node, kinds):
            yield from operator(node)


def _sites(node: cst.CSTNode, scope: tuple[str, ...], statement: cst.CSTNode) -> Iterator[Site]:
    if isinstance(node, LEFT_OUT) or (not scope and _is_typing(node)):
        return
    if isinstance(node, cst.BaseStatement):
        statement = node
    yield Site(node, scope, statement)
    if isinstance(node, cst.FunctionDef | cst.ClassDef):
        scope = (*scope, node.name.value)
    for child in node.children:
        yield from _sites(child, scope, statement)


def _is_typing(node: cst.CSTNode) -> bool:
    if not isinstance(node, cst.Assign):
        return False
    target = node.targets[0].target
    return isinstance(target, cst.Name) and bool(TYPE_NAME.fullmatch(target.value))


def _lines(statement: cst.CSTNode, places: Any) -> range:
    """Number the lines of a statement; of one with a body, those above the body."""
    place = places[statement]
    body = getattr(statement, "body", None)
    last = places[body].start.line - 1 if isinstance(body, cst.BaseSuite) else place.end.line
    return range(place.start.line, max(place.start.line, last) + 1)


def _difference(before: str, after: str) -> tuple[str, str]:
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0))[2:]
    gone, come = ([line[1:].strip() for line in lines if line[0] == sign] for sign in "-+")
    return " ".join(gone), " ".join(come)
