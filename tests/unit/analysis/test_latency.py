"""How long a call takes, and which quantiles its rounds tell."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.latency import fewest_for_quantile, latency_of, quantile_s
from pytest_sdbatch.errors import TooFewSamples

SECONDS = st.floats(1e-3, 1e3)


def test_the_median_and_the_longest_round() -> None:
    """One round in five that took twice as long is the longest, and no part of the median."""
    found = latency_of([1.0, 1.1, 2.0, 0.9, 1.0])

    assert (found.median_s, found.highest_s, found.rounds) == (1.0, 2.0, 5)


def test_a_quantile_that_the_rounds_do_not_tell_is_refused() -> None:
    """18 rounds: one call in twenty may well take longer than all of them."""
    assert quantile_s(range(1, 20), 0.95) == 19
    with pytest.raises(TooFewSamples, match="18 rounds where the 95% quantile needs 19"):
        quantile_s(range(1, 19), 0.95)
    assert [fewest_for_quantile(share) for share in (0.5, 0.9, 0.95, 0.99, 0.05)] == [1, 9, 19, 99, 19]


@given(st.lists(SECONDS, min_size=2, max_size=60), st.integers(1, 99))
def test_it_is_the_usual_quantile_or_refused(seconds: list[float], percent: int) -> None:
    """As the standard library has it, which goes beyond the readings where this refuses."""
    try:
        found = quantile_s(seconds, percent / 100)
    except TooFewSamples:
        place = (len(seconds) + 1) * percent / 100
        assert place > len(seconds) - 1e-6 or place < 1 + 1e-6
        return
    expected = statistics.quantiles(seconds, n=100)[percent - 1]
    assert found == pytest.approx(expected, rel=1e-6)
    assert min(seconds) <= found <= max(seconds)


def test_nothing_tells_nothing() -> None:
    """No round, and shares that are none."""
    with pytest.raises(TooFewSamples):
        latency_of([])
    for share in (0.0, 1.0, 95):
        with pytest.raises(ValueError, match="share is"):
            quantile_s([1.0], share)
