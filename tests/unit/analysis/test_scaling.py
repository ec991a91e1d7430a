"""The curve of a sweep: found, tested, and bounded with the coverage that it states."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, least_squares, minimize_scalar
from scipy.stats import f as f_distribution

from pytest_sdbatch.analysis.scaling import Bounds, Curve, fit, fit_line
from pytest_sdbatch.analysis.spread import Scope, Timing, spread_of

SIZES = (1, 2, 4, 8, 16)
H = st.floats(0.2, 12.0)
SEEDS = st.integers(0, 2**32 - 1)


def sweep(
    call_s: float, image_s: float, *, floor_s: float = 0.0, sizes: Sequence[int] = SIZES, noise: float = 0.0,
    rounds: int = 5, seed: int = 0, runs: int = 1, level: float = 0.0,
) -> list[Timing]:  # fmt: skip
    """Return timings on a curve, with lognormal *noise* a round and a *level* that moves from process to process."""
    random = np.random.default_rng(seed)
    levels = level * random.standard_normal(runs)
    return [
        Timing(
            batch_size=size,
            runs=tuple(
                tuple((seconds * np.exp(moved + noise * random.standard_normal(rounds))).tolist()) for moved in levels
            ),
        )
        for size in sizes
        for seconds in [max(floor_s, call_s + image_s * size)]
    ]


def covers(bounds: Bounds, value: float) -> bool:
    """Return whether *value* lies within the limits; one that is not there is no limit."""
    return (bounds.low or 0.0) <= value <= (math.inf if bounds.high is None else bounds.high)


@given(st.floats(1e-3, 1e3), H)
@settings(max_examples=30)
def test_exact_times_give_back_the_line(image_s: float, half: float) -> None:
    """Whatever the unit of time, a, c and h come out."""
    found = fit(sweep(half * image_s, image_s))

    assert found.curve.call_s == pytest.approx(half * image_s, rel=1e-6)
    assert found.curve.image_s == pytest.approx(image_s, rel=1e-6)
    assert found.half_saturation.estimate == pytest.approx(half, rel=1e-6)
    assert found.floor_s is None
    assert found.worst_misfit < 1e-6
    assert not found.rejected


@given(H, st.floats(2.2, 4.0))
@settings(max_examples=30)
def test_exact_times_give_back_the_floor(half: float, end: float) -> None:
    """Up to batch size *end* a bigger batch is free."""
    found = fit(sweep(half, 1.0, floor_s=half + end))

    assert found.floor_s is not None
    assert found.floor_s.estimate == pytest.approx(half + end, rel=1e-6)
    assert found.half_saturation.estimate == pytest.approx(half, rel=1e-5)
    assert found.seconds(1).estimate == pytest.approx(half + end, rel=1e-6)


@given(H, SEEDS)
@settings(max_examples=25)
def test_the_line_is_that_of_least_squares(half: float, seed: int) -> None:
    """SciPy finds no line whose weighted residuals in logs are smaller."""
    timings = sweep(half, 1.0, noise=0.03, seed=seed, sizes=(1, 2, 8))  # too few sizes for a floor
    spread = spread_of(timings)
    sizes = np.array([timing.batch_size for timing in timings], dtype=float)

    def residuals(logs: Any) -> Any:
        line = np.exp(logs[0]) + np.exp(logs[1]) * sizes
        return (np.array(spread.logs) - np.log(line)) / np.array(spread.errors)

    oracle = least_squares(residuals, [math.log(half), 0.0], xtol=1e-12, ftol=1e-12, gtol=1e-12)
    curve = fit(timings).curve

    ours = np.sum(residuals(np.log([max(curve.call_s, 1e-12), curve.image_s])) ** 2)
    assert ours <= np.sum(oracle.fun**2) * (1 + 1e-6) + 1e-9


@given(H, st.floats(2.0, 8.0), SEEDS)
@settings(max_examples=10)
def test_no_floor_fits_better(half: float, end: float, seed: int) -> None:
    """Brute force over where the floor ends, SciPy over the line above it."""
    timings = sweep(half, 1.0, floor_s=half + end, noise=0.03, seed=seed)
    spread = spread_of(timings)
    sizes, logs = np.array(SIZES, dtype=float), np.array(spread.logs)
    weights = np.array(spread.errors) ** -2.0
    curve = fit(timings).curve

    def squares(share: float, floor_end: float) -> float:
        gaps = logs - np.log(share + (1 - share) * np.maximum(sizes, floor_end))
        return float(weights @ (gaps - weights @ gaps / weights.sum()) ** 2)

    ours = float(weights @ (logs - np.log([curve.seconds(size) for size in SIZES])) ** 2)
    ends = np.linspace(1.0, 8.0, 71) if curve.floor_s is not None else [1.0]
    for floor_end in ends:
        oracle = minimize_scalar(squares, bounds=(0.0, 1.0), args=(floor_end,), method="bounded")
        assert ours <= oracle.fun * (1 + 1e-6) + 1e-9


@given(H, SEEDS)
@settings(max_examples=15)
def test_the_limits_of_h_are_where_the_profile_crosses(half: float, seed: int) -> None:
    """SciPy's roots of the squares over h, two sizes so that no floor can be meant; Student's t says how high."""
    timings = sweep(half, 1.0, noise=0.01, seed=seed, sizes=(1, 8), rounds=10)
    spread = spread_of(timings)
    weights, logs = np.array(spread.errors) ** -2.0, np.array(spread.logs)

    def squares(h: float) -> float:
        gaps = logs - np.log(h + np.array([1.0, 8.0]))
        return float(weights @ (gaps - weights @ gaps / weights.sum()) ** 2)

    found = fit(timings).half_saturation
    limit = float(f_distribution.isf(0.05, 1, spread.freedom))
    assert found.estimate is not None
    assert found.low is not None
    assert found.high is not None
    high = brentq(lambda h: squares(h) - limit, found.estimate, 1e3)
    assert found.high == pytest.approx(high, rel=0.01)
    if found.low > 0:
        low = brentq(lambda h: squares(h) - limit, 1e-9, found.estimate)
        assert found.low == pytest.approx(low, rel=0.01, abs=1e-3)


@pytest.mark.parametrize("end", [1.0, 2.5], ids=["line", "floor"])
def test_the_interval_of_h_covers(end: float) -> None:
    """At least 93 % of the time at 3 % noise; the harness has the figure over many sweeps."""
    random = np.random.default_rng(11)
    halves = np.exp(random.uniform(math.log(0.2), math.log(12), 150))
    found = [fit(sweep(half, 1.0, floor_s=half + end, noise=0.03, rounds=10, seed=k)) for k, half in enumerate(halves)]

    covered = sum(covers(one.half_saturation, half) for one, half in zip(found, halves, strict=True))
    assert covered >= 0.93 * len(halves) - 4  # seeded: 4 of 150 are two standard errors


def test_the_other_intervals_cover_too() -> None:
    """Those of a, c, t0 and of a time that was not measured."""
    found = [fit(sweep(2.0, 1.0, floor_s=5.0, noise=0.03, rounds=10, seed=k)) for k in range(100)]

    assert sum(covers(one.call_s, 2.0) for one in found) >= 90
    assert sum(covers(one.image_s, 1.0) for one in found) >= 90
    assert sum(one.floor_s is not None and covers(one.floor_s, 5.0) for one in found) >= 90
    assert sum(covers(one.total_s([12, 12, 6]), 36.0) for one in found) >= 90


def test_a_floor_is_kept_only_when_the_test_asks_for_it() -> None:
    """Of sweeps without one at most a few get it, and of those with a clear one nearly all."""
    without = [fit(sweep(2.0, 1.0, noise=0.03, seed=k)).floor_s for k in range(100)]
    clear = [fit(sweep(2.0, 1.0, floor_s=5.0, noise=0.03, seed=k)).floor_s for k in range(100)]

    assert sum(floor is not None for floor in without) <= 8
    assert sum(floor is not None for floor in clear) >= 95


def test_three_sizes_are_too_few_for_a_floor() -> None:
    """A floor and a line go through any three points of a convex curve."""
    assert fit(sweep(2.0, 1.0, floor_s=5.0, sizes=(1, 4, 8))).floor_s is None


def test_a_floor_that_three_sizes_hide_widens_the_interval() -> None:
    """It may be there, and then only the larger sizes speak of h."""
    three = fit(sweep(2.0, 1.0, noise=0.01, sizes=(1, 4, 8))).half_saturation
    two = fit(sweep(2.0, 1.0, noise=0.01, sizes=(4, 8))).half_saturation

    assert three.low is not None
    assert two.low is not None
    assert three.low < 1.9
    assert two.low < 1.9


def test_throughput_that_falls_is_rejected() -> None:
    """In 2 of 24 public sweeps images/s fall after batch size 2: no line with a, c >= 0 does that."""
    seconds = {1: 1.0, 2: 1.7, 4: 3.7, 8: 8.0, 16: 17.0}
    random = np.random.default_rng(3)
    found = fit(
        [
            Timing(batch_size=size, runs=(tuple((value * np.exp(0.03 * random.standard_normal(10))).tolist()),))
            for size, value in seconds.items()
        ]
    )

    assert found.rejected
    assert found.worst_misfit > 0.03
    assert found.residuals[1] < 0 < found.residuals[4]


@pytest.mark.parametrize("floor_s", [0.0, 5.0])
def test_a_curve_that_holds_is_seldom_rejected(floor_s: float) -> None:
    """1 % of the time, by the test's own word."""
    found = [fit(sweep(2.0, 1.0, floor_s=floor_s, noise=0.03, rounds=10, seed=k)).rejected for k in range(150)]

    assert sum(found) <= 6


def test_the_noise_decides_what_a_misfit_means() -> None:
    """The same times are no line at 0.1 % noise and may be one at 10 %."""
    bent = {1: 1.0, 2: 1.7, 4: 3.3, 8: 6.7}

    def at(noise: float) -> bool:
        rounds = [math.exp(noise * z) for z in (-1.3, -0.6, 0.0, 0.6, 1.3)]
        return fit([Timing(batch_size=b, runs=(tuple(t * r for r in rounds),)) for b, t in bent.items()]).rejected

    assert at(0.001)
    assert not at(0.1)


def test_a_total_is_so_many_calls_and_a_shorter_last_one() -> None:
    """10 images at 4 with a = 0.2 and c = 0.1 s: 0.6 + 0.6 + 0.4 s."""
    found = fit(sweep(0.2, 0.1))

    assert found.total_s([4, 4, 2]).estimate == pytest.approx(1.6)
    assert found.seconds(4).estimate == pytest.approx(0.6)
    assert found.rate_ratio(4, 8).estimate == pytest.approx((4 / 0.6) / (8 / 1.0))


@given(SEEDS)
@settings(max_examples=20)
def test_every_estimate_lies_within_its_limits(seed: int) -> None:
    """Also beyond the sweep, and where noise is as large as the times."""
    found = fit(sweep(1.0, 1.0, noise=0.5, seed=seed))

    for bounds in (found.call_s, found.image_s, found.seconds(64), found.total_s([3] * 5), found.rate_ratio(1, 16)):
        assert bounds.estimate is not None
        assert covers(bounds, bounds.estimate)


def test_the_interval_grows_with_the_distance() -> None:
    """A prediction 8 times beyond the sweep is less sure than one within it."""
    found = fit(sweep(2.0, 1.0, noise=0.02, seed=4))

    def width(size: int) -> float:
        bounds = found.seconds(size)
        assert bounds.low is not None
        assert bounds.high is not None
        assert bounds.estimate is not None
        return (bounds.high - bounds.low) / bounds.estimate

    assert width(128) > width(8)


def test_one_process_says_so() -> None:
    """Intervals of one process are headed within this run; those of several are not."""
    assert fit(sweep(2.0, 1.0, noise=0.01)).scope is Scope.WITHIN_RUN
    assert fit(sweep(2.0, 1.0, noise=0.01, runs=3)).scope is Scope.BETWEEN_RUNS


def test_a_level_that_moves_between_processes_widens_times_and_not_h() -> None:
    """A clock that is 5 % lower in one process leaves a / c as it was."""
    calm = fit(sweep(2.0, 1.0, noise=0.01, runs=4, seed=1))
    moving = fit(sweep(2.0, 1.0, noise=0.01, runs=4, seed=1, level=0.05))

    def width(bounds: Bounds) -> float:
        return (bounds.high or math.inf) - (bounds.low or 0.0)

    assert width(moving.image_s) > 3 * width(calm.image_s)
    assert width(moving.half_saturation) == pytest.approx(width(calm.half_saturation), rel=0.2)


def test_single_rounds_are_judged_by_what_is_left_over() -> None:
    """Without a spread the residuals are the noise: limits yes, a test of the curve no."""
    times = {1: 3.02, 2: 3.97, 4: 6.05, 8: 9.9}
    found = fit([Timing(batch_size=size, runs=((seconds,),)) for size, seconds in times.items()])

    assert found.lack_of_fit is None
    assert not found.rejected
    assert found.half_saturation.low is not None
    assert covers(found.half_saturation, 2.0)


def test_two_single_rounds_have_no_limits() -> None:
    """Nothing is known of the noise, which is not the same as none."""
    found = fit([Timing(batch_size=1, runs=((3.0,),)), Timing(batch_size=2, runs=((4.0,),))])

    for bounds, value in ((found.half_saturation, 2.0), (found.seconds(4), 6.0), (found.rate_ratio(1, 2), 2 / 3)):
        assert bounds.estimate == pytest.approx(value)
        assert bounds.low is None
        assert bounds.high is None


def test_images_that_cost_nothing_have_no_half_saturation() -> None:
    """Equal times at all sizes: throughput grows without end, and h is not a number."""
    found = fit(sweep(1.0, 0.0, sizes=(1, 2, 4)))

    assert found.half_saturation.estimate is None or found.half_saturation.estimate > 1e4
    assert found.half_saturation.high is None
    assert Curve(call_s=1.0, image_s=0.0).half_saturation is None


def test_batch_counts_share_a_curve() -> None:
    """4 calls of 2 images are 4 times one of them."""
    timings = [
        Timing(batch_size=size, batch_count=count, runs=(((0.2 + 0.1 * size) * count,) * 5,))
        for size, count in ((1, 8), (2, 4), (4, 2), (8, 1))
    ]

    assert fit(timings).curve.call_s == pytest.approx(0.2)


def test_a_line_through_plain_numbers() -> None:
    """What the gate's explanation uses: the same a and c."""
    curve = fit_line([1, 2, 4, 8], [0.3, 0.4, 0.6, 1.0])

    assert (curve.call_s, curve.image_s) == pytest.approx((0.2, 0.1))
    assert curve.floor_s is None
    assert curve.seconds(3) == pytest.approx(0.5)


def test_a_floor_says_up_to_which_batch_size_more_images_are_free() -> None:
    """0.1 s a call and 0.2 s an image reach 0.7 s at 3 images."""
    assert Curve(call_s=0.1, image_s=0.2, floor_s=0.701).free_up_to == 3
    assert Curve(call_s=0.1, image_s=0.2, floor_s=0.69).free_up_to == 2
    assert Curve(call_s=0.1, image_s=0.2, floor_s=0.31).free_up_to == 1
    assert Curve(call_s=0.1, image_s=0.2).free_up_to == 1


def test_what_has_no_curve_is_refused() -> None:
    """One batch size, a confidence that is none, calls of nothing."""
    with pytest.raises(ValueError, match="two batch sizes"):
        fit(sweep(1.0, 1.0, sizes=(4,)))
    with pytest.raises(ValueError, match="two batch sizes"):
        fit_line([4, 4], [1.0, 1.1])
    with pytest.raises(ValueError, match="confidence is"):
        fit(sweep(1.0, 1.0), confidence=95)
    with pytest.raises(ValueError, match="no calls"):
        fit(sweep(1.0, 1.0)).total_s([])
    with pytest.raises(ValueError, match="no duration"):
        fit_line([1, 2], [1.0, -1.0])
