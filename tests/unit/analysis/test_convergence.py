"""The line of examples by batch size: exact points, published runs, seeds, and limits that cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.convergence import Point, fit_law, points_of

SIZES = (8, 16, 32, 64, 128)
# Reference convergence points of MLPerf training, in samples, and their standard errors.
STABLE_DIFFUSION = {
    256: (1.715e6, 0.056e6),
    384: (2.049e6, 0.053e6),
    512: (2.099e6, 0.063e6),
    1024: (2.836e6, 0.074e6),
    2048: (4.017e6, 0.098e6),
}
FLUX = {512: (7.235e6, 0.035e6), 1024: (8.493e6, 0.055e6), 2048: (10.355e6, 0.161e6), 4096: (15.349e6, 0.115e6)}


def published(runs: dict[int, tuple[float, float]]) -> list[Point]:
    """Return the points of published runs."""
    return [Point(batch_size=size, examples=mean, error=error) for size, (mean, error) in runs.items()]


@given(st.floats(1e2, 1e7), st.floats(1, 1e4))
def test_points_on_a_line_give_it_back(fewest: float, steps: float) -> None:
    """E_min, S_min and B_crit are those that the points were made from, whatever their scale."""
    law = fit_law([Point(batch_size=size, examples=fewest + steps * size) for size in SIZES])

    assert law.fewest_examples.estimate == pytest.approx(fewest, rel=1e-6, abs=1e-6 * steps * 128)
    assert law.fewest_steps.estimate == pytest.approx(steps, rel=1e-6, abs=1e-6 * fewest / 8)
    assert law.r_squared == pytest.approx(1, abs=1e-6)
    assert law.critical_batch.low is None, "nothing is known of the noise"
    both = (law.steps(32).estimate or 0) / steps - 1, (law.examples(32).estimate or 0) / fewest - 1
    assert both[0] * both[1] == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize(
    ("runs", "critical", "limits", "r_squared"),
    [(STABLE_DIFFUSION, 1168, (996, 1372), 0.993), (FLUX, 2711, (2612, 2847), 0.996)],
    ids=["stable-diffusion-v2", "flux.1"],
)
def test_the_law_fits_published_diffusion_runs(
    runs: dict[int, tuple[float, float]], critical: float, limits: tuple[float, float], r_squared: float
) -> None:
    """MLPerf's convergence points of Stable Diffusion v2 and Flux.1 lie on a line (limits of another bootstrap)."""
    law = fit_law(published(runs))

    assert law.critical_batch.estimate == pytest.approx(critical, rel=2e-3)
    assert law.critical_batch.low == pytest.approx(limits[0], rel=0.025)
    assert law.critical_batch.high == pytest.approx(limits[1], rel=0.025)
    assert law.r_squared == pytest.approx(r_squared, abs=5e-4)


def test_equal_points_give_equal_limits() -> None:
    """The bootstrap has a seed."""
    assert fit_law(published(FLUX)) == fit_law(published(FLUX))


def test_examples_that_do_not_grow_have_no_critical_batch() -> None:
    """Where a larger batch costs nothing, B_crit is beyond every size: None, never a number."""
    law = fit_law([Point(batch_size=size, examples=1000.0, error=30.0) for size in SIZES])

    assert law.critical_batch.high is None
    falling = fit_law([Point(batch_size=size, examples=2000.0 - size) for size in SIZES])
    assert falling.critical_batch.estimate is None


def test_examples_that_grow_from_nothing_have_a_critical_batch_of_zero() -> None:
    """Beyond B_crit already at the smallest size: every step takes as many steps."""
    assert fit_law([Point(batch_size=size, examples=50.0 * size - 1) for size in SIZES]).critical_batch.estimate == 0


def test_seeds_give_points_with_a_pooled_error() -> None:
    """The mean is that of logarithms, and the share by which seeds differ is one for all sizes."""
    points, freedom = points_of({16: [110.0, 90.0], 8: [50.0]})

    assert freedom == 1
    assert [point.batch_size for point in points] == [8, 16]
    assert points[1].examples == pytest.approx(99.499, rel=1e-4)
    spread = np.std(np.log([110.0, 90.0]), ddof=1)
    assert points[0].error == pytest.approx(50 * spread)
    assert points[1].error == pytest.approx(points[1].examples * spread / np.sqrt(2))


def test_single_seeds_give_no_limits() -> None:
    """One run a size says nothing about the next one."""
    points, freedom = points_of({8: [100.0], 16: [120.0], 32: [], 64: [200.0]})

    assert freedom == 0
    assert [point.error for point in points] == [None] * 3
    assert fit_law(points, freedom=freedom).critical_batch.low is None


def test_limits_cover_the_truth() -> None:
    """Of studies of five sizes and three seeds, 10 % apart, about 95 in 100 intervals hold B_crit."""
    random = np.random.default_rng(5)
    inside = 0
    for _ in range(300):
        runs = {size: [(5000 + 60 * size) * np.exp(0.1 * random.standard_normal()) for _ in range(3)] for size in SIZES}
        points, freedom = points_of(runs)
        found = fit_law(points, freedom=freedom, draws=400).critical_batch
        inside += (found.low or 0) <= 5000 / 60 <= (found.high or np.inf)

    assert 0.91 <= inside / 300 <= 0.99


@pytest.mark.parametrize(
    "points",
    [
        [Point(batch_size=8, examples=100.0)],
        [Point(batch_size=8, examples=100.0), Point(batch_size=8, examples=110.0)],
        [Point(batch_size=8, examples=100.0), Point(batch_size=16, examples=float("nan"))],
        [Point(batch_size=8, examples=0.0), Point(batch_size=16, examples=10.0)],
    ],
)
def test_what_is_no_line_is_refused(points: list[Point]) -> None:
    """One size, a size twice, or examples that are none."""
    with pytest.raises(ValueError, match="batch sizes"):
        fit_law(points)
