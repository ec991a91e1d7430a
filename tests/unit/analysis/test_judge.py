"""From an estimate to a word, and the numbers beside it: SciPy as oracle."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.estimate import Estimate
from pytest_sdbatch.analysis.judge import judge
from pytest_sdbatch.analysis.verdict import Verdict


def estimate(mean: float, error: float = 0.001, *, pairs: int = 8) -> Estimate:
    """Return an estimate from so many pairs."""
    return Estimate(mean=mean, error=error, spread=error * math.sqrt(pairs), freedom=pairs - 1, pairs=pairs)


def test_a_tolerance_of_next_to_nothing_takes_more_pairs_than_can_be_counted() -> None:
    """Not a number that is too large for a float."""
    needed = judge("a", estimate(0.01), Config(tolerance=1e-300), family=1).needs_more

    assert needed == 10**9 - 8


# 8 pairs, error 0.001: the interval reaches 0.00236 to each side.
@pytest.mark.parametrize(
    ("mean", "rejected", "faster", "verdict"),
    [
        (0.0100, True, False, Verdict.REGRESSED),  # ln 1.01 = 0.00995
        (0.0099, True, False, Verdict.UNCHANGED),  # beyond chance, but below the tolerance
        (0.0100, False, False, Verdict.UNCHANGED),  # the margin, ln 1.05 = 0.0488, is excluded
        (0.0460, False, False, Verdict.UNCHANGED),
        (0.0470, False, False, Verdict.INCONCLUSIVE),
        (-0.0124, False, False, Verdict.UNCHANGED),
        (-0.0124, False, True, Verdict.IMPROVED),
    ],
)
def test_the_first_verdict_that_holds(mean: float, rejected: bool, faster: bool, verdict: Verdict) -> None:
    """Each border by hand."""
    assert judge("a", estimate(mean), Config(), family=1, rejected=rejected, faster=faster).verdict is verdict


@pytest.mark.parametrize("mean", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("pairs", [2, 3])
def test_fewer_pairs_than_needed_say_nothing(mean: float, pairs: int) -> None:
    """However clear they look; the numbers are shown all the same."""
    found = judge("a", estimate(mean, pairs=pairs), Config(), family=1, rejected=True)

    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == f"{pairs} pairs, 4 are needed"
    assert found.interval is not None


def test_without_an_error_there_is_an_estimate_alone() -> None:
    """None, and the reason says why; never 0 or infinity."""
    found = judge("a", Estimate(mean=0.1, freedom=0, pairs=1), Config(), family=1, fewest=2)

    assert found.estimate == pytest.approx(math.expm1(0.1))
    assert (found.interval, found.minimum_detectable_effect, found.needs_more) == (None, None, None)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "1 pair, 2 are needed")


@given(st.floats(-0.5, 0.5), st.floats(1e-4, 0.2), st.integers(4, 12), st.integers(0, 50))
def test_the_numbers_are_those_of_the_formulas(mean: float, error: float, pairs: int, family: int) -> None:
    """Interval, minimum detectable effect and pairs needed, with SciPy's quantiles; alpha_2 = 0.7 x 0.8 %."""
    found = judge("a", estimate(mean, error, pairs=pairs), Config(), family=family)

    student = stats.t(pairs - 1)
    reach = student.ppf(1 - 0.0056 / max(1, family)) + student.ppf(0.8)
    needed = math.ceil((reach * error * math.sqrt(pairs) / math.log(1.01)) ** 2) - pairs
    low, high = (math.expm1(mean + sign * student.ppf(0.975) * error) for sign in (-1, 1))
    assert found.interval == pytest.approx((low, high), rel=1e-6, abs=1e-9)
    assert found.minimum_detectable_effect == pytest.approx(math.expm1(reach * error), rel=1e-6)
    assert found.needs_more == pytest.approx(max(0, needed), abs=1)


def test_numbers_beyond_all_bounds_stay_finite() -> None:
    """Two pairs that differ 10^300 times are nonsense, but no crash."""
    found = judge("a", estimate(690.0, 600.0, pairs=2), Config(), family=100, fewest=2)

    assert found.interval is not None
    assert found.minimum_detectable_effect is not None
    assert all(map(math.isfinite, (*found.interval, found.minimum_detectable_effect)))


def test_no_tolerance_needs_no_number_of_pairs() -> None:
    """A slowdown of nothing is found by no number of pairs."""
    assert judge("a", estimate(0.01), Config(tolerance=0.0), family=1).needs_more is None
