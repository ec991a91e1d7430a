"""Peak memory against batch size: lines, their maximum, and where a line must not be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.memory_fit import Peak, fit_memory

MIB, GIB = 2**20, 2**30
TRAINING = {1: 2384, 2: 2697, 4: 4148, 8: 7780}  # MiB, measured


def peaks(sizes: Mapping[int, float], unit: int = MIB) -> list[Peak]:
    """Return peaks by batch size."""
    return [Peak(batch_size=size, size_bytes=value * unit) for size, value in sizes.items()]


def test_a_line_is_found_and_asked_for_the_largest_batch() -> None:
    """4 GiB and 1 GiB an image: 12 GiB hold 8."""
    found = fit_memory({"denoiser": peaks({1: 5, 2: 6, 4: 8}, GIB)})

    assert found.agreed
    assert found.predict(8).estimate == pytest.approx(12 * GIB)
    assert found.largest_batch(12.5 * GIB).estimate == 8
    assert found.largest_batch(11.9 * GIB).estimate == 7
    assert found.largest_batch(4.5 * GIB).estimate == 0


def test_the_pipeline_takes_what_its_highest_stage_takes() -> None:
    """The decoder overtakes the denoiser at batch size 3, and is what runs out first."""
    found = fit_memory(
        {"denoiser": peaks({1: 3.0, 2: 3.5, 4: 4.5}, GIB), "vae_decode": peaks({1: 1.5, 2: 3, 4: 6}, GIB)}
    )

    assert [found.highest_stage(size) for size in (1, 2, 3, 8)] == ["denoiser", "denoiser", "vae_decode", "vae_decode"]
    assert found.predict(2).estimate == pytest.approx(3.5 * GIB)
    assert found.predict(8).estimate == pytest.approx(12 * GIB)
    assert found.largest_batch(24.1 * GIB).estimate == 16


def test_training_is_convex_and_its_first_slope_is_not_believed() -> None:
    """The line through 1 and 2 is 41 % too low at 8; as each slope exceeds the last, larger probes are asked for."""
    two = fit_memory({"training": peaks({1: 2384, 2: 2697})})

    assert two.predict(8).estimate / (7780 * MIB) - 1 == pytest.approx(-0.41, abs=0.005)
    assert not two.agreed
    assert two.predict(8).high is None
    assert two.largest_batch(9000 * MIB).low is None
    upto = [fit_memory({"training": peaks({b: m for b, m in TRAINING.items() if b <= most})}) for most in (2, 4, 8)]
    assert [found.next_probe for found in upto] == [4, 8, 16]


def test_once_two_slopes_agree_the_smaller_sizes_are_dropped() -> None:
    """Above the bend the line through the last three is exact, whatever lies below."""
    known = {**TRAINING, 16: 7780 + 8 * 908}
    found = fit_memory({"training": peaks(known)})

    assert found.next_probe is None
    assert found.stages["training"].sizes == (4, 8, 16)
    assert found.predict(32).estimate == pytest.approx((7780 + 24 * 908) * MIB, rel=1e-3)


@given(st.floats(0, 1e11), st.floats(1e6, 1e10), st.integers(1, 6))
def test_exact_lines_are_extrapolated_exactly(fixed: float, image: float, doublings: int) -> None:
    """Three probes and 64 times beyond them."""
    found = fit_memory({"all": [Peak(batch_size=b, size_bytes=fixed + image * b) for b in (1, 2, 4)]})
    size = 2**doublings

    assert found.agreed
    assert found.predict(size).estimate == pytest.approx(fixed + image * size, rel=1e-6)


@given(st.lists(st.tuples(st.floats(0, 1e10), st.floats(0, 1e9)), min_size=1, max_size=3), st.floats(1e6, 1e12))
def test_the_largest_batch_is_what_trying_finds(lines: list[tuple[float, float]], limit: float) -> None:
    """The largest size whose prediction keeps the limit, by counting up from 1."""
    found = fit_memory(
        {str(k): [Peak(batch_size=b, size_bytes=f + g * b) for b in (1, 2, 4)] for k, (f, g) in enumerate(lines)}
    )

    largest = found.largest_batch(limit)

    if largest.estimate is None:
        assert found.predict(2**30).estimate <= limit
    else:
        assert largest.estimate == 0 or found.predict(largest.estimate).estimate <= limit
        assert found.predict(largest.estimate + 1).estimate > limit
        assert (largest.low or 0) <= largest.estimate
        assert largest.high is None or largest.estimate <= largest.high


def test_the_interval_covers_what_probes_of_a_noisy_line_predict() -> None:
    """Resident memory scatters: 95 % of predictions 8 times beyond four probes hold the truth."""
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        known = {b: 2 * GIB + 0.5 * GIB * b + 0.005 * GIB * random.standard_normal() for b in (1, 2, 3, 4)}
        bounds = fit_memory({"process": peaks(known, 1)}).predict(32)
        assert bounds.low is not None
        assert bounds.high is not None
        covered += bounds.low <= 2 * GIB + 0.5 * GIB * 32 <= bounds.high

    assert covered >= 0.92 * 300


def test_memory_that_does_not_grow_ends_nothing() -> None:
    """A tiny model beside a large library: no batch is the largest, unless the first does not fit."""
    flat = fit_memory({"process": peaks({1: 400, 2: 400, 4: 400})})

    assert flat.largest_batch(GIB).estimate is None
    assert flat.largest_batch(300 * MIB).estimate == 0


def test_a_repeated_size_counts_with_its_highest_peak() -> None:
    """What is asked is whether it fits."""
    twice = [*peaks({1: 5, 2: 6, 4: 8}, GIB), *peaks({4: 7}, GIB)]

    assert fit_memory({"all": twice}).predict(4).estimate == pytest.approx(8 * GIB)


def test_what_cannot_be_fitted_is_refused() -> None:
    """No stage, one size, sizes and bytes that are none, a limit that is none."""
    with pytest.raises(ValueError, match="no stage"):
        fit_memory({})
    with pytest.raises(ValueError, match="two batch sizes"):
        fit_memory({"all": peaks({4: 1})})
    with pytest.raises(ValueError, match="batch size 0"):
        fit_memory({"all": peaks({0: 1, 1: 2})})
    with pytest.raises(ValueError, match="no amount"):
        fit_memory({"all": peaks({1: math.nan, 2: 1})})
    good = fit_memory({"all": peaks({1: 1, 2: 2})})
    with pytest.raises(ValueError, match="no limit"):
        good.largest_batch(math.inf)
    with pytest.raises(ValueError, match="batch size 0"):
        good.predict(0)
