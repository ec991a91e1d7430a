"""Location and its error: against SciPy as oracle, under invariances, and by simulated coverage."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_sdbatch.analysis.location import (
    Interval,
    half_width,
    interval,
    location_s,
    log_location,
    trimmed_location,
    yuen_standard_error,
)
from pytest_sdbatch.errors import TooFewSamples

LOGS = st.lists(st.floats(-12, 12), min_size=5, max_size=40)
SECONDS = st.lists(st.floats(1e-6, 1e4), min_size=5, max_size=40)


@given(LOGS)
def test_location_is_scipys_trimmed_mean(logs: list[float]) -> None:
    """From five values on, where a fifth is at least one value, SciPy's trim_mean is the same statistic."""
    assert trimmed_location(logs) == pytest.approx(stats.trim_mean(logs, 0.2), abs=1e-12)


@pytest.mark.parametrize("logs", [[1.0, 2.0, 9.0], [9.0, 1.0, 2.0]])
def test_three_values_give_their_middle_one(logs: list[float]) -> None:
    """At least one value is cut at each end, so that one disturbed round of three cannot move the location."""
    assert trimmed_location(logs) == 2.0


@given(LOGS)
def test_standard_error_is_yuens(logs: list[float]) -> None:
    """The winsorized variance of SciPy, put into Yuen's formula, gives the same standard error."""
    count = len(logs)
    kept = count - 2 * max(1, count // 5)
    winsorized = np.asarray(stats.mstats.winsorize(np.array(logs), limits=(0.2, 0.2)))
    expected = math.sqrt((count - 1) * winsorized.var(ddof=1) / (kept * (kept - 1)))

    assert yuen_standard_error(logs) == pytest.approx(expected, abs=1e-9)


@given(LOGS)
def test_half_width_is_the_half_width_of_yuens_one_sample_test(logs: list[float]) -> None:
    """The interval ends where a trimmed t statistic against the location reaches Student's quantile."""
    count = len(logs)
    freedom = count - 2 * max(1, count // 5) - 1
    expected = stats.t.ppf(0.995, freedom) * yuen_standard_error(logs)

    assert half_width(logs, confidence=0.99) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(SECONDS)
def test_the_location_of_seconds_is_that_of_their_logs_to_the_last_bit(seconds: list[float]) -> None:
    """Cutting first and taking logs then is quicker, and no other number."""
    assert log_location(seconds) == trimmed_location([math.log(value) for value in seconds])


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_seconds_without_a_log_are_refused(wrong: float) -> None:
    """Wherever they stand, also where the cut would remove them."""
    for place in range(5):
        seconds = [1.0, 2.0, 3.0, 4.0]
        seconds.insert(place, wrong)
        with pytest.raises(ValueError, match="is not"):
            log_location(seconds)


@given(SECONDS, st.floats(1e-3, 1e3))
def test_a_change_of_unit_changes_nothing_else(seconds: list[float], factor: float) -> None:
    """Location scales with the readings; the half-width, being a share, stays."""
    scaled = [value * factor for value in seconds]

    assert location_s(scaled) == pytest.approx(location_s(seconds) * factor, rel=1e-9)
    assert half_width([math.log(v) for v in scaled]) == pytest.approx(
        half_width([math.log(v) for v in seconds]), rel=1e-6, abs=1e-9
    )


@given(SECONDS, st.randoms(use_true_random=False))
def test_the_order_of_rounds_is_of_no_account(seconds: list[float], rng: random.Random) -> None:
    """The same rounds in another order give the same interval, to the last bit."""
    shuffled = list(seconds)
    rng.shuffle(shuffled)

    assert interval(shuffled) == interval(seconds)


@given(SECONDS)
def test_an_interval_holds_its_estimate(seconds: list[float]) -> None:
    """The estimate lies between the limits and within the readings."""
    found = interval(seconds)

    assert found is not None
    assert found.low <= found.estimate <= found.high
    assert min(seconds) * (1 - 1e-12) <= found.estimate <= max(seconds) * (1 + 1e-12)


def test_one_wild_round_moves_neither_location_nor_interval() -> None:
    """A round ten times as slow as the rest is what the cut is for."""
    calm = [1.00, 1.01, 0.99, 1.02, 0.98, 1.03]

    assert interval([*calm[:5], 10.0]) == interval(calm)


def test_equal_rounds_have_an_interval_without_width() -> None:
    """Readings of a clock too coarse to differ are no error."""
    found = interval([0.25] * 6)

    assert found is not None
    assert (found.low, found.estimate, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_more_confidence_means_a_wider_interval() -> None:
    """The confidence asked for is the one that is used."""
    logs = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]

    assert half_width(logs, confidence=0.9) < half_width(logs) < half_width(logs, confidence=0.99)


def test_fewer_than_five_rounds_have_a_location_but_no_interval() -> None:
    """Two rounds show their median, three and four a trimmed location; none of them an interval."""
    assert location_s([3.0]) == 3.0
    assert location_s([1.0, 3.0]) == 2.0
    assert location_s([1.0, 2.0, 30.0]) == pytest.approx(2.0)
    assert interval([1.0, 2.0, 3.0, 4.0]) is None
    assert isinstance(interval([1.0, 2.0, 3.0, 4.0, 5.0]), Interval)


@pytest.mark.parametrize(
    ("statistic", "values"),
    [
        (trimmed_location, [0.1, 0.2]),
        (yuen_standard_error, [0.1, 0.2, 0.3, 0.4]),
        (half_width, [0.1, 0.2, 0.3, 0.4]),
        (location_s, []),
    ],
)
def test_too_few_values_are_refused(statistic: Callable[[list[float]], object], values: list[float]) -> None:
    """A statistic that is not defined raises instead of making a number up; the error is a ValueError too."""
    with pytest.raises(TooFewSamples) as caught:
        statistic(values)

    assert isinstance(caught.value, ValueError)


def test_a_cut_that_leaves_one_value_is_refused() -> None:
    """The spread of a single value is not known."""
    with pytest.raises(TooFewSamples):
        yuen_standard_error([1.0, 2.0, 3.0, 4.0, 5.0], cut=0.4)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("statistic", [trimmed_location, yuen_standard_error, half_width, location_s, interval])
def test_what_is_not_finite_is_refused(statistic: Callable[[list[float]], object], value: float) -> None:
    """NaN would sort anywhere and poison a table in silence."""
    with pytest.raises(ValueError, match="finite"):
        statistic([1.0, 2.0, 3.0, 4.0, value])


@pytest.mark.parametrize("value", [0.0, -1.0])
@pytest.mark.parametrize("statistic", [location_s, interval])
def test_no_duration_is_zero_or_less(statistic: Callable[[list[float]], object], value: float) -> None:
    """A duration of 0 s is a fault of a clock, not a fast round."""
    with pytest.raises(ValueError, match="above 0"):
        statistic([1.0, 2.0, 3.0, 4.0, value])


@pytest.mark.parametrize("arguments", [{"confidence": 0.0}, {"confidence": 1.0}, {"cut": 0.5}, {"cut": -0.1}])
def test_shares_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    """A confidence of 100 % or a cut of everything is a mistake of the caller."""
    with pytest.raises(ValueError, match=r"between 0 and 1|below 0\.5"):
        half_width([1.0, 2.0, 3.0, 4.0, 5.0], **arguments)


@pytest.mark.parametrize("count", [5, 10, 30])
def test_the_95_percent_interval_covers_about_95_percent(count: int) -> None:
    """Of 2,000 simulated cases with lognormal rounds the interval holds the true location in 93 to 97 %."""
    rng = random.Random(count)
    jobs = 2_000

    covered = 0
    for _ in range(jobs):
        found = interval([rng.lognormvariate(0.0, 0.03) for _ in range(count)])
        assert found is not None
        covered += found.low <= 1.0 <= found.high

    assert 0.93 <= covered / jobs <= 0.97


@settings(max_examples=50)
@given(SECONDS, st.floats(1.01, 2))
def test_slower_rounds_never_lower_the_location(seconds: list[float], factor: float) -> None:
    """Making one round slower cannot make the case look faster."""
    slower = [seconds[0] * factor, *seconds[1:]]

    assert location_s(slower) >= location_s(seconds) * (1 - 1e-12)


def test_importing_the_module_loads_neither_numpy_nor_scipy() -> None:
    """Plugins are imported by every pytest run; the quantile is paid for by those that need one."""
    code = "import sys, pytest_sdbatch.analysis.location; print([m for m in ('numpy', 'scipy') if m in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
