"""Whether what concurrent clients were told of tasks can be explained: a linearizability checker.

A history is linearizable if every operation can be given one moment between its call and its
answer so that, made in that order one by one, each would have had just this answer (Wing and
Gong's search, with Lowe's memory of what has been tried). Tasks do not touch each other, so each
is a history of its own.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum, auto
from typing import NamedTuple


class Action(StrEnum):
    """What a client asks for."""

    CREATE = auto()
    READ = auto()
    CHANGE = auto()
    DELETE = auto()


class Outcome(StrEnum):
    """What it was told: STALE is a 412, MISSING a 404; UNKNOWN may happen later, or never."""

    OK = auto()
    STALE = auto()
    MISSING = auto()
    UNKNOWN = auto()


class Seen(NamedTuple):
    """What an answer showed of a task; no two writes of a history have one title."""

    title: str
    version: int


class Operation(NamedTuple):
    """A request and its answer, between two moments of one clock."""

    task: str
    action: Action
    invoked: float
    returned: float
    outcome: Outcome
    # What it writes, the state that its If-Match names (None: any), and what its answer showed.
    wrote: str | None = None
    expected: Seen | None = None
    seen: Seen | None = None


class State(NamedTuple):
    """A task between two operations: what it was last, if it was ever there, and if it still is."""

    last: Seen | None = None
    deleted: bool = False

    @property
    def live(self) -> bool:
        return self.last is not None and not self.deleted


class _Step(NamedTuple):
    """One thing that has its moment; an answer that shows a later state has two."""

    operation: Operation
    reads_later: bool = False
    after: int | None = None


def violations(operations: Iterable[Operation]) -> list[str]:
    """Name the tasks whose history nothing explains."""
    histories = defaultdict(list)
    for operation in operations:
        histories[operation.task].append(operation)
    return [task for task, history in histories.items() if not _linearizable(list(_steps(history)))]


def _steps(history: list[Operation]) -> Iterator[_Step]:
    number = 0
    for operation in history:
        if operation.action is Action.READ and operation.outcome is Outcome.UNKNOWN:
            continue
        yield _Step(operation)
        number += 1
        if _shows_later_state(operation):
            yield _Step(operation, reads_later=True, after=number - 1)
            number += 1


def _shows_later_state(operation: Operation) -> bool:
    """Tell whether a change was found behind others, and answered with what the task is by then."""
    return (
        operation.action is Action.CHANGE
        and operation.outcome is Outcome.OK
        and operation.seen is not None
        and operation.seen.title != operation.wrote
    )


def _linearizable(steps: list[_Step]) -> bool:
    # An unknown one may be left out for ever: then it never took effect.
    required = sum(
        1 << i for i, step in enumerate(steps) if step.operation.outcome is not Outcome.UNKNOWN
    )
    tried: set[tuple[int, State]] = set()

    def explained(done: int, state: State) -> bool:
        if done & required == required:
            return True
        # The same operations in another order, to the same end: it has failed before.
        if (done, state) in tried:
            return False
        tried.add((done, state))
        choices = list(_next(steps, done, state))
        # What leaves the state as it is hinders nothing that follows: no other choice does better.
        idle = [choice for choice in choices if choice[1] == state]
        return any(explained(done | 1 << i, after) for i, after in idle[:1] or choices)

    return explained(0, State())


def _next(steps: list[_Step], done: int, state: State) -> Iterator[tuple[int, State]]:
    """Find what can come next: nothing that began after something undone had its answer."""
    undone = [(i, step) for i, step in enumerate(steps) if not done >> i & 1]
    horizon = min(_returned(step.operation) for _, step in undone)
    for i, step in undone:
        in_order = step.after is None or done >> step.after & 1
        if in_order and step.operation.invoked <= horizon:
            after = _after(step, state)
            if after is not None:
                yield i, after


def _returned(operation: Operation) -> float:
    # When a client gave up says nothing of when its request takes effect.
    return math.inf if operation.outcome is Outcome.UNKNOWN else operation.returned


def _after(step: _Step, state: State) -> State | None:
    """Make a step in a state: the state after it, or None if its answer would have been another."""
    operation = step.operation
    if step.reads_later:
        return state if operation.seen == state.last else None
    match operation.outcome:
        case Outcome.MISSING:
            return None if state.live else state
        case Outcome.STALE:
            differs = state.live and operation.expected not in {None, state.last}
            return state if differs and operation.seen in {None, state.last} else None
        case Outcome.OK | Outcome.UNKNOWN:
            return _effect(operation, state)


def _effect(operation: Operation, state: State) -> State | None:
    match operation.action:
        case Action.CREATE:
            return _written(operation, 1) if state == State() else None
        case Action.READ:
            return state if state.live and operation.seen in {None, state.last} else None
        case Action.CHANGE:
            return _changed(operation, state)
        case Action.DELETE:
            # Whoever deletes the same state again hears the same.
            allowed = state.live or (state.deleted and operation.expected is not None)
            matches = operation.expected in {None, state.last}
            return State(state.last, deleted=True) if allowed and matches else None


def _changed(operation: Operation, state: State) -> State | None:
    if not state.live or state.last is None or operation.expected not in {None, state.last}:
        return None
    return _written(operation, state.last.version + 1)


def _written(operation: Operation, version: int) -> State | None:
    assert operation.wrote is not None
    made = Seen(operation.wrote, version)
    if operation.seen in {None, made} or _shows_later_state(operation):
        return State(made)
    return None
