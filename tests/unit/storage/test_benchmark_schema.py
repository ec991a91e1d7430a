"""pytest-benchmark's statistics under its names, by its definitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_benchmark.stats import Stats

from pytest_sdbatch.records import MemoryRound, Reading, Record
from pytest_sdbatch.storage.benchmark_schema import SCHEMA_VERSION, figures, stats
from pytest_sdbatch.storage.codec import decode_record, encode_record


@given(seconds=st.lists(st.integers(1, 2**20).map(lambda n: n / 2**20), min_size=1, max_size=12))
def test_statistics_are_those_of_pytest_benchmark(seconds: list[float]) -> None:
    """Every field pytest-benchmark stores, with its value, for any number of rounds."""
    theirs = Stats()
    for value in seconds:
        theirs.update(value)
    expected = theirs.as_dict()
    ours = stats(seconds)

    assert set(ours) == set(Stats.fields)
    # Counts beyond one standard deviation hang on the last bit of the mean where values lie on the edge.
    loose = {"outliers", "stddev_outliers"}
    for name in set(expected) - loose:
        assert ours[name] == pytest.approx(expected[name], rel=1e-12, abs=1e-15), name
    assert ours["outliers"] == f"{ours['stddev_outliers']};{ours['iqr_outliers']}"


def test_outliers_are_counted() -> None:
    """One round far from eight equal ones is an outlier by both rules."""
    assert stats([1.0] * 8 + [9.0])["outliers"] == "1;1"


def test_rounds_that_took_no_time_give_no_infinite_speed() -> None:
    """A clock that did not move yields 0 operations per second, as in pytest-benchmark, not infinity."""
    assert stats([0.0, 0.0])["ops"] == 0.0


def test_our_figures_stand_beside_theirs(make_record: Callable[..., Record]) -> None:
    """Images per second from the location of the rounds, seconds per image, and the peak in the record's measure."""
    found = figures([make_record(0.5, 0.5, 0.5, batch_size=4)])

    assert found == pytest.approx({"images_per_s": 8.0, "s_per_image": 0.125, "peak_memory_bytes": 2**30})


def test_energy_and_memory_of_the_device_stand_beside_them(make_record: Callable[..., Record]) -> None:
    """Joules per image over the rounds that know theirs, and the peak of all processes; of a CPU neither."""
    record = make_record(2.0, 2.0, 2.0, batch_size=4)
    rounds = (*(replace(one, energy_joules=800.0) for one in record.rounds[:2]), record.rounds[2])
    unknown = Reading(reason="x")
    memory = MemoryRound(
        scope="device",
        before_context=unknown,
        context=unknown,
        before_load=unknown,
        loaded=unknown,
        peak=Reading(value=2**34),
        after=unknown,
    )

    told = replace(record, rounds=rounds, memory_round=memory)
    found = figures([told])
    on_cpu = figures([replace(record, memory_round=replace(memory, scope="process"))])

    assert found["joules_per_image"] == told.joules_per_image == 200.0
    assert figures([decode_record(encode_record(told))]) == found
    assert found["peak_device_bytes"] == 2**34
    assert on_cpu.keys() == {"images_per_s", "s_per_image", "peak_memory_bytes"}


def test_unknown_figures_are_left_out(make_record: Callable[..., Record]) -> None:
    """No measure of memory, no peak; no time, no speed: never 0 and never NaN."""
    assert figures([make_record(0.0, memory_source=None)]) == {}


def test_the_schema_is_that_of_the_lowest_supported_release() -> None:
    """The file says whose schema it has; pyproject requires this release or a newer one."""
    assert SCHEMA_VERSION == "5.3.1"
