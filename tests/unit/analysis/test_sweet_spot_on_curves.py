"""The choice of a sweep: on the fitted curve where it holds, on the measured points where it does not."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sdbatch.analysis.location import location_s
from pytest_sdbatch.analysis.spread import Timing
from pytest_sdbatch.analysis.sweet_spot import Choice, Point, best, choose, price_of, sweet_spot

SIZES = (1, 2, 4, 8, 16)


def points(seconds: Mapping[int, float], *, noise: float = 0.0, rounds: int = 10, seed: int = 0) -> list[Point]:
    """Return a point for each batch size, with lognormal *noise* a round around its seconds a call."""
    random = np.random.default_rng(seed)
    found = []
    for size, value in seconds.items():
        run = tuple((value * np.exp(noise * random.standard_normal(rounds))).tolist())
        timing = Timing(batch_size=size, runs=(run,))
        found.append(Point(batch_size=size, batch_count=1, seconds_per_image=location_s(run) / size, timing=timing))
    return found


def scattered(seconds: Mapping[int, float], noise: float) -> list[Point]:
    """Return points whose rounds lie around their seconds a call in the same way for each size."""
    found = []
    for size, value in seconds.items():
        run = tuple(value * math.exp(noise * z) for z in (-1.5, -1.0, -0.5, -0.1, 0.1, 0.5, 1.0, 1.5))
        timing = Timing(batch_size=size, runs=(run,))
        found.append(Point(batch_size=size, batch_count=1, seconds_per_image=value / size, timing=timing))
    return found


def line(half: float, *, end: float = 1.0, sizes: tuple[int, ...] = SIZES) -> dict[int, float]:
    """Return seconds of a call with c = 1 s, and a floor up to batch size *end*."""
    return {size: half + max(size, end) for size in sizes}


def regret_kept(found: Choice, seconds: Mapping[int, float]) -> bool:
    """Return whether the true images/s at the answer are within 3 points of 95 % of the best, or above."""
    rates = {size: size / value for size, value in seconds.items()}
    return rates[found.spot.batch_size] >= 0.92 * max(rates.values())


def test_the_smallest_size_within_the_share_on_the_curve() -> None:
    """Of h = 2: 16 makes 8.9 images/s of 10, 8 makes 10 % fewer."""
    times = {size: 0.2 + 0.1 * size for size in SIZES}

    assert choose(points(times)).spot.batch_size == 16
    assert choose(points(times), within=0.12).spot.batch_size == 8
    assert choose(points(times), within=0.30).spot.batch_size == 4
    assert choose(points(times)).on_curve


@pytest.mark.parametrize("floor", [False, True], ids=["line", "floor"])
def test_regret_is_small_in_simulated_sweeps(floor: bool) -> None:
    """In at least 95 % at 3 % noise, h log-uniform from 0.2 to 12; the harness has more of them."""
    random = np.random.default_rng(8)
    kept = 0
    for seed in range(120):
        times = line(
            math.exp(random.uniform(math.log(0.2), math.log(12))),
            end=math.exp(random.uniform(0, math.log(4))) if floor else 1.0,
        )
        kept += regret_kept(choose(points(times, noise=0.03, seed=seed)), times)

    assert kept >= 0.95 * 120


def test_the_curve_agrees_more_often_with_the_truth_than_the_points() -> None:
    """What it is for: near the mark the noise of one point decides, on the curve that of all of them."""
    times = line(1.0)
    truth = sweet_spot(points(times)).batch_size
    found = [points(times, noise=0.03, rounds=5, seed=seed) for seed in range(100)]

    on_curve = sum(choose(one).spot.batch_size == truth for one in found)
    as_measured = sum(sweet_spot(one).batch_size == truth for one in found)
    assert on_curve >= as_measured


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_only_a_measured_point_that_is_named_may_be_chosen(seed: int) -> None:
    """It is one of those that keep the limits, no larger than the best, and its own rounds are close enough."""
    random = np.random.default_rng(seed)
    everything = points({size: float(random.uniform(0.5, 1.5) * (1 + size)) for size in SIZES}, noise=0.02, seed=seed)
    named = everything[: int(random.integers(1, 6))]

    found = choose(named, others=everything[len(named) :])

    assert found.best == best(named)
    assert found.spot in named
    assert found.spot.batch_size <= found.best.batch_size
    if found.on_curve:
        assert found.spot.images_per_s >= 0.92 * found.best.images_per_s * (1 - 1e-9)


def test_throughput_that_falls_gets_an_honest_answer() -> None:
    """The line is rejected, and the best measured size stands: larger ones are slower, the smaller one far off."""
    times = {1: 1.0, 2: 1.7, 4: 3.9, 8: 8.6, 16: 18.0}
    found = [choose(points(times, noise=0.03, seed=seed)) for seed in range(50)]

    assert sum(not one.on_curve for one in found) >= 48
    assert sum(regret_kept(one, times) for one in found) >= 48
    assert {one.spot.batch_size for one in found if not one.on_curve} == {2}
    assert all(one.untested is None for one in found)


def test_where_the_line_is_rejected_a_size_that_is_not_worse_is_close_enough() -> None:
    """8 % fewer as measured, from rounds that scatter by 12 %, is no difference; from steady rounds it is one."""
    times = {1: 1.0, 2: 1.84, 4: 6.0, 8: 16.0}

    noisy, steady = choose(scattered(times, 0.12)), choose(scattered(times, 0.002))

    assert not noisy.on_curve
    assert noisy.spot.batch_size == 1
    assert steady.spot.batch_size == 2


def test_a_curve_that_is_not_known_well_names_a_larger_size() -> None:
    """Its interval decides: batch size 1 is within 5 %, but not where it may as well be off by 10 %."""
    times = {size: 0.05 + size for size in SIZES}
    sure, unsure = choose(scattered(times, 0.01)), choose(scattered(times, 0.3))

    assert sure.on_curve
    assert sure.spot.batch_size == 1
    assert unsure.on_curve
    assert unsure.spot.batch_size > 1


def test_two_sizes_or_points_without_rounds_are_judged_as_measured() -> None:
    """A line through two points is those points."""
    two = choose(points({1: 1.0, 2: 1.04}, noise=0.01))
    bare = choose([Point(batch_size=b, batch_count=1, seconds_per_image=1 / b) for b in SIZES])

    assert two.scaling is None
    assert bare.scaling is None
    assert bare.spot == bare.best
    assert not bare.on_curve


def test_a_curve_that_still_rises_names_the_next_size_as_untested() -> None:
    """Of h = 12: at 32 images/s would be 27 % higher than at 16; h = 0.2 has nothing left to gain."""
    assert choose(points(line(12.0))).untested == 32
    assert choose(points(line(0.2))).untested is None


def test_no_size_is_read_off_the_curve() -> None:
    """Of h = 3.9 the asymptote's 95 % lie at 74, and a public sweep with that h ran out of memory above 16."""
    found = choose(points(line(3.9), noise=0.005, seed=2))

    assert found.scaling is not None
    assert found.scaling.half_saturation.estimate == pytest.approx(3.9, rel=0.1)
    assert found.spot.batch_size == 16
    assert found.untested == 32


def test_the_price_of_less() -> None:
    """6 % more per image, and 4 / 1.06 times sooner."""
    sixteen = Point(batch_size=16, batch_count=1, seconds_per_image=1.0)
    four = Point(batch_size=4, batch_count=1, seconds_per_image=1.06)

    price = price_of(four, sixteen)

    assert price.more_per_image == pytest.approx(0.06)
    assert price.times_sooner == pytest.approx(16 / 4.24)


def test_no_points_and_a_share_out_of_range_are_refused() -> None:
    """As everywhere."""
    with pytest.raises(ValueError, match="empty"):
        choose([])
    with pytest.raises(ValueError, match="within is"):
        choose(points(line(1.0)), within=5)
