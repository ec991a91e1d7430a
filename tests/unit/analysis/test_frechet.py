"""The distance of two clouds of points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from pytest_sdbatch.analysis.frechet import frechet_distance


def test_a_cloud_that_is_moved_is_as_far_as_the_square_of_that() -> None:
    """Equal spreads leave the means."""
    cloud = np.random.default_rng(0).standard_normal((50, 4))

    assert frechet_distance(cloud, cloud) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(cloud, cloud + np.array([3, 0, 0, 0])) == pytest.approx(9)


@given(st.integers(0, 2**32 - 1))
def test_it_is_the_formula(seed: int) -> None:
    """SciPy's matrix root gives the same."""
    random = np.random.default_rng(seed)
    one, other = random.standard_normal((40, 5)), random.standard_normal((30, 5)) @ random.standard_normal((5, 5))
    c1, c2 = np.cov(one.T), np.cov(other.T)
    formula = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * np.real(sqrtm(c1 @ c2)))

    assert frechet_distance(one, other) == pytest.approx(formula, rel=1e-6)
    assert frechet_distance(other, one) == pytest.approx(formula, rel=1e-6)


def test_fewer_points_than_directions_are_no_error() -> None:
    """Images have pixels that are always black."""
    flat = np.zeros((5, 8))
    flat[:, 0] = range(5)

    assert frechet_distance(flat, flat + 1) == pytest.approx(8, abs=1e-6)


@pytest.mark.parametrize("wrong", [np.zeros((1, 3)), np.zeros((4, 2)), np.full((4, 3), np.nan)])
def test_what_is_no_cloud_is_refused(wrong: np.ndarray) -> None:
    """One point, another length, or no numbers."""
    with pytest.raises(ValueError, match=r"points|finite"):
        frechet_distance(np.zeros((4, 3)), wrong)
