"""What the verdicts come to: a score of each module, and what no test has noticed."""

from collections.abc import Iterable
from typing import Any, NamedTuple

Verdict = dict[str, Any]


class Change(NamedTuple):
    """What a mutant changed in which function, line by line; it names the mutant for good."""

    module: str
    function: str
    before: str
    after: str


class Score(NamedTuple):
    """Counts of mutants; equivalent are those that no test could notice."""

    mutants: int
    killed: int
    timed_out: int
    survived: int
    equivalent: int

    @property
    def raw(self) -> float:
        """The percentage of all mutants that was noticed."""
        return self._noticed_of(self.mutants)

    @property
    def adjusted(self) -> float:
        """The same without the equivalent ones."""
        return self._noticed_of(self.mutants - self.equivalent)

    def _noticed_of(self, number: int) -> float:
        return round(100 * (self.killed + self.timed_out) / number, 1) if number else 100.0


def score(verdicts: Iterable[Verdict]) -> Score:
    words = [verdict["verdict"] for verdict in verdicts]
    counts = (words.count(word) for word in ("killed", "timeout", "survived", "equivalent"))
    return Score(len(words), *counts)


def by_module(verdicts: list[Verdict]) -> dict[str, Score]:
    """Score each module, and all of them together."""
    modules = dict.fromkeys(verdict["module"] for verdict in verdicts)
    scores = {
        module: score(verdict for verdict in verdicts if verdict["module"] == module)
        for module in modules
    }
    return scores | {"total": score(verdicts)}


def table(scores: dict[str, Score]) -> str:
    lines = [
        f"{module:14} {s.mutants:7} {s.killed:6} {s.timed_out:9} {s.survived:8} {s.equivalent:10}"
        f" {s.raw:5.1f} {s.adjusted:8.1f}"
        for module, s in scores.items()
    ]
    head = "module         mutants killed timed out survived equivalent raw % adjusted"
    return "\n".join([head, *lines])


def survivors(verdicts: list[Verdict]) -> str:
    """List what no test has noticed, as changes of lines."""
    return "\n".join(
        f"api/{verdict['module']}.py:{verdict['line']} {verdict['function']}\n"
        f"  - {verdict['before']}\n  + {verdict['after']}"
        for verdict in verdicts
        if verdict["verdict"] == "survived"
    )
