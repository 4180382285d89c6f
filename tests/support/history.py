"""A linearizability checker for the histories of tasks.

A history is linearizable if each operation can be executed at one moment between its call and its
response, so that one execution in this order gives every response (Wing and Gong's search, with
Lowe's cache of tried states). Tasks are independent, so each is checked by itself.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum, auto
from typing import NamedTuple


class Action(StrEnum):
    """What a request does."""

    CREATE = auto()
    READ = auto()
    CHANGE = auto()
    DELETE = auto()


class Outcome(StrEnum):
    """The response: STALE is a 412, MISSING a 404; UNKNOWN may be executed later, or never."""

    OK = auto()
    STALE = auto()
    MISSING = auto()
    UNKNOWN = auto()


class Seen(NamedTuple):
    """The state that a response showed; each write of a history has a title of its own."""

    title: str
    version: int


class Operation(NamedTuple):
    """A request and its response, with the times of both on one clock."""

    task: str
    action: Action
    invoked: float
    returned: float
    outcome: Outcome
    # The title that it writes, the state that its If-Match names (None: any), and the response's.
    wrote: str | None = None
    expected: Seen | None = None
    seen: Seen | None = None


class State(NamedTuple):
    """A task between two operations: its last state, and whether it is deleted."""

    last: Seen | None = None
    deleted: bool = False

    @property
    def live(self) -> bool:
        return self.last is not None and not self.deleted


class _Step(NamedTuple):
    """One moment of an operation; one whose response shows a later state has two."""

    operation: Operation
    # The number of the first step, if this is the second, which reads the later state.
    first: int | None = None


def violations(operations: Iterable[Operation]) -> list[str]:
    """Return the tasks whose history is not linearizable."""
    histories = defaultdict(list)
    for operation in operations:
        histories[operation.task].append(operation)
    return [task for task, history in histories.items() if not _linearizable(_steps(history))]


def _steps(history: list[Operation]) -> list[_Step]:
    steps: list[_Step] = []
    for operation in history:
        if operation.action is Action.READ and operation.outcome is Outcome.UNKNOWN:
            continue
        steps.append(_Step(operation))
        if _shows_later_state(operation):
            steps.append(_Step(operation, first=len(steps) - 1))
    return steps


def _shows_later_state(operation: Operation) -> bool:
    """Return whether a retried change found later changes, and returned the newest state."""
    return (
        operation.action is Action.CHANGE
        and operation.outcome is Outcome.OK
        and operation.seen is not None
        and operation.seen.title != operation.wrote
    )


def _linearizable(steps: list[_Step]) -> bool:
    # An unknown operation may never be executed.
    required = sum(
        1 << i for i, step in enumerate(steps) if step.operation.outcome is not Outcome.UNKNOWN
    )
    tried: set[tuple[int, State]] = set()

    def explained(done: int, state: State) -> bool:
        if done & required == required:
            return True
        # The same operations in another order led to this state and failed.
        if (done, state) in tried:
            return False
        tried.add((done, state))
        choices = list(_next(steps, done, state))
        # An operation that leaves the state as it is can always come next.
        idle = [choice for choice in choices if choice[1] == state]
        return any(explained(done | 1 << i, after) for i, after in idle[:1] or choices)

    return explained(0, State())


def _next(steps: list[_Step], done: int, state: State) -> Iterator[tuple[int, State]]:
    """Yield the steps that can come next: none invoked after another undone one has returned."""
    undone = [(i, step) for i, step in enumerate(steps) if not done >> i & 1]
    first_return = min(_returned(step.operation) for _, step in undone)
    for i, step in undone:
        in_order = step.first is None or done >> step.first & 1
        possible = in_order and step.operation.invoked <= first_return
        if possible and (after := _after(step, state)) is not None:
            yield i, after


def _returned(operation: Operation) -> float:
    # An unknown operation may be executed after its client has given up.
    return math.inf if operation.outcome is Outcome.UNKNOWN else operation.returned


def _after(step: _Step, state: State) -> State | None:
    """Return the state after a step, or None if the step would have another response."""
    operation = step.operation
    if step.first is not None:
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
        case _ if state.last is None or operation.expected not in {None, state.last}:
            return None
        case Action.CHANGE:
            return _written(operation, state.last.version + 1) if state.live else None
        case Action.DELETE:
            # A deletion of the same state can be repeated.
            allowed = state.live or operation.expected is not None
            return State(state.last, deleted=True) if allowed else None


def _written(operation: Operation, version: int) -> State | None:
    assert operation.wrote is not None
    made = Seen(operation.wrote, version)
    if operation.seen in {None, made} or _shows_later_state(operation):
        return State(made)
    return None
