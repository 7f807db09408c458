"""A quota holds for each name by itself, for its window, in a bound of memory."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.meters import Meter, Rate, Use

MOMENTS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(min_value=0, max_value=7, allow_nan=False)), max_size=60)


@given(MOMENTS, st.integers(1, 4), st.integers(1, 10))
def test_no_more_than_the_quota_counts_within_a_window(
    moments: list[tuple[str, float]], quota: int, window: int
) -> None:
    """Whoever asks before it counts: from the first time of a window to its end there are so many and no more."""
    meter, now = Meter(Rate(quota, window)), 0.0
    counted: defaultdict[str, list[float]] = defaultdict(list)
    for name, pause in moments:
        now += pause
        use = meter.use(name, now)
        assert 1 <= use.resets_in_s <= window
        if use.left > 0:
            assert meter.count(name, now).left == use.left - 1
            counted[name].append(now)
    for times in counted.values():
        # A window begins with its first time: cut where they begin, none holds more.
        while times:
            within = [at for at in times if at < times[0] + window]
            assert len(within) <= quota
            times = times[len(within) :]


@given(st.lists(st.tuples(st.integers(0, 100), st.floats(0, 3, allow_nan=False)), max_size=200), st.integers(1, 8))
def test_memory_is_bounded(moments: list[tuple[int, float]], most: int) -> None:
    """However many names there are; and what is over goes."""
    meter, now = Meter(Rate(3, 5), most_names=most), 0.0
    for name, pause in moments:
        now += pause
        assert meter.count(name, now).left <= 2
        assert len(meter._windows) <= most
    for name in range(1_000, 1_200):
        now += 6
        meter.count(name, now)
    assert len(meter._windows) <= 2


def test_window_begins_with_the_first_time_and_ends() -> None:
    """At its very end everything is there again."""
    meter = Meter(Rate(2, 10))
    assert meter.use("a", 100.0) == Use(2, 10)
    assert meter.count("a", 100.0) == Use(1, 10)
    assert meter.count("a", 103.5) == Use(0, 7)
    assert meter.use("b", 103.5) == Use(2, 10)
    assert meter.use("a", 109.999) == Use(0, 1)
    assert meter.use("a", 110.0) == Use(2, 10)
    assert meter.count("a", 111.0) == Use(1, 10)


def test_who_is_forgotten_is_who_began_first() -> None:
    """One that came back since has begun anew."""
    meter = Meter(Rate(2, 10), most_names=2)
    for name, at in (("a", 0.0), ("b", 1.0), ("a", 10.0), ("c", 10.5)):
        meter.count(name, at)
    assert [meter.use(name, 10.5).left for name in "abc"] == [1, 2, 1]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_more_than_the_quota_can_be_counted_and_leaves_nothing(times: int) -> None:
    """What is left is never less than nothing."""
    meter = Meter(Rate(1, 10))
    assert [meter.count("a", 0.0).left for _ in range(times)] == [0] * times
