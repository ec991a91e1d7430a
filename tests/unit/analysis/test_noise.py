"""Variance components: known answers by hand, SciPy as oracle, and what they must not contain."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from pytest_sdbatch.analysis.location import yuen_standard_error
from pytest_sdbatch.analysis.noise import Noise, noise_of
from pytest_sdbatch.errors import TooFewSamples

PROCESSES = st.lists(
    st.lists(st.integers(500, 2000).map(lambda value: value / 1000), min_size=5, max_size=9), min_size=3, max_size=8
)


def level(*logs: float) -> list[list[float]]:
    """Return processes of five equal rounds at these ln s."""
    return [[math.exp(log)] * 5 for log in logs]


def simulated(seed: int, *, between: float, within: float, processes: int = 10, rounds: int = 10) -> Noise:
    """Return the noise of processes whose stdevs are known."""
    chance = random.Random(seed)
    lucks = [chance.gauss(0, between) for _ in range(processes)]
    return noise_of([[math.exp(luck + chance.gauss(0, within)) for _ in range(rounds)] for luck in lucks])


def test_processes_without_noise_within_differ_by_what_is_between_them() -> None:
    """By hand: 0, 0.01, 0.03 have a variance of 0.0007 / 3; their steps of 0.01 and 0.02 a mean square of 0.00025."""
    found = noise_of(level(0.0, 0.01, 0.03))

    assert (found.within, found.processes) == (0.0, 3)
    assert found.between == found.run == pytest.approx(math.sqrt(0.0007 / 3))
    assert found.pair == pytest.approx(math.sqrt(0.00025))
    assert found.autocorrelation == pytest.approx(1 - 0.00025 / (2 * 0.0007 / 3))
    assert found.location == pytest.approx(0.04 / 3)


def test_what_the_rounds_explain_is_taken_off() -> None:
    """By hand: rounds -2..2 % about each level are winsorized to -1, -1, 0, 1, 1, so se^2 = 4e-4 / (3 * 2)."""
    levels = (0.0, 0.1, 0.3)
    found = noise_of([[math.exp(log + off) for off in (-0.02, -0.01, 0.0, 0.01, 0.02)] for log in levels])

    assert found.within == pytest.approx(math.sqrt(0.001 / 4))
    assert found.run**2 == pytest.approx(0.07 / 3)
    assert found.between**2 == pytest.approx(0.07 / 3 - 4e-4 / 6)


@given(PROCESSES)
def test_components_and_bound_are_those_of_scipys_distributions(processes: list[list[float]]) -> None:
    """Locations by trim_mean, the test by F, the bound by F and chi-square; each computed the long way."""
    logs = [np.log(rounds) for rounds in processes]
    variance = np.var([stats.trim_mean(values, 0.2) for values in logs], ddof=1)
    explained = np.mean([yuen_standard_error(list(values)) ** 2 for values in logs])
    count, freedom = len(logs), sum(len(values) - 2 * max(1, len(values) // 5) - 1 for values in logs)
    told = variance > stats.f.ppf(0.95, count - 1, freedom) * explained
    bound = (count - 1) * (variance - stats.f.ppf(0.05, count - 1, freedom) * explained)

    found = noise_of(processes)

    assert found.run**2 == pytest.approx(variance, abs=1e-12)
    assert found.between**2 == pytest.approx(variance - explained if told else 0.0, abs=1e-12)
    assert found.between_at_most**2 == pytest.approx(max(0.0, bound / stats.chi2.ppf(0.05, count - 1)), abs=1e-9)
    assert found.between <= found.run


@example([[0.5] * 5, [0.5] * 5, [0.5] * 6], 0.001)  # the last bits of equal logs are no autocorrelation
@given(PROCESSES, st.floats(1e-3, 1e3))
def test_the_unit_and_the_direction_of_time_do_not_matter(processes: list[list[float]], scale: float) -> None:
    """Stdevs of logs are shares; neighbours stay neighbours."""
    found = noise_of(processes)
    other = noise_of([[seconds * scale for seconds in rounds] for rounds in reversed(processes)])

    for name in ("within", "between", "between_at_most", "run", "pair", "autocorrelation"):
        assert getattr(other, name) == pytest.approx(getattr(found, name), abs=1e-6), name


def test_equal_processes_have_nothing_between_them_whatever_their_rounds_do() -> None:
    """The error of the locations is not taken for a difference: 0 in nineteen of twenty, with a bound that is none."""
    found = [simulated(seed, between=0.0, within=0.02) for seed in range(200)]

    assert sum(noise.between == 0 for noise in found) >= 180
    assert all(noise.between_at_most < 0.02 for noise in found)


def test_the_bound_holds_what_is_between_processes() -> None:
    """An upper 95 % bound, where the rounds blur a difference of the same size."""
    found = [simulated(seed, between=0.005, within=0.015) for seed in range(400)]

    assert sum(noise.between_at_most >= 0.005 for noise in found) >= 370
    assert np.mean([noise.within for noise in found]) == pytest.approx(0.015, rel=0.02)


def test_neighbours_of_a_drifting_machine_are_alike() -> None:
    """A pair of neighbours sees little of a drift; what was stored sees all of it."""
    found = noise_of(level(*(0.01 * number for number in range(10))))

    assert found.drifts
    assert found.autocorrelation > 0.9
    assert found.pair == pytest.approx(0.01)
    assert found.run > 0.03


def test_processes_that_alternate_do_not_drift() -> None:
    """Neighbours that differ more than others are no drift."""
    found = noise_of(level(*(0.01 * (number % 2) for number in range(10))))

    assert not found.drifts
    assert found.autocorrelation < -0.5


@pytest.mark.parametrize("gap", [[], [1.0] * 4, [1.0] * 4 + [0.0]])
def test_processes_on_both_sides_of_a_gap_are_no_neighbours(gap: Sequence[float]) -> None:
    """A process that lacks the case, or rounds of it, or has one of no duration, leaves a hole in time."""
    found = noise_of([*level(0.0, 0.01), gap, *level(0.5, 0.51)])

    assert found.processes == 4
    assert found.pair == pytest.approx(0.01)


def test_without_neighbours_a_pair_is_taken_from_all() -> None:
    """Then nothing is known of a drift."""
    found = noise_of([*level(0.0), [], *level(0.01), [], *level(0.03)])

    assert found.pair == pytest.approx(found.run * math.sqrt(2))
    assert not found.drifts


@pytest.mark.parametrize("processes", [[], level(0.0, 0.1), [*level(0.0, 0.1), [1.0] * 4]])
def test_two_processes_are_too_few(processes: list[list[float]]) -> None:
    """One difference says nothing of the next."""
    with pytest.raises(TooFewSamples, match="3 are needed"):
        noise_of(processes)


def test_more_processes_tell_more() -> None:
    """As simulated: the stdev of 10 lies within a factor of 2.0 in 95 %, that of 20 within 1.6."""
    factors = [noise_of(level(*[0.0] * number)).known_within for number in (3, 10, 20)]

    assert factors == pytest.approx([9.4, 2.1, 1.6], abs=0.1)
