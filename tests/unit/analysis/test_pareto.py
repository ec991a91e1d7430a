"""The front: what nothing else beats in everything."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.pareto import pareto_front

LIMITS = st.tuples(st.integers(0, 6), st.integers(0, 3)).map(lambda pair: (float(pair[0]), float(sum(pair))))
CHOICES = st.dictionaries(st.integers(0, 20), st.tuples(LIMITS, LIMITS, LIMITS), min_size=1, max_size=8)
EXACT = st.dictionaries(st.integers(0, 20), st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8)


def test_a_choice_that_is_surely_beaten_goes() -> None:
    """Slower beyond the intervals, and no better in anything; the other two each have something for them."""
    front = pareto_front(
        {"4x4": [(1.0, 2.0), (5, 5)], "16x1": [(3.0, 4.0), (5, 5)], "1x16": [(1.5, 2.5), (4, 4)]},
    )

    assert front == ("4x4", "1x16")


def test_intervals_that_overlap_beat_nobody() -> None:
    """2 % slower at 3 % noise is not dominated."""
    assert pareto_front({"a": [(0.97, 1.03)], "b": [(0.99, 1.05)]}) == ("a", "b")


@given(CHOICES)
def test_something_is_always_left_and_no_front_member_is_beaten(
    choices: dict[int, tuple[tuple[float, float], ...]],
) -> None:
    """Cycles cannot remove everything; whoever goes is beaten by one that stays."""
    front = pareto_front(choices)

    def beats(one: int, other: int) -> bool:
        pairs = list(zip(choices[one], choices[other], strict=True))
        return all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairs) and any(a[1] < b[0] for a, b in pairs)

    assert front
    assert not any(beats(one, other) for one in choices for other in front)
    assert all(any(beats(one, other) for one in front) for other in choices if other not in front)


@given(EXACT)
def test_exact_figures_give_the_usual_front(choices: dict[int, tuple[int, int]]) -> None:
    """Without intervals: no other is at most as large in all and smaller in one."""
    front = pareto_front({key: [(value, value) for value in pair] for key, pair in choices.items()})

    usual = [
        key
        for key, (x, y) in choices.items()
        if not any(a <= x and b <= y and (a < x or b < y) for a, b in choices.values())
    ]
    assert list(front) == usual


def test_what_cannot_be_compared_is_refused() -> None:
    """Different numbers of figures, and intervals that are none."""
    with pytest.raises(ValueError, match="different numbers"):
        pareto_front({"a": [(1.0, 1.0)], "b": []})
    for wrong in ((2.0, 1.0), (math.nan, 1.0)):
        with pytest.raises(ValueError, match="no interval"):
            pareto_front({"a": [wrong]})
