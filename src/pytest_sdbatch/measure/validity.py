"""Whether the figures of a case may be believed: neighbours on the device, heat, and memory that spilled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_sdbatch import units
from pytest_sdbatch.analysis.contention import contended
from pytest_sdbatch.analysis.limits import broken_limits
from pytest_sdbatch.analysis.location import location_s
from pytest_sdbatch.devices.device import Device, Processes
from pytest_sdbatch.measure.boundaries import slowing
from pytest_sdbatch.records import Fact, Outcome, Record, Round

_FULL = 0.97  # of the device's memory, from which on the driver may have moved some of it to the host's
_SPILLED = 2.0  # times the seconds per image of the next smaller size


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """An outcome that a sound measurement has instead of ok, and why."""

    outcome: Outcome
    reason: str


def foreign_processes(*lists: Processes) -> int | None:
    """Return the most other processes that were on the device at a time; None where no list tells."""
    return max((int(one.foreign.value) for one in lists if one.foreign.value is not None), default=None)


def crowded(foreign: int | None) -> Doubt | None:
    """Return the doubt about a case beside *foreign* other processes, where the options do not bear them."""
    if not foreign:
        return None
    return Doubt(outcome=Outcome.INVALID_ENVIRONMENT, reason=f"{other_processes(foreign)} (foreign_processes=fail)")


def other_processes(foreign: int) -> str:
    """Return in words that there were *foreign* other processes."""
    return f"{foreign} other {'process' if foreign == 1 else 'processes'} used the device"


def contention(rounds: Sequence[Round], where: Mapping[str, Fact]) -> str | None:
    """Return why the times of *rounds* include waiting for a core, in words; None: nothing says so.

    Args:
        rounds: of a case.
        where: what must match of the place it ran at; on a CPU with threads and cores, elsewhere nothing is said.

    """
    threads, cores = where.get("threads"), where.get("cores")
    timed = all(one.wall_s > 0 for one in rounds)  # a clock may stand still
    if where.get("device_kind") != "cpu" or not isinstance(threads, int) or not isinstance(cores, int) or not timed:
        return None
    return contended(rounds, threads=threads, cores=cores)


def over_limit(record: Record, limits: Mapping[str, float], *, timed: bool) -> Doubt | None:
    """Return the doubt about a case that does not keep its *limits*; not *timed*: its times tell nothing."""
    broken = broken_limits(record, limits, timed=timed)
    return Doubt(outcome=Outcome.OVER_LIMIT, reason="; ".join(broken)) if broken else None


def spilled(device: Device, record: Record, smaller_s_per_image: float | None) -> Doubt | None:
    """Return the doubt about a case for which the driver seems to have moved memory of the device to the host's.

    Args:
        device: tells where its driver does that instead of failing.
        record: of the case; without a memory round, what is in use now counts.
        smaller_s_per_image: seconds per image of the next smaller size; None: there is none.

    """
    limit = device.spills_beyond_bytes().value
    if limit is None or smaller_s_per_image is None:
        return None
    in_use = (record.memory_round.peak if record.memory_round is not None else device.in_use_bytes()).value
    s_per_image = _s_per_image(record)
    if in_use is None or in_use < _FULL * limit or s_per_image is None or s_per_image <= _SPILLED * smaller_s_per_image:
        return None
    return Doubt(
        outcome=Outcome.SPILLED,
        reason=f"{units.memory(in_use)} of {units.memory(limit)} in use, and an image takes "
        f"{units.times(s_per_image / smaller_s_per_image)} as long as at the next smaller size: the driver moved "
        "memory of the GPU to the host's; to have it fail instead, set 'CUDA - Sysmem Fallback Policy' in NVIDIA's "
        "control panel to 'Prefer No Sysmem Fallback'",
    )


def throttled(rounds: Sequence[Round]) -> Doubt | None:
    """Return the doubt about a case of which every round was slowed down; one that was not tells the device's speed."""
    said = slowing(rounds)
    if said is None or not all(reading.slowed for reading in rounds):
        return None
    return Doubt(outcome=Outcome.THROTTLED, reason=said)


def smaller_s_per_image(records: Iterable[Record], like: Record) -> float | None:
    """Return the seconds per image of the largest sound batch size below that of *like*, in its test and group."""
    sound = [
        record
        for record in records
        if record.test == like.test
        and record.case.group_id == like.case.group_id
        and record.case.batch_size < like.case.batch_size
        and record.outcome is Outcome.OK
    ]
    if not sound:
        return None
    return _s_per_image(max(sound, key=lambda record: record.case.batch_size))


def _s_per_image(record: Record) -> float | None:
    """Return the seconds per image; None where a clock stood still."""
    seconds = [reading.wall_s for reading in record.rounds]
    return location_s(seconds) / record.case.images if seconds and min(seconds) > 0 else None
