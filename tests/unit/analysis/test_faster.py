"""Benjamini and Hochberg's procedure on estimates: SciPy's as oracle, and how often it is wrong."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from pytest_sdbatch.analysis.estimate import Estimate, estimate_of, p_value
from pytest_sdbatch.analysis.faster import found_faster

SHARE = 0.025
LEAST = math.log1p(0.01)
ESTIMATES = st.lists(
    st.builds(
        lambda mean, error: Estimate(mean=mean, error=error, freedom=3, pairs=4),
        st.floats(-0.2, 0.1),
        st.floats(0.0, 0.03),
    ),
    min_size=1,
    max_size=12,
).map(lambda values: {str(number): value for number, value in enumerate(values)})


def least(_: str) -> float:
    """Return the share that each case has to be faster by."""
    return 0.01


@given(ESTIMATES)
def test_it_is_the_procedure_of_benjamini_and_hochberg(estimates: dict[str, Estimate]) -> None:
    """SciPy's adjusted p of "no faster than by 1 %" is at most the share exactly where a case is found."""
    mirrored = [
        Estimate(mean=-found.mean, error=found.error, freedom=found.freedom, pairs=found.pairs)
        for found in estimates.values()
    ]
    adjusted = false_discovery_control([p_value(found, against=LEAST) for found in mirrored])

    assert found_faster(estimates, least, share=SHARE) == {
        case for case, p in zip(estimates, adjusted, strict=True) if p <= SHARE
    }


@given(ESTIMATES)
def test_what_is_found_lies_below_the_speed_up_by_its_own_interval_too(estimates: dict[str, Estimate]) -> None:
    """Among others a case is held to no less: its own 95 % interval lies below the speed-up it has to exceed."""
    assert all(estimates[case].upper <= -LEAST + 1e-12 for case in found_faster(estimates, least, share=SHARE))


def test_a_case_alone_is_found_by_its_interval() -> None:
    """By hand: four pairs of -4, -5, -5, -6 % end at -5 + 3.18 x 0.41 = -3.7 %."""
    assert found_faster({"a": estimate_of([-0.04, -0.05, -0.05, -0.06])}, least, share=SHARE) == {"a"}
    assert found_faster({"a": estimate_of([-0.04, -0.05, -0.05, -0.06])}, lambda _: 0.0365, share=SHARE) == {"a"}
    assert not found_faster({"a": estimate_of([-0.04, -0.05, -0.05, -0.06])}, lambda _: 0.0385, share=SHARE)


def test_a_fast_case_among_many_needs_more_and_many_fast_ones_do_not() -> None:
    """With 3 degrees of freedom 4 errors have p = 0.014: enough alone and in company, not as the one of a dozen."""
    fast = Estimate(mean=-LEAST - 0.04, error=0.01, freedom=3, pairs=4)
    still = Estimate(mean=0.0, error=0.01, freedom=3, pairs=4)

    assert found_faster({"a": fast}, least, share=SHARE) == {"a"}
    assert not found_faster({"a": fast} | {f"still {number}": still for number in range(11)}, least, share=SHARE)
    assert len(found_faster({f"fast {number}": fast for number in range(12)}, least, share=SHARE)) == 12


def test_clean_jobs_seldom_have_a_case_that_is_faster() -> None:
    """2,000 jobs of 50 cases that share half of their luck, at 5 % a process: at most 2.5 %, where 1.25 cases would."""
    chance = np.random.default_rng(0)
    jobs = 2000
    shared = chance.normal(scale=0.05, size=(jobs, 1, 4))
    own = chance.normal(scale=0.05, size=(jobs, 50, 4))

    red = sum(
        bool(
            found_faster(
                {str(case): estimate_of(list(pairs)) for case, pairs in enumerate(job)}, lambda _: 0.0, share=SHARE
            )
        )
        for job in shared + own
    )

    assert red / jobs < SHARE + 3 * math.sqrt(SHARE / jobs)


def test_nothing_is_found_among_none() -> None:
    """A job may have no case with enough pairs."""
    assert found_faster({}, least, share=SHARE) == frozenset()
