"""What explains a regression, from the rounds of both sides."""

from __future__ import annotations

from typing import Any

import pytest
from compared import measured

from pytest_sdbatch.analysis.growth import growth, stage_seconds
from pytest_sdbatch.analysis.sides import Measured, Place


def split(**ms: float) -> Measured:
    """Return six rounds of one second in two calls, with milliseconds a round of each stage."""
    place = Place(test="t", case="b1x2", batch_size=1, batch_count=2)
    return measured(place=place, seconds=[1.0] * 6, stages_ns={n: [round(v * 1e6)] * 6 for n, v in ms.items()})


def test_stages_are_seconds_of_a_call_and_what_is_left() -> None:
    """Two calls a round: half of the round's seconds; what no stage saw is named, so that all adds up."""
    found = stage_seconds([split(denoiser=800, vae_decode=100)])

    assert found == {
        "denoiser": pytest.approx(0.4),
        "vae_decode": pytest.approx(0.05),
        "outside the stages": pytest.approx(0.05),
    }


def test_the_stage_that_grew_most_is_named() -> None:
    """With its seconds on both sides, and its part of all that was added."""
    base, new = [split(denoiser=400, vae_decode=100)], [split(denoiser=430, vae_decode=110)]

    assert list(growth(base, new)) == ["stage: denoiser 200 ms -> 215 ms per call, 75 % of what was added"]


@pytest.mark.parametrize(
    ("base", "new"),
    [
        ([split(denoiser=400)], [measured()]),
        ([measured()], [split(denoiser=400)]),
        ([split(denoiser=400), measured()], [split(denoiser=500)]),
        ([], [split(denoiser=400)]),
    ],
)
def test_without_a_split_of_every_run_no_stage_is_named(base: list[Measured], new: list[Measured]) -> None:
    """A part of the runs would not add up to the time that was compared."""
    assert list(growth(base, new)) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"clocks_mhz": [1980, 1980]}, {"clocks_mhz": [1410, None]}, ["clock: 1,980 MHz -> 1,410 MHz"]),
        ({"clocks_mhz": [1980]}, {"clocks_mhz": [1965]}, []),
        ({"clocks_mhz": [1410]}, {"clocks_mhz": [1980]}, []),
        ({"clocks_mhz": []}, {"clocks_mhz": [1980]}, []),
        ({"cold_start_s": 1.0}, {"cold_start_s": 2.5}, ["cold start: 1.00 s -> 2.50 s"]),
        ({"cold_start_s": 1.0}, {"cold_start_s": 1.1}, []),
        ({"cold_start_s": None}, {"cold_start_s": 1.1}, []),
    ],
)
def test_a_clock_that_fell_and_a_cold_start_that_grew_are_told(
    before: dict[str, Any], after: dict[str, Any], said: list[str]
) -> None:
    """Only what would make the candidate slower, and by more than such readings vary."""
    assert list(growth([measured(**before)], [measured(**after)])) == said
