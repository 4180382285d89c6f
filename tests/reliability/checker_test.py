"""The history checker accepts linearizable histories and rejects all others."""

import itertools
import math
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.figures import Figures
from tests.support.history import Action, Operation, Outcome, Seen, violations

A1, B2, C2, C3 = Seen("a", 1), Seen("b", 2), Seen("c", 2), Seen("c", 3)
OK, STALE, MISSING, UNKNOWN = Outcome
effort = settings(max_examples=300)


def _operation(action: Action, at: tuple[float, ...], outcome: Outcome, **more: Any) -> Operation:
    """Create an operation; without times it follows those before it in the list."""
    invoked, returned = at or (math.nan, math.nan)
    return Operation("t", action, invoked, returned, outcome, **more)


def create(title: str, *at: float, outcome: Outcome = OK, seen: Seen | None = None) -> Operation:
    shown = seen or (Seen(title, 1) if outcome is OK else None)
    return _operation(Action.CREATE, at, outcome, wrote=title, seen=shown)


def read(seen: Seen | None, *at: float) -> Operation:
    return _operation(Action.READ, at, OK if seen else MISSING, seen=seen)


def change(title: str, expected: Seen | None, seen: Seen | None, *at: float) -> Operation:
    """Create a change; its outcome is unknown if it has no response."""
    outcome = OK if seen else UNKNOWN
    return _operation(Action.CHANGE, at, outcome, wrote=title, expected=expected, seen=seen)


def refused(title: str, expected: Seen | None, current: Seen | None, *at: float) -> Operation:
    return _operation(Action.CHANGE, at, STALE, wrote=title, expected=expected, seen=current)


def missed(title: str, *at: float) -> Operation:
    return _operation(Action.CHANGE, at, MISSING, wrote=title)


def delete(expected: Seen | None, *at: float, outcome: Outcome = OK) -> Operation:
    return _operation(Action.DELETE, at, outcome, expected=expected)


A, UNKNOWN_A = create("a"), create("a", outcome=UNKNOWN)
B, C = change("b", A1, B2), change("c", B2, C3)
UNKNOWN_B, STAR_B, STAR_C = (
    change("b", A1, None), change("b", None, None), change("c", None, None),
)  # fmt: skip

BAD: dict[str, list[Operation]] = {
    "two changes of one state both succeed": [
        A, change("b", A1, B2, 2, 3), change("c", A1, C2, 2, 3),
    ],
    "two unknown changes of one state both happen": [
        A, UNKNOWN_B, change("c", A1, None), read(B2), read(C3),
    ],
    "an acknowledged create is not there": [A, read(None)],
    "an acknowledged change is not there": [A, B, read(A1)],
    "an acknowledged change is not there for the next": [A, B, change("c", A1, C2)],
    "a read goes back in time": [A, change("b", A1, B2, 2, 9), read(B2, 3, 4), read(A1, 5, 6)],
    "a value is read that was not written": [A, read(Seen("x", 1))],
    "a value is read before it is written": [A, read(B2), B],
    "an effect comes before its call": [create("a", 5, 6), read(A1, 1, 2)],
    "an unknown effect comes before its call": [A, read(B2), UNKNOWN_B],
    "a change is made twice": [A, change("b", A1, Seen("b", 3))],
    "a change is made twice, as a read shows": [A, B, read(Seen("b", 3))],
    "an unknown change is made twice around another": [
        A, STAR_B, read(B2), C, read(Seen("b", 4)),
    ],
    "an unknown change is seen and vanishes": [A, UNKNOWN_B, read(B2), read(A1)],
    "an unknown change ignores its condition": [
        A, change("c", A1, C2), UNKNOWN_B, read(Seen("b", 3)),
    ],
    "a version is left out": [A, change("b", A1, C3)],
    "a version stands still": [A, change("b", A1, Seen("b", 1))],
    "a change is refused without a change": [A, refused("b", A1, None)],
    "a change conflicts with itself": [A, refused("b", A1, B2), read(B2)],
    "a change of anything is refused": [A, refused("b", None, None)],
    "a refusal shows a state that never was": [A, B, refused("c", A1, Seen("x", 2))],
    "a refusal shows a state of the past": [A, B, C, refused("d", A1, B2)],
    "a refused change is read": [A, B, refused("c", A1, B2), read(C3)],
    "a deleted task refuses a change as stale": [A, B, delete(B2), refused("c", A1, None)],
    "a task is not found after its creation": [A, missed("b")],
    "a change that was not found is read": [A, missed("b", 2, 9), read(B2, 3, 4)],
    "a task is not found and found again": [UNKNOWN_A, read(A1), read(None), read(A1)],
    "a task is read after its deletion": [A, delete(A1), read(A1)],
    "a task comes back": [A, delete(A1), read(None), read(A1)],
    "a late create brings a task back": [
        create("a", 0, 9, outcome=UNKNOWN), read(A1, 1, 2), delete(A1, 3, 4), read(A1, 5, 6),
    ],
    "a task is created twice": [A, create("b")],
    "a task is created again after its deletion": [A, delete(A1), create("b")],
    "a create shows another state": [create("a", seen=Seen("a", 2))],
    "a deleted task is changed": [A, delete(A1), B],
    "a deleted task is changed with If-Match: *": [A, delete(A1), change("b", None, B2)],
    "an unknown deletion happens and is undone": [
        A, delete(A1, outcome=UNKNOWN), read(None), read(A1),
    ],
    "a deletion is refused without a change": [A, delete(A1, outcome=STALE)],
    "a deletion says not found and deletes": [A, delete(None, outcome=MISSING), read(None)],
    "a deletion of anything succeeds twice": [A, delete(None), delete(None)],
    "two deletions of two states both succeed": [A, B, delete(B2), delete(A1)],
    "a deletion of a state that was not the last succeeds": [A, B, delete(A1), read(None)],
    "a deletion of what never was succeeds": [delete(None)],
    "a change is acknowledged with a state from before it": [A, change("b", A1, A1)],
    "a change is acknowledged with a state that it is not in": [
        A, change("c", A1, C2), change("b", None, C2), read(Seen("b", 3)),
    ],
    "a change is acknowledged with a later state in its place": [
        A, change("c", A1, C2, 2, 3), change("b", A1, C2, 2, 5),
    ],
    "a change is acknowledged with a state from after its response": [A, change("b", A1, C3), C],
    "a change is acknowledged with a state never written": [A, change("b", A1, C3), read(B2)],
    "a change is acknowledged with a later state of another version": [
        A, change("b", A1, Seen("c", 4), 2, 9), change("c", B2, C3, 4, 5),
    ],
}  # fmt: skip

GOOD: dict[str, list[Operation]] = {
    "nothing": [],
    "one after another": [
        A, read(A1), B, read(B2), refused("c", A1, B2), delete(B2), read(None), missed("d"),
    ],
    "reads during a change go either way": [
        A, change("b", A1, B2, 2, 9), read(A1, 3, 4), read(B2, 5, 6),
    ],
    "of two at once one wins": [A, change("b", A1, B2, 2, 9), refused("c", A1, B2, 2, 9)],
    "an unknown change never happens": [A, UNKNOWN_B, read(A1), change("c", A1, C2)],
    "an unknown change happens long after": [A, UNKNOWN_B, read(A1), read(A1), read(B2)],
    "an unknown change has no end": [
        A, change("b", A1, None, 2, math.inf), read(A1, 4, 5), read(B2, 6, 7),
    ],
    "an unknown create happens late": [UNKNOWN_A, read(None), read(A1)],
    "an unknown deletion refuses a change": [A, delete(A1, outcome=UNKNOWN), missed("b")],
    "of two unknown changes the first was last": [A, STAR_B, STAR_C, read(Seen("b", 3))],
    "of two unknown changes the second was last": [A, STAR_B, STAR_C, read(C3)],
    "a read without a response says nothing": [
        A, _operation(Action.READ, (), UNKNOWN, seen=Seen("x", 7)), read(A1),
    ],
    "a refusal without a state": [A, UNKNOWN_B, refused("c", A1, None)],
    "a change is found behind another": [
        A, change("b", A1, C3, 2, 9), change("c", B2, C3, 4, 5),
    ],
    "a change is found behind an unknown one": [A, STAR_C, change("b", A1, C3)],
    "a change is found in a tombstone": [
        A, change("b", A1, C3, 2, 9), change("c", B2, C3, 3, 4), delete(C3, 5, 6), read(None, 7, 8),
    ],
    "a deletion is repeated": [A, delete(A1), delete(A1)],
    "changes and deletions with If-Match: *": [
        A, change("b", None, B2, 2, 9), change("c", None, C3, 2, 9), delete(None, 10, 11),
    ],
}  # fmt: skip


def _placed(history: list[Operation]) -> list[Operation]:
    """Set the missing times by the position in the list: 0 to 1, 2 to 3, and so on."""
    return [
        op._replace(invoked=2 * i, returned=2 * i + 1) if math.isnan(op.invoked) else op
        for i, op in enumerate(history)
    ]


def test_known_bad_histories_are_rejected(figures: Figures) -> None:
    accepted = [name for name, history in BAD.items() if not violations(_placed(history))]
    figures.count("known_bad_histories", tried=len(BAD), failed=len(accepted))
    assert not accepted, "\n".join(accepted)


@pytest.mark.parametrize("name", GOOD)
def test_known_good_histories_are_accepted(name: str) -> None:
    assert violations(_placed(GOOD[name])) == []


def test_each_task_is_checked_by_itself() -> None:
    """Only the task with the broken history is reported."""
    broken = [op._replace(task="u") for op in _placed(BAD["a task comes back"])]
    assert violations([*_placed(GOOD["one after another"]), *broken]) == ["u"]


Response = tuple[Outcome, Seen | None]


class Task(NamedTuple):
    """A second implementation of what the API promises for one task."""

    states: tuple[Seen, ...] = ()
    deleted: bool = False

    @property
    def current(self) -> Seen | None:
        return self.states[-1] if self.states and not self.deleted else None

    def responses(self, asked: Operation) -> list[Response]:
        """List the correct responses; the first one says whether the request is executed."""
        made = Seen(asked.wrote or "", len(self.states) + 1)
        if asked.action is Action.CREATE:
            return [] if self.states else [(OK, made)]
        if self.current is None:
            gone: list[Response] = [(MISSING, None)]
            again = asked.action is Action.DELETE and asked.expected in self.states[-1:]
            return [(OK, None), *gone] if again else gone
        if asked.expected not in {None, self.current}:
            return [(STALE, self.current), (STALE, None)]
        shown = {Action.READ: self.current, Action.CHANGE: made, Action.DELETE: None}
        return [(OK, shown[asked.action])]

    def after(self, asked: Operation) -> "Task":
        done = self.responses(asked)[:1]
        if not done or done[0][0] is not OK or asked.action is Action.READ:
            return self
        _, shown = done[0]
        return Task((*self.states, shown)) if shown else Task(self.states, deleted=True)


def _explained_by_some_order(history: list[Operation]) -> bool:
    """Try all orders of the operations with a response and of any of the others."""
    sure = [op for op in history if op.outcome is not UNKNOWN]
    rest = [op._replace(returned=math.inf) for op in history if op.outcome is UNKNOWN]
    return any(
        _in_real_time(order) and _gives_responses(order)
        for size in range(len(rest) + 1)
        for some in itertools.combinations(rest, size)
        for order in itertools.permutations([*sure, *some])
    )


def _in_real_time(order: tuple[Operation, ...]) -> bool:
    return all(
        later.returned >= earlier.invoked for earlier, later in itertools.combinations(order, 2)
    )


def _gives_responses(order: tuple[Operation, ...]) -> bool:
    """Return whether each operation gets its response if they are executed in this order."""
    tasks = list(itertools.accumulate(order, Task.after, initial=Task()))
    return all(
        op.outcome is UNKNOWN
        or (op.outcome, op.seen) in tasks[i].responses(op)
        or _found_later(i, order, tasks)
        for i, op in enumerate(order)
    )


def _found_later(place: int, order: tuple[Operation, ...], tasks: list[Task]) -> bool:
    """Return whether a change was made and shows a state from before its response."""
    op = order[place]
    made = op.action is Action.CHANGE and (OK, tasks[place + 1].current) in tasks[place].responses(
        op
    )
    began = itertools.takewhile(lambda i: order[i].invoked <= op.returned, range(len(order)))
    return (
        made
        and op.outcome is OK
        and any(i > place and tasks[i + 1].current == op.seen for i in began)
    )


ACTIONS = st.sampled_from((*Action, Action.CHANGE, Action.CHANGE))
# Few values, so that many operations begin or end together.
DELAYS = st.sampled_from((0, 0.5, 1, 2.5))


@st.composite
def sequential(draw: st.DrawFn, max_size: int) -> tuple[list[Operation], list[Task]]:
    """Make requests one after another; return the history and the task before each request."""
    tasks, history = [Task()], []
    for at in range(draw(st.integers(1, max_size))):
        action = draw(ACTIONS) if at else Action.CREATE
        writes = action in {Action.CREATE, Action.CHANGE}
        named = draw(st.sampled_from((None, *tasks[-1].states[-2:])))
        expected = named if action in {Action.CHANGE, Action.DELETE} else None
        asked = Operation("t", action, at, at, UNKNOWN, str(at) if writes else None, expected)
        responses = tasks[-1].responses(asked) * 4 + [(UNKNOWN, None)]
        outcome, seen = draw(st.sampled_from(responses))
        history.append(asked._replace(outcome=outcome, seen=seen))
        happened = outcome is not UNKNOWN or draw(st.booleans())
        tasks.append(tasks[-1].after(asked) if happened else tasks[-1])
    return history, tasks


@st.composite
def overlapping(draw: st.DrawFn, max_size: int) -> list[Operation]:
    """Make requests that begin long before and end long after they are executed."""
    history, tasks = draw(sequential(max_size))
    return [_stretched(draw, i, history, tasks) for i in range(len(history))]


def _stretched(
    draw: st.DrawFn, place: int, history: list[Operation], tasks: list[Task]
) -> Operation:
    op, last = history[place], len(history) - 1
    # A retried change that finds later changes returns the newest state.
    found = op.action is Action.CHANGE and op.outcome is OK
    behind = min(place + draw(st.integers(0, 2)), last) if found else place
    invoked = op.invoked - draw(DELAYS)
    # The end of an unknown operation says nothing about when it is executed.
    returned = invoked if op.outcome is UNKNOWN else history[behind].returned
    seen = tasks[behind + 1].states[-1] if behind > place else op.seen
    return op._replace(invoked=invoked, returned=returned + draw(DELAYS), seen=seen)


@effort
@given(overlapping(30))
def test_histories_that_happened_are_accepted(history: list[Operation]) -> None:
    """Operations may take any time, and their outcome may be unknown."""
    assert violations(history) == []


def _well_formed(op: Operation, history: list[Operation]) -> list[Response]:
    """List well-formed responses, correct or not."""
    states: list[Seen | None] = [Seen("x", 1), *sorted({op.seen for op in history if op.seen})]
    responses = [(OK, seen) for seen in ([None] if op.action is Action.DELETE else states)]
    if op.action in {Action.CHANGE, Action.DELETE}:
        responses += [(STALE, seen) for seen in [*states, None]]
    return responses if op.action is Action.CREATE else [*responses, (MISSING, None)]


@effort
@given(overlapping(5), st.data())
def test_the_checker_agrees_with_trying_all_orders(
    history: list[Operation], data: st.DataObject
) -> None:
    """For histories with some wrong responses, the search finds what brute force finds."""
    tried = []
    for op in history:
        given_response = [(op.outcome, op.seen)]
        outcome, seen = data.draw(st.sampled_from(given_response * 12 + _well_formed(op, history)))
        later = data.draw(st.sampled_from((0, 0, 0, 0, -2, -1, 1, 2)))
        moved = op._replace(invoked=op.invoked + later, returned=op.returned + later)
        tried.append(moved._replace(outcome=outcome, seen=seen))
    assert (violations(tried) == []) is _explained_by_some_order(tried)
