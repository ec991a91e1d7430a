"""Where cases lie and how sure that is."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.location import location_s, yuen_standard_error
from pytest_sdbatch.analysis.spread import Scope, Timing, spread_of

SECONDS = st.lists(st.floats(0.1, 10.0), min_size=5, max_size=12).map(tuple)


def timing(*runs: tuple[float, ...], size: int = 1, count: int = 1) -> Timing:
    """Return what was timed at a batch size."""
    return Timing(batch_size=size, batch_count=count, runs=runs)


@given(SECONDS)
def test_a_case_alone_has_the_location_and_error_of_its_rounds(seconds: tuple[float, ...]) -> None:
    """The statistic that tables show, and Yuen's standard error."""
    found = spread_of([timing(seconds)])

    assert found.logs == pytest.approx((math.log(location_s(seconds)),))
    assert found.errors == pytest.approx((yuen_standard_error([math.log(value) for value in seconds]),))
    assert found.scope is Scope.WITHIN_RUN


def test_a_round_of_several_calls_lies_at_one_call() -> None:
    """2 calls in 1 s are 0.5 s a call."""
    assert spread_of([timing((1.0,) * 5, count=2)]).logs == pytest.approx((math.log(0.5),))


def test_cases_lend_each_other_their_spread() -> None:
    """Three rounds say little of their own noise; beside cases that have many they need not."""
    steady, restless = (1.0, 1.01, 0.99, 1.0, 1.01), (1.0, 1.1, 0.9, 1.05, 0.95)
    alone = spread_of([timing(steady)]).errors[0]

    beside = spread_of([timing(steady), timing(restless, size=2)])

    assert alone < beside.errors[0] < beside.errors[1]


def test_a_case_with_one_round_has_the_error_of_the_others() -> None:
    """Its own rounds tell nothing; those of the others do, and a single round is less sure than five."""
    found = spread_of([timing((1.0, 1.01, 0.99, 1.02, 0.98)), timing((2.0,), size=2)])

    assert found.errors[1] == pytest.approx(found.errors[0] * math.sqrt(5), rel=1e-6)


def test_where_nothing_is_known_of_the_noise_that_is_said() -> None:
    """Single rounds have no spread: the degrees of freedom are 0, not the error."""
    found = spread_of([timing((1.0,)), timing((2.0,), size=2)])

    assert found.freedom == 0
    assert found.errors == (1.0, 1.0)


@pytest.mark.parametrize("rounds", [3, 4, 5, 10, 20])
def test_the_pooled_variance_has_its_degrees_of_freedom(rounds: int) -> None:
    """Over normal rounds its variance is 2 / freedom times its square, as that of chi-squared; its mean too."""
    random = np.random.default_rng(5)
    found = [
        spread_of([timing(tuple(np.exp(0.03 * random.standard_normal(rounds)).tolist())) for _ in range(8)])
        for _ in range(400)
    ]
    variances = [statistics.fmean(error**2 for error in one.errors) for one in found]

    apparent = 2 * statistics.fmean(variances) ** 2 / statistics.variance(variances)
    assert apparent == pytest.approx(found[0].freedom, rel=0.35)


def test_runs_are_the_unit_of_replication() -> None:
    """What differs between processes is the error, however alike the rounds within each are."""
    found = spread_of([timing((1.0,) * 5, (1.1,) * 5, (1.2,) * 5), timing((2.0,) * 5, (2.4,) * 5, (2.2,) * 5, size=2)])

    assert found.scope is Scope.BETWEEN_RUNS
    assert found.freedom == 2  # (2 cases - 1) (3 runs - 1)
    assert found.logs[0] == pytest.approx(statistics.fmean(map(math.log, (1.0, 1.1, 1.2))))
    assert min(found.errors) > 0


def test_a_level_that_all_cases_of_a_process_share_is_told_apart() -> None:
    """A process that is 10 % slower throughout says nothing about the shape of the curve."""
    runs = [(level,) * 5 for level in (1.0, 1.1, 1.05)]
    doubled = [tuple(2 * value for value in run) for run in runs]

    found = spread_of([timing(*runs), timing(*doubled, size=2)])

    assert max(found.errors) == pytest.approx(0, abs=1e-9)
    assert found.shared == pytest.approx(statistics.stdev(map(math.log, (1.0, 1.1, 1.05))) / math.sqrt(3))


def test_cases_in_different_numbers_of_runs_are_pooled() -> None:
    """A case that only one run has borrows what runs differ by elsewhere."""
    found = spread_of([timing((1.0,) * 5, (1.1,) * 5), timing((2.0,) * 5, size=2)])

    assert found.freedom == 1
    assert found.errors[1] == pytest.approx(found.errors[0] * math.sqrt(2))
    assert found.shared == 0


@pytest.mark.parametrize(
    "timings",
    [[], [timing()], [timing(())], [timing((1.0,), size=0)], [timing((1.0,), count=0)], [timing((0.0,))],
     [timing((math.nan,))]],
)  # fmt: skip
def test_what_cannot_be_located_is_refused(timings: list[Timing]) -> None:
    """No rounds, no images, no time."""
    with pytest.raises(ValueError, match=r"nothing to locate|is no duration|both are 1|run without rounds"):
        spread_of(timings)
