"""Token buckets: they allow a burst, and then a rate."""

import math

from hypothesis import given
from hypothesis import strategies as st

from api.keys import rate_limits
from api.keys.rate_limits import TokenBuckets
from tests.support.secured_app import Timer


@given(
    st.sampled_from([0.1, 1 / 6, 1, 3, 50]),
    st.integers(1, 20),
    st.lists(st.floats(0, 5), max_size=200),
)
def test_no_interval_has_more_than_a_burst_and_the_rate(
    rate: float, burst: int, pauses: list[float]
) -> None:
    """A refused caller is allowed after `retry_after`."""
    timer = Timer()
    buckets = TokenBuckets(rate, burst, timer)
    taken = []
    for pause in pauses:
        timer.seconds += pause
        state = buckets.take("a")
        if not state.allowed:
            timer.seconds += state.retry_after
            assert buckets.take("a").allowed
        taken.append(timer.seconds)
    for first, start in enumerate(taken):
        for last, end in enumerate(taken[first:], first):
            assert last - first + 1 <= burst + (end - start) * rate + 1e-3


def test_a_token_can_be_given_back() -> None:
    buckets = TokenBuckets(1, 2, Timer())
    for _ in range(5):
        assert buckets.take("a").remaining == 1
        buckets.give_back("a")


def test_each_name_has_a_bucket_of_its_own() -> None:
    buckets = TokenBuckets(1, 1, Timer())
    assert buckets.take("a").allowed
    assert not buckets.take("a").allowed
    assert buckets.take("b").allowed


def test_the_number_of_buckets_is_bounded() -> None:
    """The least recently used one is dropped, and so counts as full."""
    buckets = TokenBuckets(1, 1, Timer())
    for number in range(rate_limits.MAX_BUCKETS + 100):
        buckets.take(str(number))
    assert len(buckets._full_at) == rate_limits.MAX_BUCKETS
    assert buckets.take("0").allowed
    assert not buckets.take(str(rate_limits.MAX_BUCKETS + 99)).allowed


@given(st.integers(1, 50), st.integers(1, 20), st.integers(1, 200), st.integers(0, 20))
def test_a_debt_is_paid_before_the_next_token(rate: int, burst: int, debt: int, taken: int) -> None:
    """`retry_after` tells when, to the second above."""
    timer = Timer()
    buckets = TokenBuckets(rate, burst, timer)
    left = burst - sum(buckets.take("a").allowed for _ in range(taken)) - debt
    assert buckets.owe("a", debt).remaining == max(left, 0)
    state = buckets.take("a")
    assert state.allowed == (left >= 1)
    if not state.allowed:
        assert state.retry_after == math.ceil((1 - left) / rate)
        timer.seconds += (1 - left) / rate - 1e-3 / rate
        assert not buckets.take("a").allowed
        timer.seconds += 2e-3 / rate
        assert buckets.take("a").allowed
