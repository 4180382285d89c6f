"""Token buckets: a burst and a rate, whatever the order of things."""

from hypothesis import given
from hypothesis import strategies as st

from api import limits
from api.limits import Buckets
from tests.support.doors import Timer


@given(
    st.sampled_from([0.1, 1 / 6, 1, 3, 50]),
    st.integers(1, 20),
    st.lists(st.floats(0, 5), max_size=200),
)
def test_no_time_sees_more_than_a_burst_and_the_rate(
    rate: float, burst: int, pauses: list[float]
) -> None:
    """And whoever is refused is let through after the time it was told."""
    timer = Timer()
    buckets = Buckets(rate, burst, timer)
    taken = []
    for pause in pauses:
        timer.seconds += pause
        level = buckets.take("a")
        if level.allowed:
            taken.append(timer.seconds)
        else:
            timer.seconds += level.next_in
            assert buckets.take("a").allowed
            taken.append(timer.seconds)
    for first, start in enumerate(taken):
        for last, end in enumerate(taken[first:], first):
            assert last - first + 1 <= burst + (end - start) * rate + 1e-3


def test_a_look_takes_nothing() -> None:
    """However often."""
    buckets = Buckets(1, 2, Timer())
    assert {buckets.look("a").remaining for _ in range(5)} == {2}
    assert buckets.take("a").remaining == 1
    assert buckets.look("a").remaining == 1


def test_one_bucket_is_not_another() -> None:
    """A name's bucket is its own."""
    buckets = Buckets(1, 1, Timer())
    assert buckets.take("a").allowed
    assert not buckets.take("a").allowed
    assert buckets.take("b").allowed


def test_buckets_are_bounded() -> None:
    """A million addresses do not fill the memory; the oldest are forgotten."""
    buckets = Buckets(1, 1, Timer())
    for number in range(limits.MOST_BUCKETS + 100):
        buckets.take(str(number))
    assert len(buckets._full_at) == limits.MOST_BUCKETS
    assert buckets.take("0").allowed
    assert not buckets.take(str(limits.MOST_BUCKETS + 99)).allowed
