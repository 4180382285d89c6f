"""The history checker accepts what can be explained and rejects what cannot."""

import itertools
import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.figures import Figures
from tests.support.history import Action, Operation, Outcome, Seen, violations

A1, B2, C3 = Seen("a", 1), Seen("b", 2), Seen("c", 3)


def _operation(action: Action, at: tuple[float, float], outcome: str, **more: Any) -> Operation:
    return Operation("t", action, *at, Outcome(outcome), **more)


def create(title: str, *at: float, outcome: str = "ok", seen: Seen | None = None) -> Operation:
    shown = seen or (Seen(title, 1) if outcome == "ok" else None)
    return _operation(Action.CREATE, at or (0, 1), outcome, wrote=title, seen=shown)  # type: ignore[arg-type]


def read(seen: Seen | None, *at: float) -> Operation:
    return _operation(Action.READ, at, "ok" if seen else "missing", seen=seen)  # type: ignore[arg-type]


def change(title: str, expected: Seen | None, seen: Seen | None, *at: float) -> Operation:
    """Change a task; the answer is unknown where none is given."""
    outcome = "ok" if seen else "unknown"
    more = {"wrote": title, "expected": expected, "seen": seen}
    return _operation(Action.CHANGE, at, outcome, **more)  # type: ignore[arg-type]


def refused(title: str, expected: Seen, current: Seen | None, *at: float) -> Operation:
    more = {"wrote": title, "expected": expected, "seen": current}
    return _operation(Action.CHANGE, at, "stale", **more)  # type: ignore[arg-type]


def missed(title: str, *at: float) -> Operation:
    return _operation(Action.CHANGE, at, "missing", wrote=title)  # type: ignore[arg-type]


def delete(expected: Seen | None, *at: float, outcome: str = "ok") -> Operation:
    return _operation(Action.DELETE, at, outcome, expected=expected)  # type: ignore[arg-type]


BAD: dict[str, list[Operation]] = {
    "two changes of one state both succeed": [
        create("a"), change("b", A1, B2, 2, 3), change("c", A1, Seen("c", 2), 2, 3),
    ],
    "an acknowledged create is not there": [create("a"), read(None, 2, 3)],
    "an acknowledged change is not there": [
        create("a"), change("b", A1, B2, 2, 3), read(A1, 4, 5),
    ],
    "a read goes back in time": [
        create("a"), change("b", A1, B2, 2, 9), read(B2, 3, 4), read(A1, 5, 6),
    ],
    "a value is read that nobody wrote": [create("a"), read(Seen("x", 1), 2, 3)],
    "a value is read before it is written": [
        create("a"), read(B2, 2, 3), change("b", A1, B2, 4, 5),
    ],
    "a change is made twice": [create("a"), change("b", A1, Seen("b", 3), 2, 3)],
    "a change is made twice, as a read shows": [
        create("a"), change("b", A1, B2, 2, 3), read(Seen("b", 3), 4, 5),
    ],
    "an unknown change is made twice around another": [
        create("a"), change("b", None, None, 2, 3), read(B2, 4, 5), change("c", B2, C3, 6, 7),
        read(Seen("b", 4), 8, 9),
    ],
    "a change is refused though nobody changed": [create("a"), refused("b", A1, None, 2, 3)],
    "a change conflicts with itself": [
        create("a"), refused("b", A1, B2, 2, 3), read(B2, 4, 5),
    ],
    "a refusal shows a state that never was": [
        create("a"), change("b", A1, B2, 2, 3), refused("c", A1, Seen("x", 2), 4, 5),
    ],
    "a refusal shows a state of the past": [
        create("a"), change("b", A1, B2, 2, 3), change("c", B2, C3, 4, 5),
        refused("d", A1, B2, 6, 7),
    ],
    "a task is not found after its creation": [create("a"), missed("b", 2, 3)],
    "a change that was not found is read": [create("a"), missed("b", 2, 9), read(B2, 3, 4)],
    "a task is read after its deletion": [create("a"), delete(A1, 2, 3), read(A1, 4, 5)],
    "a task comes back": [
        create("a"), read(A1, 2, 3), delete(A1, 4, 5), read(None, 6, 7), read(A1, 8, 9),
    ],
    "a late create brings a task back": [
        create("a", 0, 9, outcome="unknown"), read(A1, 1, 2), delete(A1, 3, 4), read(A1, 5, 6),
    ],
    "a deleted task is changed": [create("a"), delete(A1, 2, 3), change("b", A1, B2, 4, 5)],
    "a deletion is refused though nobody changed": [
        create("a"), delete(A1, 2, 3, outcome="stale"),
    ],
    "a deletion says not found and deletes": [
        create("a"), delete(None, 2, 3, outcome="missing"), read(None, 4, 5),
    ],
    "a deletion of anything succeeds twice": [create("a"), delete(None, 2, 3), delete(None, 4, 5)],
    "a deletion of a state that was not the last succeeds": [
        create("a"), change("b", A1, B2, 2, 3), delete(A1, 4, 5), read(None, 6, 7),
    ],
    "a version is left out": [create("a"), change("b", A1, C3, 2, 3)],
    "a task is created twice": [create("a"), create("b", 2, 3)],
    "a create shows another state": [create("a", seen=Seen("a", 2))],
    "an effect comes before its call": [create("a", 5, 6), read(A1, 1, 2)],
    "an unknown change is seen and vanishes": [
        create("a"), change("b", A1, None, 2, 3), read(B2, 4, 5), read(A1, 6, 7),
    ],
    "a change is acknowledged with a state from before it": [
        create("a"), change("b", A1, A1, 2, 3),
    ],
    "a change is acknowledged with a later state that it is not in": [
        create("a"), change("c", A1, Seen("c", 2), 2, 3), change("b", A1, Seen("c", 2), 2, 5),
    ],
    "a change is acknowledged with a state that nobody wrote": [
        create("a"), change("b", A1, C3, 2, 3), read(B2, 4, 5),
    ],
    "two unknown changes of one state both happen": [
        create("a"), change("b", A1, None, 2, 3), change("c", A1, None, 2, 3), read(B2, 4, 5),
        read(C3, 6, 7),
    ],
}  # fmt: skip

GOOD: dict[str, list[Operation]] = {
    "nothing": [],
    "one after another": [
        create("a"), read(A1, 2, 3), change("b", A1, B2, 4, 5), read(B2, 6, 7),
        refused("c", A1, B2, 8, 9), delete(B2, 10, 11), read(None, 12, 13), missed("d", 14, 15),
    ],
    "reads during a change go either way": [
        create("a"), change("b", A1, B2, 2, 9), read(A1, 3, 4), read(B2, 5, 6),
    ],
    "of two at once one wins": [
        create("a"), change("b", A1, B2, 2, 9), refused("c", A1, B2, 2, 9),
    ],
    "an unknown change never happens": [
        create("a"), change("b", A1, None, 2, 3), read(A1, 4, 5),
        change("c", A1, Seen("c", 2), 6, 7),
    ],
    "an unknown change happens long after": [
        create("a"), change("b", A1, None, 2, 3), read(A1, 4, 5), read(B2, 8, 9),
    ],
    "an unknown create happens late": [
        create("a", 0, 1, outcome="unknown"), read(None, 2, 3), read(A1, 4, 5),
    ],
    "an unknown deletion refuses a change": [
        create("a"), delete(A1, 2, 3, outcome="unknown"), missed("b", 4, 5),
    ],
    "a refusal without a state": [
        create("a"), change("b", A1, None, 2, 3), refused("c", A1, None, 4, 5),
    ],
    "a change is found behind another": [
        create("a"), change("b", A1, C3, 2, 9), change("c", B2, C3, 4, 5),
    ],
    "a change is found in a tombstone": [
        create("a"), change("b", A1, C3, 2, 9), change("c", B2, C3, 3, 4), delete(C3, 5, 6),
    ],
    "a deletion is repeated": [create("a"), delete(A1, 2, 3), delete(A1, 4, 5)],
    "whatever is there": [
        create("a"), change("b", None, B2, 2, 9), change("c", None, C3, 2, 9), delete(None, 10, 11),
    ],
}  # fmt: skip


def test_known_bad_histories_are_rejected(figures: Figures) -> None:
    """Every one of them, or the checker's word is worth nothing."""
    accepted = [name for name, history in BAD.items() if not violations(history)]
    figures.count("known_bad_histories", tried=len(BAD), failed=len(accepted))
    assert accepted == []


@pytest.mark.parametrize("name", GOOD)
def test_known_good_histories_are_accepted(name: str) -> None:
    """However odd they look at first."""
    assert violations(GOOD[name]) == []


def test_each_task_is_a_history_of_its_own() -> None:
    """One that is broken is named, and no other."""
    broken = [operation._replace(task="u") for operation in BAD["a task comes back"]]
    assert violations([*GOOD["one after another"], *broken]) == ["u"]


SCRIPTS = st.lists(st.tuples(st.sampled_from(Action), st.integers(0, 3)), min_size=1, max_size=12)


def _run(script: Iterable[tuple[Action, int]]) -> list[Operation]:
    """Do operations one by one on a task that is nothing but a pair, and note the answers."""
    state: Seen | None = None
    states: list[Seen] = []
    history = [create("0", 0, 0)]
    state = Seen("0", 1)
    for at, (action, choice) in enumerate(script, 1):
        wrote = str(at)
        states += [state] if state else []
        expected = None if choice == 0 else states[-min(choice, len(states))]
        moment = (float(at), float(at))
        if action in {Action.READ, Action.CREATE}:
            history.append(read(state, *moment))
        elif state is None:
            again = action is Action.DELETE and expected == states[-1]
            outcome = "ok" if again else "missing"
            history.append(_operation(action, moment, outcome, wrote=wrote, expected=expected))
        elif expected not in {None, state}:
            history.append(
                _operation(action, moment, "stale", wrote=wrote, expected=expected, seen=state)
            )
        elif action is Action.CHANGE:
            state = Seen(wrote, state.version + 1)
            history.append(change(wrote, expected, state, *moment))
        else:
            state = None
            history.append(delete(expected, *moment))
    return history


@given(SCRIPTS, st.data())
def test_what_really_happened_is_accepted(
    script: list[tuple[Action, int]], data: st.DataObject
) -> None:
    """However long before and after its moment an operation was called and answered."""
    around = st.floats(0, 3)
    stretched = [
        operation._replace(
            invoked=operation.invoked - data.draw(around),
            returned=operation.returned + data.draw(around),
        )
        for operation in _run(script)
    ]
    assert violations(stretched) == []


@given(SCRIPTS, st.data())
def test_one_wrong_answer_is_noticed(script: list[tuple[Action, int]], data: st.DataObject) -> None:
    """In a history without overlaps any state that was not the current one is a lie."""
    history = _run(script)
    place = data.draw(st.sampled_from([i for i, op in enumerate(history) if op.seen]))
    seen = history[place].seen
    assert seen
    history[place] = history[place]._replace(seen=seen._replace(version=seen.version + 7))
    assert violations(history) == ["t"]


@given(
    SCRIPTS.filter(lambda script: len(script) < 5),
    st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=6, max_size=6),
    st.permutations(range(6)),
)
def test_the_search_misses_nothing(
    script: list[tuple[Action, int]], intervals: list[tuple[float, float]], order: list[int]
) -> None:
    """Its answer is that of trying all orders."""
    history = [
        operation._replace(invoked=min(intervals[i]), returned=max(intervals[i]))
        for i, operation in zip(order, _run(script), strict=False)
    ]
    assert (violations(history) == []) is any(
        _in_real_time(ordered) and violations(_one_by_one(ordered)) == []
        for ordered in itertools.permutations(history)
    )


def _in_real_time(ordered: tuple[Operation, ...]) -> bool:
    return all(
        later.returned >= earlier.invoked for earlier, later in itertools.combinations(ordered, 2)
    )


def _one_by_one(ordered: tuple[Operation, ...]) -> list[Operation]:
    return [op._replace(invoked=float(i), returned=i + 0.5) for i, op in enumerate(ordered)]


def test_an_unknown_outcome_has_no_end() -> None:
    """When its client gave up says nothing of when it has its effect."""
    late = change("b", A1, None, 2, 3)
    assert late.returned < math.inf
    assert violations([create("a"), late, read(A1, 10, 11), read(B2, 12, 13)]) == []
