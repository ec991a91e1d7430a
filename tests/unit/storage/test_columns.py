"""Rounds as columns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Record
from pytest_sdbatch.storage.codec import encode_record


def test_rounds_are_columns_of_whole_nanoseconds(make_record: Callable[..., Record]) -> None:
    """Thirty rounds are one list per quantity, not thirty objects."""
    encoded = encode_record(make_record(0.5, 0.25))

    assert encoded["rounds"] == {
        "wall_ns": [500_000_000, 250_000_000],
        "cpu_ns": [1_000_000_000, 500_000_000],
        "call_ns": [[500_000_000], [250_000_000]],
        "stages": {"denoiser": [250_000_000, 125_000_000]},
        "host_peak_bytes": [2**30, 2**30],
    }


def test_what_the_device_told_is_columns_too(make_record: Callable[..., Record]) -> None:
    """Energy in whole millijoules, times in nanoseconds; a figure that no round has leaves no column."""
    record = make_record(0.5, 0.25)
    told = replace(record.rounds[0], energy_joules=12.5, sw_thermal_s=0.25, sm_clock_mhz=1755)
    encoded = encode_record(replace(record, rounds=(told, record.rounds[1])))

    found = {name: column for name, column in encoded["rounds"].items() if name not in encode_record(record)["rounds"]}
    assert found == {
        "energy_mj": [12_500, None],
        "sw_thermal_ns": [250_000_000, None],
        "sm_clock_mhz": [1755, None],
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"wall_s": math.nan}, "wall_ns: not a finite number"),
        ({"wall_s": math.inf}, "wall_ns: not a finite number"),
        ({"wall_s": -0.5}, "wall_ns: -500000000 is below 0"),
        ({"call_s": (-0.5,)}, "call_ns: -500000000 is below 0"),
        ({"stage_s": {"vae": -1.0}}, r"stages\.vae: -1000000000 is below 0"),
        ({"host_peak_bytes": -1}, "host_peak_bytes: -1 is below 0"),
    ],
)
def test_a_round_that_cannot_be_is_not_encoded(
    make_record: Callable[..., Record], fields: dict[str, Any], message: str
) -> None:
    """Not finite or below 0: refused before it is written, with the place."""
    record = make_record(0.5)

    with pytest.raises(RunFileError, match=message):
        encode_record(replace(record, rounds=(replace(record.rounds[0], **fields),)))
