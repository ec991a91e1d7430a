"""Learning rates: the rules, and a search that ends between two worse ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.learning_runs import RatePolicy
from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.training.rates import RECORDED, TRIED, Trial, are_recorded, rate_of, tune


def bowl(best: float, *, diverges_at: float = math.inf) -> Callable[[float], Trial]:
    """Return trials whose examples grow with the distance from the best rate."""

    def trial(rate: float) -> Trial:
        if rate >= diverges_at:
            return Trial(examples=None, best_loss=None)
        return Trial(examples=1000 * (1 + math.log(rate / best) ** 2), best_loss=0.19)

    return trial


def test_the_rules_scale_a_reference() -> None:
    """1e-3 at 64 is the same, twice or four times as much at 256."""
    rates = {policy: rate_of(policy, 256, reference=1e-3) for policy in RatePolicy if policy is not RatePolicy.TUNED}

    assert rates == pytest.approx({RatePolicy.FIXED: 1e-3, RatePolicy.SQRT: 2e-3, RatePolicy.LINEAR: 4e-3})


def test_recorded_rates_are_given_back_and_lie_between_their_neighbours() -> None:
    """A size that was not recorded takes its rate from the two around it."""
    assert {size: rate_of(RatePolicy.TUNED, size) for size in RECORDED} == pytest.approx(dict(RECORDED))
    low, high = sorted((RECORDED[16], RECORDED[64]))
    assert low <= rate_of(RatePolicy.TUNED, 48) <= high
    assert rate_of(RatePolicy.TUNED, 4096) == RECORDED[max(RECORDED)]
    assert are_recorded([min(RECORDED), 100])
    assert not are_recorded([64, 2 * max(RECORDED)])


def test_each_recorded_rate_has_two_worse_neighbours() -> None:
    """The claim of an optimum is recorded with what proves it."""
    assert dict(RECORDED) == {16: 4e-3, 64: 8e-3, 256: 8e-3}
    for size, best in RECORDED.items():
        tried = TRIED[size]
        assert all(tried[best * factor] > tried[best] for factor in (0.5, 2)), size


def test_a_tuned_rate_takes_no_reference() -> None:
    """It would be without effect."""
    with pytest.raises(OptionError, match="tuned rate"):
        rate_of(RatePolicy.TUNED, 64, reference=1e-3)


@given(st.floats(-3, 3))
def test_the_search_ends_between_two_worse_rates(octaves: float) -> None:
    """Wherever it starts, the best rate of a bowl is found to a factor of the root of 2, as an interior optimum."""
    found = tune(64, bowl(1e-3), start=1e-3 * 2**octaves)

    assert found.interior
    assert abs(math.log2(found.rate / 1e-3)) <= 0.5 + 1e-9
    assert found.largest_stable is None
    assert len(found.tried) <= 12


def test_the_largest_rate_that_does_not_diverge_is_found() -> None:
    """The search goes on upwards; what diverged is told by the rate below it."""
    found = tune(64, bowl(1e-3, diverges_at=7e-3), start=1e-3)

    assert found.largest_stable == pytest.approx(4e-3)
    rate, examples = found.tried[-1]
    assert rate == pytest.approx(8e-3)
    assert examples is None


def test_an_optimum_at_the_end_of_the_grid_is_no_optimum() -> None:
    """A rate that improves for ever is told as such, and the best one is the best of all that were tried."""
    found = tune(64, lambda rate: Trial(examples=1 / rate, best_loss=0.1), start=1e-5)

    assert not found.interior
    assert found.rate == found.tried[-1][0]


def test_rates_that_never_reach_the_target_are_ordered_by_loss() -> None:
    """The best of them is no optimum, either."""
    found = tune(64, lambda rate: Trial(examples=None, best_loss=abs(math.log(rate / 1e-3))), start=1e-3)

    assert found.rate == 1e-3
    assert not found.interior
