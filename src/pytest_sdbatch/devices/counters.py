"""What is read between two rounds, and what happened from one such reading to the next. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_sdbatch.devices.gpu import Xids
from pytest_sdbatch.devices.run_queue import RunQueue, longest_wait
from pytest_sdbatch.records import Reading

_COUNTER_RANGE = 1 << 64
_NO_CPU = Reading(reason="the device is no CPU")
_NO_QUEUE = RunQueue(reason=_NO_CPU.reason)

# NVML field numbers of the clock-event counters. Source: the comments of nvml.h (CUDA 12.9 to 13.3) say nanoseconds for
# all four; that a device keeps to it has not been seen. NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP is number 74 in
# every release. The other three are SW_THERM_SLOWDOWN, HW_THERM_SLOWDOWN and HW_POWER_BRAKE_SLOWDOWN, and their numbers
# moved, although nvml.h says that none ever does: nvidia-ml-py 12.575.51 and 13.580.65 have 251 to 253, 13.580.82 and
# later 269 to 271, older ones nothing. At the wrong number another quantity stands (power smoothing), so a driver for
# which no header is known is not asked.
SW_POWER_CAP_FIELD = 74
_SLOWDOWN_FIELDS: tuple[tuple[tuple[int, int], tuple[int, int, int] | None], ...] = (
    ((580, 82), (269, 270, 271)),
    ((580, 66), None),
    ((575, 0), (251, 252, 253)),
)


def slowdown_fields(driver: str | None) -> tuple[int, int, int] | None:
    """Return the field numbers of software thermal, hardware thermal and power-brake slowdown.

    Args:
        driver: its version, as NVML tells it: ``580.126.09``.

    Returns:
        None where no header says what the numbers are: an old driver, or one between two numberings.

    """
    match = re.match(r"(\d+)\.(\d+)", driver or "")
    if match is None:
        return None
    version = int(match[1]), int(match[2])
    return next((fields for since, fields in _SLOWDOWN_FIELDS if version >= since), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """What the device told between two rounds. Energy and the four times are counted since the driver was loaded."""

    energy_millijoules: Reading
    sw_power_cap_ns: Reading  # the clock was lowered to keep the power limit: normal under full load
    sw_thermal_ns: Reading  # to keep the temperature limit, by the driver
    hw_thermal_ns: Reading  # by the hardware, by half or more
    hw_power_brake_ns: Reading  # because the system's power supply asked for it
    temperature_celsius: Reading
    sm_clock_mhz: Reading
    ecc_uncorrected: Reading  # memory errors since the driver was loaded
    xids: Xids  # since the boundary before
    machine_cpu_ns: Reading = _NO_CPU  # of the cores that this process may use, since the machine started
    run_queue: RunQueue = _NO_QUEUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What happened from one boundary to the next."""

    energy_joules: Reading
    sw_power_cap_s: Reading
    sw_thermal_s: Reading
    hw_thermal_s: Reading
    hw_power_brake_s: Reading
    ecc_uncorrected: Reading  # new errors
    xids: Xids
    machine_cpu_s: Reading
    run_delay_s: Reading


def between(before: Boundary, after: Boundary) -> Interval:
    """Return what happened from *before* to *after*; a figure that either of them lacks is unknown for its reason."""
    return Interval(
        energy_joules=counted(before.energy_millijoules, after.energy_millijoules, per_unit=1e3),
        sw_power_cap_s=counted(before.sw_power_cap_ns, after.sw_power_cap_ns, per_unit=1e9),
        sw_thermal_s=counted(before.sw_thermal_ns, after.sw_thermal_ns, per_unit=1e9),
        hw_thermal_s=counted(before.hw_thermal_ns, after.hw_thermal_ns, per_unit=1e9),
        hw_power_brake_s=counted(before.hw_power_brake_ns, after.hw_power_brake_ns, per_unit=1e9),
        ecc_uncorrected=counted(before.ecc_uncorrected, after.ecc_uncorrected),
        xids=after.xids,
        machine_cpu_s=counted(before.machine_cpu_ns, after.machine_cpu_ns, per_unit=1e9),
        run_delay_s=longest_wait(before.run_queue, after.run_queue),
    )


def counted(before: Reading, after: Reading, *, per_unit: float | None = None) -> Reading:
    """Return how far a counter of 64 bits went.

    Args:
        before: the counter, earlier.
        after: the counter, later. A smaller one went past 2^64 where that is the shorter way; else it was reset.
        per_unit: counts in one unit of the result; None: the result is in counts, an int.

    """
    if before.value is None or after.value is None:
        return Reading(reason=before.reason or after.reason)
    steps = int(after.value) - int(before.value)
    if steps < 0:
        steps += _COUNTER_RANGE
        if steps >= _COUNTER_RANGE // 2:
            return Reading(reason="the counter went backwards: the driver was reloaded or the GPU was reset")
    return Reading(value=steps if per_unit is None else steps / per_unit)
