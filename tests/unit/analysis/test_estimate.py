"""Locations, estimates and p-values: SciPy as oracle, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_sdbatch.analysis.estimate import Estimate, estimate_of, locations, p_value, student_quantile
from pytest_sdbatch.errors import TooFewSamples

LOG_RATIOS = st.lists(st.integers(-1000, 1000), min_size=2, max_size=12, unique=True).map(
    lambda values: [value / 1000 for value in values]
)


@given(LOG_RATIOS, st.floats(-0.1, 0.1))
def test_p_is_that_of_scipys_one_sided_t_test(values: list[float], against: float) -> None:
    """One number a pair, nothing borrowed from elsewhere."""
    found = estimate_of(values)

    expected = stats.ttest_1samp(values, against, alternative="greater").pvalue

    assert p_value(found, against=against) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(LOG_RATIOS)
def test_the_interval_is_that_of_scipys_t_test(values: list[float]) -> None:
    """Two-sided, 95 %."""
    found = estimate_of(values)

    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)

    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("value", "p"), [(0.02, 0.0), (0.0, 1.0), (-0.02, 1.0)])
def test_without_any_spread_there_is_no_doubt(value: float, p: float) -> None:
    """A clock too coarse to differ gives no 0/0: any slowdown at all is then certain, and none is none."""
    assert p_value(estimate_of([value] * 4)) == p


def test_one_value_has_a_mean_and_no_error() -> None:
    """Its spread is not known, and not zero."""
    assert estimate_of([0.03]) == Estimate(mean=0.03, freedom=0, pairs=1)


@given(st.integers(1, 50), st.floats(0.6, 0.9999))
def test_the_quantile_is_scipys(freedom: int, probability: float) -> None:
    """The fast function and the slow one agree."""
    assert student_quantile(freedom, probability) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-9)


def test_the_location_of_a_run_is_its_trimmed_mean() -> None:
    """By hand: of ln 1, 2, 4, 8, 1000 the lowest and the highest are cut; the mean of ln 2, 4, 8 is ln 4."""
    assert locations({"a": [4.0, 1000.0, 1.0, 8.0, 2.0]}) == {"a": pytest.approx(math.log(4))}


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf, -math.inf, 10**400, "1", None, 1j])
@pytest.mark.parametrize("place", [0, 4])
def test_what_is_no_duration_is_refused_wherever_it_stands(wrong: Any, place: int) -> None:
    """The case is named: a job has many."""
    seconds: list[Any] = [1.0] * 5
    seconds[place] = wrong

    with pytest.raises(ValueError, match="sd15-b4x1"):
        locations({"sd15-b4x1": seconds})


@pytest.mark.parametrize("rounds", [0, 1, 4])
def test_fewer_than_five_rounds_are_refused(rounds: int) -> None:
    """A location of four rounds has no error that could be believed."""
    with pytest.raises(TooFewSamples, match=f"sd15-b4x1: {rounds} rounds"):
        locations({"sd15-b4x1": [1.0] * rounds})
