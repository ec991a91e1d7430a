"""The host's side of every device: memory of this process, memory of the machine, the CPU's name.

Everything is read from the operating system; where it does not tell, the figure is None with the reason.
"""

from __future__ import annotations

import ctypes
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from pytest_sdbatch.devices.control_groups import CGROUPS, PROC, cpu_quota_cores, unified_folders
from pytest_sdbatch.records import Reading

_FORGET_PEAK = b"5"  # proc(5), clear_refs: reset the resident high-water mark to what is resident now


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressSpace:
    """What a process has mapped, touched or not: bytes now, the most ever (no system resets that), and its limit."""

    used: Reading
    peak: Reading
    limit: Reading  # None: there is none


class HostMemory:
    """Resident and available memory of this process.

    Args:
        proc: where the kernel's process files are mounted.
        cgroups: where the control groups (version 2) are mounted.

    """

    def __init__(self, *, proc: Path = PROC, cgroups: Path = CGROUPS) -> None:
        self._proc = proc
        self._cgroups = cgroups
        self._no_peak: str | None = None  # why there is no high-water mark since the last reset
        self.reset_peak()

    def reset_peak(self) -> None:
        """Forget the resident high-water mark. Where the system has no way to, :meth:`peak` says so."""
        path = self._proc / "self" / "clear_refs"
        try:
            handle = os.open(path, os.O_WRONLY)  # its mode is write-only, also for its owner
            try:
                os.write(handle, _FORGET_PEAK)
            finally:
                os.close(handle)
        except OSError as error:
            self._no_peak = f"the high-water mark cannot be reset: {error.strerror}: {path.as_posix()}"
        else:
            self._no_peak = None

    def peak(self) -> Reading:
        """Return the most bytes that were resident since the reset (VmHWM)."""
        if self._no_peak is not None:
            return Reading(reason=self._no_peak)
        return self._status("VmHWM")

    def address_space(self) -> AddressSpace:
        """Return the address space of this process, and what the system grants it at most (RLIMIT_AS)."""
        return AddressSpace(used=self._status("VmSize"), peak=self._status("VmPeak"), limit=_address_space_limit())

    def _status(self, wanted: str) -> Reading:
        """Return a figure of the kernel's account of this process, bytes."""
        path = self._proc / "self" / "status"
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            return Reading(reason=f"{error.strerror}: {path.as_posix()}")
        for line in text.splitlines():
            field, _, rest = line.partition(":")
            if field == wanted and rest.split()[1:] == ["kB"]:
                return Reading(value=int(rest.split()[0]) * 1024)
        return Reading(reason=f"no {wanted} in {path.as_posix()}")

    def resident(self) -> Reading:
        """Return the bytes that are resident now."""
        import psutil

        return Reading(value=int(psutil.Process().memory_info().rss))

    def available(self) -> Reading:
        """Return the bytes this process could still take: of the machine, or of its control group if that is less."""
        import psutil

        free = int(psutil.virtual_memory().available)
        return Reading(value=min([free, *self._group_headrooms()]))

    def _group_headrooms(self) -> list[int]:
        """Return the bytes left in each limited control group that this process is in."""
        folders = unified_folders(proc=self._proc, cgroups=self._cgroups)
        return [room for room in map(_headroom, folders) if room is not None]


def _address_space_limit() -> Reading:
    try:
        import resource
    except ImportError:  # Windows
        return Reading(reason="this system has no such limit")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return Reading(reason="not limited") if limit == resource.RLIM_INFINITY else Reading(value=limit)


def _headroom(folder: Path) -> int | None:
    """Return the bytes a control group may still take, counting file pages that the kernel would drop for it."""
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        if limit == "max":
            return None
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        statistics = (folder / "memory.stat").read_text(encoding="ascii").split()
        droppable = int(dict(zip(statistics[::2], statistics[1::2], strict=False)).get("inactive_file", 0))
        return max(int(limit) - used + droppable, 0)
    except (OSError, ValueError):
        return None  # the root group has no limit, and a hardened container hides the files


def return_free_heap() -> None:
    """Give the heap's free pages back to the system, where the C library can.

    Without it the memory of a large case stays resident and becomes the peak of the small case after it.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc: musl, macOS, Windows
        return
    trim(0)


def cpu_model(*, proc: Path = PROC) -> str | None:
    """Return the CPU's model name, or the architecture where it has no name; None where nothing is known."""
    try:
        text = (proc / "cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in text.splitlines():
        field, _, value = line.partition(":")
        if field.strip() == "model name" and value.strip():
            return " ".join(value.split())
    return platform.processor() or platform.machine() or None


def drivers_spill(*, system: str | None = None, release: str | None = None) -> bool:
    """Return whether drivers of GPUs move memory to the host's where it does not do, as on Windows and under WSL.

    Args:
        system: of the machine; None: this one's.
        release: of its kernel; None: this one's.

    """
    name, kernel = system or platform.system(), release or platform.release()
    return name == "Windows" or (name == "Linux" and "microsoft" in kernel.lower())


def machine_cpu_ns() -> Reading:
    """Return how long the cores that this process may run on have worked, for whomever, since the machine started.

    Systems count it in steps of about 10 ms.
    """
    import psutil

    cores = psutil.cpu_times(percpu=True)
    own = [index for index in os.sched_getaffinity(0) if index < len(cores)] if hasattr(os, "sched_getaffinity") else []
    # Guests are in the time of users, and a core that waits for a disk works for nobody.
    busy = (
        sum(times) - sum(getattr(times, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
        for times in ([cores[index] for index in own] or cores)
    )
    return Reading(value=round(sum(busy) * 1e9))


def cpu_cores() -> int | None:
    """Return how many cores this process may run on. It may be granted less time than they have: see granted_cores."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def granted_cores() -> int | None:
    """Return how many cores this process can keep at work: those it may run on, or what its control groups grant."""
    cores, quota = cpu_cores(), cpu_quota_cores()
    return cores if cores is None or quota is None else min(cores, max(1, int(quota)))
