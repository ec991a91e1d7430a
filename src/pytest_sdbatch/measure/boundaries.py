"""What a device told between rounds, and what it says of them: energy, heat, faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_sdbatch import units
from pytest_sdbatch.devices.counters import Boundary, between, counted
from pytest_sdbatch.devices.device import Device
from pytest_sdbatch.devices.gpu import Xids
from pytest_sdbatch.records import Reading, Round

# The energy counter moves every 20 to 100 ms, depending on the card: a short round reads as none, or as twice its own.
SHORTEST_ENERGY_S = 2.0
FEWEST_UPDATES = 10
_SLOWING = {
    "sw_thermal_s": "heat (the driver)",
    "hw_thermal_s": "heat (the hardware)",
    "hw_power_brake_s": "the power supply",
}


class Watch:
    """Reads a device between the rounds of one case."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._began = device.boundary()  # and with it the faults before this case, which are not its own
        self._xids: list[int] = []
        self.unread: dict[str, str] = {}  # by figure, why a round lacks it, as it was first told

    def read(self) -> Boundary:
        """Return what the device tells now; never call it inside a round."""
        boundary = self._device.boundary()
        self._xids += boundary.xids.numbers
        return boundary

    def fields(self, before: Boundary, after: Boundary) -> dict[str, Any]:
        """Return fields of the Round that lay between two boundaries, and note why it lacks figures."""
        self.unread = {**_lacking(before, after), **self.unread}
        return round_fields(before, after)

    def fault(self) -> str | None:
        """Return what went wrong with the device since the case began; None: nothing that it tells of."""
        errors = counted(self._began.ecc_uncorrected, self.read().ecc_uncorrected).value
        said = []
        if errors:
            said.append(f"{units.count(int(errors), 'memory error')} that ECC could not correct")
        if self._xids:
            said.append(f"the driver reported XID {', '.join(map(str, self._xids))}")
        return f"the device had a fault meanwhile: {' and '.join(said)}" if said else None


def round_fields(before: Boundary, after: Boundary) -> dict[str, Any]:
    """Return fields of the Round that lay between two boundaries."""
    counts = between(before, after)
    names = (
        "energy_joules", "sw_power_cap_s", "sw_thermal_s", "hw_thermal_s", "hw_power_brake_s", "machine_cpu_s",
        "run_delay_s",
    )  # fmt: skip
    return {
        **{name: getattr(counts, name).value for name in names},
        "sm_clock_mhz": after.sm_clock_mhz.value,
        "temperature_celsius": after.temperature_celsius.value,
    }


def reasons(boundary: Boundary) -> dict[str, str]:
    """Return why figures are not known on a device that told *boundary*, by figure."""
    slowing = (boundary.sw_thermal_ns, boundary.hw_thermal_ns, boundary.hw_power_brake_ns)
    figures: dict[str, tuple[Reading, ...]] = {
        "energy": (boundary.energy_millijoules,),
        "sw_power_cap": (boundary.sw_power_cap_ns,),
        "throttling": slowing,
        "sm_clock": (boundary.sm_clock_mhz,),
        "temperature": (boundary.temperature_celsius,),
        "ecc_errors": (boundary.ecc_uncorrected,),
        "machine_cpu": (boundary.machine_cpu_ns,),
        "run_delay": (Reading(reason=boundary.run_queue.reason),) if boundary.run_queue.reason else (),
    }
    return _unread(figures, boundary.xids)


def _lacking(before: Boundary, after: Boundary) -> dict[str, str]:
    """Return why figures of the time between two boundaries are not known, by the names that :func:`reasons` has."""
    counts = between(before, after)
    figures: dict[str, tuple[Reading, ...]] = {
        "energy": (counts.energy_joules,),
        "sw_power_cap": (counts.sw_power_cap_s,),
        "throttling": (counts.sw_thermal_s, counts.hw_thermal_s, counts.hw_power_brake_s),
        "sm_clock": (after.sm_clock_mhz,),
        "temperature": (after.temperature_celsius,),
        "ecc_errors": (counts.ecc_uncorrected,),
        "machine_cpu": (counts.machine_cpu_s,),
        "run_delay": (counts.run_delay_s,),
    }
    return _unread(figures, after.xids)


def _unread(figures: Mapping[str, tuple[Reading, ...]], xids: Xids) -> dict[str, str]:
    found = {
        name: str(reading.reason) for name, readings in figures.items() for reading in readings if reading.value is None
    }
    return found if xids.reason is None else {**found, "xid_faults": xids.reason}


def without_coarse_energy(rounds: Sequence[Round], updates: int | None) -> tuple[tuple[Round, ...], str | None]:
    """Return *rounds* without energy where the counter is too coarse for them, and why it was left out.

    Args:
        rounds: of one case.
        updates: how often the counter was seen to move in the memory round, one more such round; None: nobody looked.

    """
    known = [reading.wall_s for reading in rounds if reading.energy_joules is not None]
    if not known or min(known) >= SHORTEST_ENERGY_S or (updates or 0) >= FEWEST_UPDATES:
        return tuple(rounds), None
    # Without the number, which the memory round holds: cases that differ in it alone share a line below the table.
    few = f"in the memory round the energy counter moved fewer than {FEWEST_UPDATES} times"
    reason = f"rounds last less than {units.duration(SHORTEST_ENERGY_S)}{'' if updates is None else f', and {few}'}"
    return tuple(replace(reading, energy_joules=None) for reading in rounds), reason


def missing_energy(rounds: Sequence[Round]) -> str | None:
    """Return how many of *rounds*, on a device that counts energy, lack theirs; None where none does."""
    missing = sum(reading.energy_joules is None for reading in rounds)
    if not missing:
        return None
    return f"the counter of energy failed or was reset in {missing} of {units.count(len(rounds), 'round')}"


def slowing(rounds: Sequence[Round]) -> str | None:
    """Return how many of *rounds* were slowed down, by what and for how long; None where none was."""
    slowed = [reading for reading in rounds if reading.slowed]
    if not slowed:
        return None
    causes = [
        f"{cause} for {units.duration(seconds)}"
        for name, cause in _SLOWING.items()
        if (seconds := sum(getattr(reading, name) or 0.0 for reading in slowed))
    ]
    return f"{len(slowed)} of {units.count(len(rounds), 'round')} slowed down by {' and '.join(causes)}"
