"""What the measurement asks of a device. Nothing in measure/ names a vendor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from pytest_sdbatch.devices.counters import Boundary
from pytest_sdbatch.records import Fact, Reading

# A point in the device's time: an event, a clock reading. Only the device that took it can read it.
Mark: TypeAlias = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Why nothing can run on a device any more in this process."""

    reason: str
    lost: bool = False  # nor in any other: the hardware is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """Who uses the device."""

    own_bytes: Reading  # device memory of this process
    own_source: str | None = None  # how this process was told from the others that the driver lists
    foreign: Reading  # how many others there are at least


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextMemory:
    """Memory in use on the device before and after this process made its context there, bytes."""

    before: Reading
    after: Reading


class Device(Protocol):
    """A place where pipelines run."""

    @property
    def name(self) -> str:
        """The name torch takes: ``cpu``, ``cuda:0``."""
        ...

    @property
    def kind(self) -> str:
        """``cpu`` or ``cuda``: what a record of another kind is never compared with."""
        ...

    @property
    def memory_source(self) -> str:
        """The field of Round that "peak memory" means here: ``peak_allocated_bytes`` or ``host_peak_bytes``."""
        ...

    @property
    def lease_name(self) -> str | None:
        """The name under which no two processes may use the device at once; None where they share it by cores."""
        ...

    def breakdown(self) -> Breakdown | None:
        """Return why nothing can run here any more; None where it can. Asked after a call has failed."""
        ...

    @property
    def memory_scope(self) -> str:
        """Whose memory :meth:`in_use_bytes` counts: ``device`` (of all processes) or ``process`` (of this one)."""
        ...

    def start(self) -> ContextMemory:
        """Make what a process needs on the device, if it is not there yet; return what was read around it, once."""
        ...

    def wall_s(self) -> float:
        """Return the wall clock, seconds from an arbitrary start, monotonic."""
        ...

    def cpu_s(self) -> float:
        """Return the CPU time of this process, all threads, seconds."""
        ...

    def synchronize(self) -> None:
        """Wait until all work that was submitted is done."""
        ...

    def mark(self) -> Mark:
        """Take a point in the device's time without waiting for it (an event; a clock reading on a CPU)."""
        ...

    def seconds_between(self, start: Mark, end: Mark) -> float:
        """Return the seconds from one mark to a later one; only after :meth:`synchronize`."""
        ...

    def reset_peaks(self) -> None:
        """Forget the high-water marks of memory."""
        ...

    def peak_allocated(self) -> Reading:
        """Return the peak of live tensor bytes since the reset."""
        ...

    def peak_reserved(self) -> Reading:
        """Return the peak of allocator segments in bytes since the reset."""
        ...

    def peak_unreleasable(self) -> Reading:
        """Return the peak since the reset of unused bytes that torch's allocator could not give back."""
        ...

    def host_peak(self) -> Reading:
        """Return the resident high-water mark of this process in bytes since the reset."""
        ...

    def used_bytes(self) -> Reading:
        """Return what is in use now in the measure of :attr:`memory_source`."""
        ...

    def in_use_bytes(self) -> Reading:
        """Return the memory in use now as the system tells it, see :attr:`memory_scope`; quick, and from any thread."""
        ...

    def spills_beyond_bytes(self) -> Reading:
        """Return the device's memory where the driver moves to the host's what goes beyond; None where it fails."""
        ...

    def boundary(self) -> Boundary:
        """Return what the device tells between two rounds; never called inside one."""
        ...

    def energy_millijoules(self) -> Reading:
        """Return the energy of :meth:`boundary` alone; from any thread."""
        ...

    def processes(self) -> Processes:
        """Return who uses the device; takes milliseconds on a GPU."""
        ...

    def free_bytes(self) -> Reading:
        """Return the bytes a new pipeline could take now."""
        ...

    def release_memory(self) -> None:
        """Collect garbage and give cached memory back."""
        ...

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether *error* says that memory ran out, here or in a library on this device."""
        ...

    def facts(self) -> Mapping[str, Mapping[str, Fact]]:
        """Return what identifies the device, as ``must_match``, ``drift`` and ``shown`` of an Environment.

        Where a value is None, ``unknown`` holds the reason under the same key. A device without an allocator of torch
        says so there of ``peak_allocated_bytes`` and ``peak_reserved_bytes``, which its rounds lack.
        """
        ...
