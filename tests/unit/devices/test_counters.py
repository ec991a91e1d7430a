"""Differences of counters, and where a driver keeps them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.devices.counters import Boundary, between, counted, slowdown_fields
from pytest_sdbatch.devices.gpu import Xids
from pytest_sdbatch.records import Reading

COUNTER = st.integers(0, 2**64 - 1)


@given(start=COUNTER, steps=st.integers(0, 2**63 - 1))
def test_what_was_counted_comes_back_wherever_the_counter_stood(start: int, steps: int) -> None:
    """A counter of 64 bits may pass its end on the way, once."""
    told = counted(Reading(value=start), Reading(value=(start + steps) % 2**64))

    assert told == Reading(value=steps)


@given(start=st.integers(1, 2**63 - 1), data=st.data())
def test_a_counter_that_went_back_is_unknown(start: int, data: st.DataObject) -> None:
    """A driver that was reloaded counts from 0: the difference means nothing."""
    after = data.draw(st.integers(0, start - 1))
    told = counted(Reading(value=start), Reading(value=after), per_unit=1e3)

    assert told.value is None
    assert "backwards" in (told.reason or "")


def test_an_unknown_side_gives_its_reason() -> None:
    """Unknown before or after is unknown between."""
    unknown = Reading(reason="the GPU is lost")

    assert counted(unknown, Reading(value=1)) == counted(Reading(value=1), unknown) == unknown


def test_units_are_joules_and_seconds() -> None:
    """NVML counts millijoules and nanoseconds; errors are the later boundary's."""
    interval = between(boundary(counter=500, xid=13), boundary(counter=2_000_000_500, xid=31))

    assert interval.energy_joules == Reading(value=2_000_000.0)
    times = (interval.sw_power_cap_s, interval.sw_thermal_s, interval.hw_thermal_s, interval.hw_power_brake_s)
    assert times == (Reading(value=2.0),) * 4
    assert interval.ecc_uncorrected == Reading(value=2_000_000_000)
    assert interval.xids == Xids(numbers=(31,))


def boundary(*, counter: int, xid: int) -> Boundary:
    """Return a boundary where every counter stands at the same."""
    reading = Reading(value=counter)
    return Boundary(
        energy_millijoules=reading,
        sw_power_cap_ns=reading,
        sw_thermal_ns=reading,
        hw_thermal_ns=reading,
        hw_power_brake_ns=reading,
        temperature_celsius=Reading(value=50),
        sm_clock_mhz=Reading(value=1755),
        ecc_uncorrected=reading,
        xids=Xids(numbers=(xid,)),
    )


@pytest.mark.parametrize(
    ("driver", "fields"),
    [
        ("570.172.08", None),
        ("575.51.03", (251, 252, 253)),
        ("580.65.06", (251, 252, 253)),
        ("580.76.05", None),
        ("580.82.07", (269, 270, 271)),
        ("615.71", (269, 270, 271)),
        ("", None),
        (None, None),
        ("unknown", None),
    ],
)
def test_numbers_follow_the_driver(driver: str | None, fields: tuple[int, int, int] | None) -> None:
    """A driver between two numberings, before the first one, or without a readable version is not asked."""
    assert slowdown_fields(driver) == fields
