"""Whether a batch size will fit the memory that is free now, as smaller sizes of its group predict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_sdbatch import units
from pytest_sdbatch.analysis.forecast import ADDRESS_SPACE, MEMORY, growths
from pytest_sdbatch.devices import host
from pytest_sdbatch.devices.device import Device
from pytest_sdbatch.records import PREDICTED, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A memory that has an end: bytes that this process uses of it, and that it could still take."""

    used_bytes: int
    free_bytes: int
    final: bool  # whether beyond its end the process is not told: it is killed, or goes on in slower memory


def too_large(records: Sequence[Record], batch_size: int, device: Device) -> str | None:
    """Return why a case of *batch_size* is predicted not to fit; None where it is, or where nothing can be predicted.

    Where running out would end the process, or only slow it down, the upper limit of the prediction must fit; elsewhere
    it is a result like any other, and the likeliest figure must.

    Args:
        records: of the smaller sizes of its test and group.
        batch_size: of the case.
        device: where it would run; it has been started.

    """
    rooms = dict(_rooms(device))
    for growth in growths(records):
        room = rooms.get(growth.measure)
        if room is None:
            continue
        needs = growth.needs_at_most(batch_size) if room.final else growth.needs(batch_size).estimate
        more = needs - room.used_bytes
        if more > room.free_bytes:
            of = "" if growth.measure == MEMORY else f" of {growth.measure}"
            return (
                f"{PREDICTED}: needs {units.memory(more)}{of} more than is in use, {units.memory(room.free_bytes)} free"
            )
    return None


def free_now(device: Device) -> dict[str, int]:
    """Return the bytes that are free, by the name of the memory; one of which that is not known is left out."""
    return {measure: room.free_bytes for measure, room in _rooms(device)}


def _rooms(device: Device) -> Iterator[tuple[str, Room]]:
    """Yield each memory that has an end, by its measure."""
    used, free = device.used_bytes().value, device.free_bytes().value
    if used is not None and free is not None:
        # On a GPU the allocator fails, unless its driver spills; a host that runs out ends a process.
        final = device.memory_scope == "process" or device.spills_beyond_bytes().value is not None
        yield MEMORY, Room(used_bytes=int(used), free_bytes=int(free), final=final)
    space = host.HostMemory().address_space()
    if space.limit.value is not None and space.used.value is not None:
        left = max(int(space.limit.value) - int(space.used.value), 0)
        yield ADDRESS_SPACE, Room(used_bytes=int(space.used.value), free_bytes=left, final=False)
