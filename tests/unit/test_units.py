"""Quantities as text: examples of each, and what holds for every value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_sdbatch import units

SECONDS_OF = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
BYTES_OF = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
POSITIVE = st.floats(1e-9, 1e7)


def read(text: str, scales: dict[str, float] | dict[str, int]) -> float:
    """Return the value that a reader takes from *text*."""
    sign = -1 if text.startswith("-") else 1
    parts = re.findall(r"([\d.,]+) ([A-Za-z]+)", text)
    return sign * sum(float(digits.replace(",", "")) * scales[unit] for digits, unit in parts)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (-0.0, "0 s"),
        (3.2e-9, "3.20 ns"),
        (513e-9, "513 ns"),
        (4.56e-5, "45.6 us"),
        (0.0123, "12.3 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (1.2351, "1.24 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (125.2, "2 min 5 s"),
        (3599.7, "1 h 0 min"),
        (6000.0, "1 h 40 min"),
        (-0.0123, "-12.3 ms"),
        (-1e-15, "0 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """A duration is shown in the unit in which it has one to three digits before the point."""
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1000, "0.977 KiB"),
        (1024, "1.00 KiB"),
        (12 * 2**20, "12.0 MiB"),
        (999 * 2**20, "999 MiB"),
        (1023 * 2**20, "0.999 GiB"),
        (5 * 2**28, "1.25 GiB"),
        (2**41, "2.00 TiB"),
        (2**52, "4,096 TiB"),
    ],
)
def test_memory(size: int, text: str) -> None:
    """Memory is shown in binary units, and says so."""
    assert units.memory(size) == text


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (units.rate(3.2111), "3.21 images/s"),
        (units.rate(0.00051234), "0.000512 images/s"),
        (units.rate(12345.6, "steps"), "12,346 steps/s"),
        (units.number(9.996), "10.0"),
        (units.number(-0.0), "0"),
        (units.ratio(1.936), "1.94x"),
        (units.times(1.936), "1.9 times"),
        (units.times(9.96), "10 times"),
        (units.times(1234.0), "1,234 times"),
        (units.whole_percent(0.914), "91"),
        (units.whole_percent(-0.001), "0"),
        (units.change(0.1449), "+14 %"),
        (units.change(-0.0321), "-3.2 %"),
        (units.change(0.0996), "+10 %"),
        (units.change(0.0994), "+9.9 %"),
        (units.change(-0.0001), "0 %"),
        (units.change(14.0), "+1,400 %"),
        (units.share(0.05), "5 %"),
        (units.share(0.025), "2.5 %"),
        (units.share(-0.02), "-2 %"),
        (units.share(0.914), "91 %"),
        (units.spread(0.0081), "±0.8 %"),
        (units.count(10_000), "10,000"),
        (units.count(1, "round"), "1 round"),
        (units.count(8, "round"), "8 rounds"),
        (units.magnitude(859_520_964), "860 M"),
        (units.magnitude(2_567_463_684), "2.57 B"),
        (units.magnitude(214_000), "214 k"),
        (units.magnitude(999_999), "1.00 M"),
        (units.magnitude(17), "17"),
    ],
)
def test_rates_shares_and_counts(shown: str, text: str) -> None:
    """Each quantity reads as its docstring says."""
    assert shown == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "about 1 s left"),
        (8.2, "about 9 s left"),
        (12.0, "about 15 s left"),
        (57.0, "about 1 min left"),
        (61.0, "about 2 min left"),
        (3540.5, "about 1 h left"),
        (4000.0, "about 1 h 10 min left"),
    ],
)
def test_time_left(seconds: float, text: str) -> None:
    """Time left is an estimate: coarse, rounded up, and called about."""
    assert units.time_left(seconds) == text


@given(POSITIVE, POSITIVE)
@example(0.9994, 0.9996)
@example(59.94, 59.96)
@example(3599.4, 3599.6)
@example(3629.9, 3630.1)
def test_a_longer_duration_never_reads_shorter(one: float, other: float) -> None:
    """Rounding and changing units keep the order."""
    shorter, longer = sorted((one, other))

    assert read(units.duration(shorter), SECONDS_OF) <= read(units.duration(longer), SECONDS_OF) * (1 + 1e-12)


@given(st.integers(0, 2**55), st.integers(0, 2**55))
@example(999, 1000)
@example(999 * 2**20, 1000 * 2**20)
@example(999 * 2**20 + 2**19 - 1, 999 * 2**20 + 2**19)
def test_more_memory_never_reads_as_less(one: int, other: int) -> None:
    """Rounding and changing units keep the order."""
    less, more = sorted((one, other))

    assert read(units.memory(less), BYTES_OF) <= read(units.memory(more), BYTES_OF)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_time_left_keeps_the_order_and_never_promises_too_much(one: float, other: float) -> None:
    """The estimate is never below the value it was given."""
    less, more = sorted((one, other))

    assert less <= read(units.time_left(less), SECONDS_OF) <= read(units.time_left(more), SECONDS_OF)


@given(POSITIVE)
def test_a_duration_is_read_back_within_its_last_digit(seconds: float) -> None:
    """Three significant digits lose at most half a percent; minutes and hours half of their last unit."""
    shown = read(units.duration(seconds), SECONDS_OF)
    slack = 0.5 if seconds < 3599 else 31

    assert shown == pytest.approx(seconds, rel=0.00501, abs=slack if seconds > 59 else 0)


@given(st.floats(-1e6, 1e6))
def test_nothing_reads_minus_zero(value: float) -> None:
    """A sign is only shown where a digit other than 0 follows."""
    for text in (units.duration(value), units.change(value), units.share(value), units.number(value)):
        assert not text.startswith(("-", "+")) or re.search("[1-9]", text)


@given(POSITIVE)
@example(0.9999)
@example(0.0009999)
def test_no_duration_below_a_minute_reads_1000_of_a_unit(seconds: float) -> None:
    """The next unit begins where three digits end."""
    text = units.duration(seconds)
    leading = re.match(r"[\d,.]+", text)

    assert leading is not None
    assert float(leading[0].replace(",", "")) < 1000 or " h " in text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "show",
    [
        units.number,
        units.duration,
        units.time_left,
        units.memory,
        units.rate,
        units.ratio,
        units.times,
        units.whole_percent,
        units.share,
        units.change,
        units.spread,
    ],
)
def test_what_is_not_finite_has_no_text(show: Callable[[float], str], value: float) -> None:
    """Unknown is None with a reason; NaN and infinity are mistakes, and nothing prints them."""
    with pytest.raises((ValueError, OverflowError)):
        show(value)


@pytest.mark.parametrize("show", [units.memory, units.time_left, units.magnitude])
def test_amounts_are_not_negative(show: Callable[[int], str]) -> None:
    """Memory, time left and counts below 0 are mistakes of the caller."""
    with pytest.raises(ValueError, match="is no"):
        show(-1)


@pytest.mark.parametrize(
    ("joules", "text"), [(0.0, "0 mJ"), (0.85, "850 mJ"), (0.9996, "1.00 J"), (612.3, "612 J"), (1250.0, "1.25 kJ")]
)
def test_energies(joules: float, text: str) -> None:
    """An amount of energy is shown in the unit in which it has one to three digits before the point."""
    assert units.energy(joules) == text


@pytest.mark.parametrize("joules", [-1.0, math.nan, math.inf])
def test_no_energy_has_no_text(joules: float) -> None:
    """Below 0 or not finite is no amount."""
    with pytest.raises(ValueError, match=r"no amount of energy|has no text"):
        units.energy(joules)


@pytest.mark.parametrize(
    ("value", "unit", "scale"),
    [(0.0, "ns", 1e-9), (5e-7, "ns", 1e-9), (0.02, "ms", 1e-3), (1.0, "s", 1.0), (90.0, "s", 1.0)],
)
def test_an_axis_of_durations_has_one_unit(value: float, unit: str, scale: float) -> None:
    """The largest that leaves the longest duration at 1 or more."""
    assert units.scale_of_duration(value) == (unit, scale)


@pytest.mark.parametrize(
    ("value", "unit", "scale"), [(0.0, "B", 1), (2.0**20, "MiB", 2**20), (3.0 * 2**33, "GiB", 2**30)]
)
def test_an_axis_of_memory_has_one_unit(value: float, unit: str, scale: int) -> None:
    """The same for bytes, in binary units."""
    assert units.scale_of_memory(value) == (unit, scale)


@pytest.mark.parametrize(
    ("one", "other", "texts"),
    [
        (0.195, 0.3, ("0.195", "0.300")),
        (0.19504, 0.19496, ("0.19504", "0.19496")),
        (0.5, 0.5, ("0.500", "0.500")),
        (12345.6, 12345.7, ("12,345.6", "12,345.7")),
    ],
)
def test_numbers_that_differ_read_different(one: float, other: float, texts: tuple[str, str]) -> None:
    """In as few digits as that takes; equal ones in those of a number."""
    assert units.told_apart(one, other) == texts


def test_what_is_not_finite_has_no_axis() -> None:
    """Unknown is never drawn."""
    with pytest.raises(ValueError, match="unknown is None"):
        units.scale_of_duration(float("nan"))
