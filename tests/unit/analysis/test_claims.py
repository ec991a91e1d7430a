"""What a figure says of a claim, and how it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.claims import Standing, amount, standing_of, times
from pytest_sdbatch.analysis.scaling import Bounds


@pytest.mark.parametrize(
    ("low", "high", "standing"),
    [
        (1.01, 3.0, Standing.SUPPORTED),
        (0.5, 0.99, Standing.NOT_SUPPORTED),
        (0.96, 1.04, Standing.NOT_SUPPORTED),
        (0.96, 1.2, Standing.CANNOT_TELL),
        (0.5, 2.0, Standing.CANNOT_TELL),
        (None, 2.0, Standing.CANNOT_TELL),
    ],
)
def test_a_ratio_decides_by_its_limits(low: float | None, high: float, standing: Standing) -> None:
    """Surely above 1, surely below, surely about 1, or neither."""
    assert standing_of(Bounds(estimate=1.0, low=low, high=high), claimed_above=True) is standing


@given(st.floats(0.1, 10), st.floats(1, 5))
def test_the_opposite_claim_is_never_supported_too(low: float, width: float) -> None:
    """Both may be undecided, or both wrong where nothing differs."""
    ratio = Bounds(estimate=low, low=low, high=low * width)
    above, below = (standing_of(ratio, claimed_above=claimed) for claimed in (True, False))

    assert {above, below} != {Standing.SUPPORTED}
    if above is Standing.SUPPORTED:
        assert below is Standing.NOT_SUPPORTED


def test_nothing_measured_tells_nothing() -> None:
    """No ratio is no verdict."""
    assert standing_of(None, claimed_above=True) is Standing.CANNOT_TELL


def test_figures_are_written_with_their_limits() -> None:
    """One-sided answers are words, and what is unknown is no number."""
    assert times(Bounds(estimate=1.5, low=1.2, high=1.9)) == "1.50 times [1.20, 1.90]"
    assert times(None) == "not known"
    assert amount(Bounds(estimate=57.0, low=40.0), "s") == "57.0 [40.0, no end] s"
    assert amount(Bounds(estimate=None, low=30.0)) == "at least 30.0"
    assert amount(Bounds(estimate=None)) == "not known"
    assert amount(None) == "not reached"
