"""The first sight: who is tested."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.estimate import Estimate
from pytest_sdbatch.analysis.screen import look_faster, screening_estimates, suspects

TWO = st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
JOBS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), TWO, min_size=1, max_size=8)


def test_the_spread_is_pooled_over_all_cases() -> None:
    """By hand: variances 0.02^2/2 and 0 of two cases average 0.0001: a pair has stdev 0.01, a mean of two 0.00707."""
    found = screening_estimates({"a": [0.01, 0.03], "b": [0.0, 0.0]})

    assert found["a"].mean == pytest.approx(0.02)
    assert [found[case].spread for case in "ab"] == pytest.approx([0.01, 0.01])
    assert found["b"].error == pytest.approx(0.01 / math.sqrt(2))


@pytest.mark.parametrize(("cases", "freedom"), [(1, 1), (2, 2), (3, 3), (12, 3), (100, 3)])
def test_many_cases_count_as_three(cases: int, freedom: int) -> None:
    """The cases of a process share half of its luck: a hundred of them are no hundred degrees of freedom."""
    found = screening_estimates({f"case {k}": [0.0, 0.01] for k in range(cases)})

    assert {estimate.freedom for estimate in found.values()} == {freedom}


def test_a_case_with_one_pair_has_a_mean_alone_and_none_without_any() -> None:
    """What is not known is not made up, nor does it widen what is known of others."""
    found = screening_estimates({"a": [0.01, 0.03], "b": [0.05], "c": []})

    assert found["b"] == Estimate(mean=0.05, freedom=0, pairs=1)
    assert found["a"].freedom == 1
    assert "c" not in found


@pytest.mark.parametrize(
    ("error", "tolerance", "threshold"),
    [
        (0.0, 0.01, math.log(1.01)),  # a quiet machine: the tolerance
        (0.005, 0.01, 0.0125),  # noisier: 2.5 errors
        (0.05, 0.01, math.log(1.015)),  # noisier still: never more than 1.5 %
        (0.0, 0.10, math.log(1.015)),  # nor for a generous budget
    ],
)
def test_the_threshold_by_hand(error: float, tolerance: float, threshold: float) -> None:
    """The lesser of 1.5 % and the larger of 2.5 errors and the tolerance; reaching it suffices."""
    means = {"below": threshold - 1e-9, "at": threshold + 1e-12, "far": 1.0, "faster": -1.0}
    estimates = {
        case: Estimate(mean=mean, error=error, spread=error, freedom=3, pairs=2) for case, mean in means.items()
    }

    assert suspects(estimates, Config(tolerance=tolerance)) == ("at", "far")


@pytest.mark.parametrize(
    ("mean", "error", "faster"),
    [(-0.0101, 0.002, True), (-0.0099, 0.002, False), (-0.026, 0.01, True), (-0.024, 0.01, False), (0.05, 0.0, False)],
)
def test_what_looks_faster_does_so_beyond_the_tolerance_and_the_noise(mean: float, error: float, faster: bool) -> None:
    """By hand: ln 1.01 is 0.00995, 2.5 errors of 1 % are 2.5 %; that 1.5 % is always tested holds for slower ones."""
    found = {"a": Estimate(mean=mean, error=error, freedom=3, pairs=2)}

    assert look_faster(found, Config()) == (("a",) if faster else ())


@given(JOBS)
def test_the_order_of_cases_and_of_the_two_pairs_is_of_no_account(job: dict[str, tuple[float, float]]) -> None:
    """To the last bit: sums are exact."""
    turned = {case: values[::-1] for case, values in reversed(job.items())}

    assert screening_estimates(job) == screening_estimates(turned)
    assert set(suspects(screening_estimates(job), Config())) == set(suspects(screening_estimates(turned), Config()))
