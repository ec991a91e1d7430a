"""What a device tells between rounds: differences, reasons, and what they say of the rounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.devices.run_queue import RunQueue
from pytest_sdbatch.measure.boundaries import (
    Watch,
    missing_energy,
    reasons,
    round_fields,
    slowing,
    without_coarse_energy,
)
from pytest_sdbatch.records import Reading, Round

COARSE = "rounds last less than 2.00 s, and in the memory round the energy counter moved fewer than 10 times"


def rounds(*wall_s: float, **fields: Any) -> list[Round]:
    """Return a round for each duration."""
    return [Round(wall_s=seconds, cpu_s=0.0, call_s=(seconds,), **fields) for seconds in wall_s]


def test_a_round_gets_what_was_counted_in_it_and_what_is_read_after_it() -> None:
    """Energy and times are differences; clock and temperature are those of the end."""
    device = FakeDevice(watts=200.0)
    sensors = device.sensors
    sensors.sw_thermal_s, sensors.sw_power_cap_s, sensors.temperature_celsius = 5.0, 1.0, 40
    device.submit(100.0)
    before = device.boundary()
    device.submit(2.0)
    sensors.sw_thermal_s, sensors.sw_power_cap_s = 5.25, 2.5
    sensors.temperature_celsius, sensors.sm_clock_mhz = 71, 1755
    found = round_fields(before, device.boundary())

    assert found == {
        "energy_joules": 400.0,
        "sw_power_cap_s": 1.5,
        "sw_thermal_s": 0.25,
        "hw_thermal_s": None,
        "hw_power_brake_s": None,
        "machine_cpu_s": None,
        "run_delay_s": None,
        "sm_clock_mhz": 1755,
        "temperature_celsius": 71,
    }


def test_a_device_without_faults_has_none() -> None:
    """Neither where it counts them and nothing happened, nor where it does not tell."""
    counting = FakeDevice()
    counting.sensors.ecc_uncorrected, counting.sensors.xids = 7, [13]

    assert Watch(counting).fault() is None
    assert Watch(FakeDevice()).fault() is None
    assert Watch(CpuDevice()).fault() is None


def test_faults_since_the_case_began_are_told() -> None:
    """Those before it are not its own; each number of the driver is named, whenever it came."""
    device = FakeDevice()
    device.sensors.ecc_uncorrected, device.sensors.xids = 7, [13]
    watch = Watch(device)
    device.sensors.xids = [13, 31]
    watch.read()
    device.sensors.ecc_uncorrected, device.sensors.xids = 8, [13, 31, 43]

    assert watch.fault() == (
        "the device had a fault meanwhile: 1 memory error that ECC could not correct and the driver reported XID 31, 43"
    )


def test_a_scheduler_that_stops_telling_leaves_the_reason() -> None:
    """As for every figure that was known when the run began: the record says why a round lacks it."""
    watch = Watch(CpuDevice())
    told = watch.read()
    known = replace(told, run_queue=RunQueue(threads={"1": (5, 5)}))
    watch.fields(known, replace(told, run_queue=RunQueue(reason="it is gone")))

    assert watch.unread["run_delay"] == "it is gone"


def test_every_figure_that_a_device_does_not_tell_has_a_reason() -> None:
    """Of a CPU all, of a fake what was not set."""
    device = FakeDevice(watts=1.0)
    device.submit(1.0)
    device.sensors.temperature_celsius, device.sensors.xids = 40, []

    assert reasons(CpuDevice().boundary()) == dict.fromkeys(
        ["energy", "sw_power_cap", "throttling", "sm_clock", "temperature", "ecc_errors", "xid_faults"],
        "a CPU has no driver that tells it",
    )
    assert reasons(device.boundary()).keys() == {
        "sw_power_cap", "throttling", "sm_clock", "ecc_errors", "machine_cpu", "run_delay",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wall_s", "updates", "reason"),
    [
        ((2.0, 3.0), None, None),
        ((2.0, 1.9), None, "rounds last less than 2.00 s"),
        ((0.5, 0.5), 10, None),
        ((0.5, 0.5), 9, COARSE),
        ((0.5, 0.5), 0, COARSE),
    ],
)
def test_energy_of_rounds_that_the_counter_is_too_coarse_for_is_left_out(
    wall_s: tuple[float, ...], updates: int | None, reason: str | None
) -> None:
    """Two seconds, or ten moves of the counter in one round; else it is unknown, with the reason."""
    kept, said = without_coarse_energy(rounds(*wall_s, energy_joules=50.0), updates)

    assert said == reason
    assert [reading.energy_joules for reading in kept] == [50.0 if reason is None else None] * 2


def test_rounds_without_energy_stay_as_they_are() -> None:
    """A device without the counter has said so elsewhere."""
    made = rounds(0.1, 0.2)

    assert without_coarse_energy(made, None) == (tuple(made), None)


def test_a_counter_that_failed_meanwhile_is_said() -> None:
    """Of the rounds that lack their energy though the device counts it; where none does there is nothing to say."""
    known, lost = rounds(3.0, 3.0, energy_joules=50.0), rounds(3.0)

    assert missing_energy(known) is None
    assert missing_energy([*known, *lost]) == "the counter of energy failed or was reset in 1 of 3 rounds"


def test_what_a_device_told_and_then_did_not_has_its_first_reason() -> None:
    """A driver that stops to answer says why; later rounds lack the figure too, and for the same cause."""
    device = FakeDevice()
    device.sensors.temperature_celsius, device.sensors.sw_thermal_s = 40, 0.0
    watch = Watch(device)
    before = watch.read()
    device.sensors.temperature_celsius = None
    lost = watch.read()
    unknown = replace(lost, temperature_celsius=Reading(reason="GPU is lost"))

    known = watch.fields(before, before)
    assert known["temperature_celsius"] == 40
    assert "temperature" not in watch.unread
    assert watch.fields(before, unknown)["temperature_celsius"] is None
    watch.fields(unknown, lost)
    assert watch.unread["temperature"] == "GPU is lost"


def test_a_counter_that_was_reset_is_told_with_that_reason() -> None:
    """Each reading is sound by itself: only the difference is not known."""
    device = FakeDevice()
    watch = Watch(device)
    after = replace(device.boundary(), sw_power_cap_ns=Reading(value=5))

    watch.fields(replace(after, sw_power_cap_ns=Reading(value=7)), after)

    assert watch.unread["sw_power_cap"].startswith("the counter went backwards")


def test_slowed_rounds_are_counted_with_their_causes() -> None:
    """Heat and the power supply slow a round; the power limit is usual under load and does not count."""
    capped = rounds(1.0, 1.0, sw_power_cap_s=0.9, sw_thermal_s=0.0, hw_thermal_s=0.0, hw_power_brake_s=0.0)
    hot = rounds(1.0, sw_thermal_s=0.25, hw_thermal_s=0.125, hw_power_brake_s=0.0)
    braked = rounds(1.0, hw_power_brake_s=0.5)

    assert slowing(capped) is None
    assert slowing([*capped, *hot, *hot]) == (
        "2 of 4 rounds slowed down by heat (the driver) for 500 ms and heat (the hardware) for 250 ms"
    )
    assert slowing(braked) == "1 of 1 round slowed down by the power supply for 500 ms"
