"""The batch size that reaches a loss soonest, and times of sizes that were not measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.best_batch import best_batch, seconds_to_target
from pytest_sdbatch.analysis.convergence import Point, fit_law
from pytest_sdbatch.analysis.scaling import Bounds, Curve

# Measured on two CPU cores, learning rate tuned per size: steps to a held-out loss of 0.195, and CPU seconds.
DIGITS = {
    8: (760, 8.6),
    16: (393, 5.3),
    32: (244, 4.0),
    64: (150, 3.6),
    128: (101, 4.4),
    256: (99, 7.7),
    512: (74, 10.5),
}
STEP = Curve(call_s=9.8e-3, image_s=0.248e-3)


def test_the_best_size_is_the_root_of_h_times_the_critical_batch() -> None:
    """H = 40 and B_crit = 82 give 57."""
    law = fit_law([Point(batch_size=size, examples=8200.0 + 100 * size) for size in (8, 64)])
    found = best_batch(law, Curve(call_s=40e-3, image_s=1e-3), Bounds(estimate=40.0, low=30.0, high=50.0))

    assert found is not None
    assert found.size.estimate == pytest.approx(57.27, abs=0.01)
    assert found.size.low is None, "the law has no limits"


@given(st.floats(1e2, 1e6), st.floats(1, 1e3), st.floats(1e-4, 1), st.floats(1e-5, 1e-1))
def test_the_range_ends_where_the_time_is_a_tenth_longer(
    fewest: float, steps: float, call_s: float, each_s: float
) -> None:
    """No size takes less time than B*, and those of the range at most a tenth more."""
    law = fit_law([Point(batch_size=size, examples=fewest + steps * size) for size in (1, 10, 100, 1000)])
    curve = Curve(call_s=call_s, image_s=each_s)
    found = best_batch(law, curve, Bounds(estimate=call_s / each_s))

    assert found is not None
    assert found.seconds is not None
    assert found.high is not None
    times = [seconds_to_target(law, curve, size) or 0 for size in np.geomspace(0.5, 1e5, 60)]
    assert min(times) >= found.seconds * (1 - 1e-6)
    for end in (found.low, found.high):
        assert (seconds_to_target(law, curve, end) or 0) == pytest.approx(1.1 * found.seconds, rel=1e-4) or end == 1


def test_a_law_without_growth_wants_the_largest_size() -> None:
    """Where larger batches cost no more examples, there is no best size, only the largest measured or above."""
    law = fit_law([Point(batch_size=size, examples=1000.0 - size) for size in (8, 64)])
    found = best_batch(law, STEP, Bounds(estimate=40.0))

    assert found is not None
    assert (found.size.estimate, found.seconds, found.low, found.high) == (None, None, 64, None)


def test_a_law_that_starts_at_nothing_has_no_best_size() -> None:
    """E_min below 0 is no law."""
    law = fit_law([Point(batch_size=size, examples=100.0 * size - 200) for size in (8, 64)])

    assert best_batch(law, STEP, Bounds(estimate=40.0)) is None


def test_limits_of_both_lines_are_joined() -> None:
    """B* is as sure as the root of what it is made of."""
    points = [Point(batch_size=size, examples=8200.0 + 100 * size, error=200.0) for size in (8, 64, 256)]
    law = fit_law(points)
    sure = best_batch(law, STEP, Bounds(estimate=39.5, low=39.4, high=39.6))
    unsure = best_batch(law, STEP, Bounds(estimate=39.5, low=20.0, high=80.0))

    assert sure is not None
    assert unsure is not None
    assert (unsure.size.low or 0) < (sure.size.low or 0) < (sure.size.estimate or 0) < (sure.size.high or 0)
    assert (sure.size.high or 0) < (unsure.size.high or 0)


@pytest.mark.parametrize("pair", [(16, 128), (8, 64), (16, 256), (32, 256)])
def test_two_measured_sizes_foretell_the_time_of_the_others(pair: tuple[int, int]) -> None:
    """On digits each measured size from 16 to 256 takes within 30 % of what two of them say."""
    law = fit_law([Point(batch_size=size, examples=float(size * DIGITS[size][0])) for size in pair])
    slow, quick = (DIGITS[size][1] / DIGITS[size][0] for size in pair)
    each_s = (quick - slow) / (pair[1] - pair[0])
    curve = Curve(call_s=slow - each_s * pair[0], image_s=each_s)

    for size in (16, 32, 64, 128, 256):
        assert seconds_to_target(law, curve, size) == pytest.approx(DIGITS[size][1], rel=0.30), size


def test_the_measured_optimum_of_digits_is_foretold() -> None:
    """From seven sizes: R^2 of at least 0.95, and B* within one power of two of the fastest measured size, 64."""
    law = fit_law([Point(batch_size=size, examples=float(size * steps)) for size, (steps, _) in DIGITS.items()])
    found = best_batch(law, STEP, Bounds(estimate=39.5))

    assert (law.r_squared or 0) >= 0.95
    assert found is not None
    assert 32 <= (found.size.estimate or 0) <= 128
