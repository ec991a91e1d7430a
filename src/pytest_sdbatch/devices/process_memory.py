"""Which row of the driver's list of processes is this process, and what it holds. Pure.

In a container the list has the host's process numbers, ours among them under a number that we do not know, and the
bytes may be missing. Four steps, the first that answers; the answer carries its name.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from pytest_sdbatch.devices.gpu import GpuMemory, GpuProcess, ProcessList
from pytest_sdbatch.records import Reading

PROBE_BYTES = 512 << 20
_PROBE_SLACK_BYTES = 64 << 20  # a driver rounds an allocation up, and a first one may load code

# Takes a number of bytes and holds that much memory of the GPU, new from the driver, while its context is entered.
Probe: TypeAlias = Callable[[int], AbstractContextManager[object]]


class Step(StrEnum):
    """How this process was told from the others."""

    OWN_PID = "own-pid"  # a: the list has our process number
    APPEARED = "appeared"  # b: one process appeared while CUDA started
    PROBE = "probe"  # c: one process grew by a known allocation
    DEVICE_DELTA = "device-delta"  # d: none of these; what the whole GPU took on since before CUDA started


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """What was on the GPU before this process started CUDA."""

    processes: ProcessList
    memory: GpuMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRow:
    """How this process is found in later lists."""

    step: Step
    pid: int | None = None  # as the list has it; None where it is not known, which only the device delta allows
    before: Footing | None = None  # None: CUDA had started before anyone looked
    reason: str | None = None  # why the earlier steps did not answer; None for the first


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMemory:
    """Bytes that this process holds on the GPU, and how they were told from those of others."""

    used_bytes: Reading
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherProcesses:
    """Who else has a compute context on the GPU."""

    processes: tuple[GpuProcess, ...] = ()  # those that are surely not this one
    at_least: int = 0  # how many there are, also where it is not known which
    reason: str | None = None  # why there may be more; None: that is all


def find_own(
    own_pid: int, before: Footing | None, list_processes: Callable[[], ProcessList], *, probe: Probe | None = None
) -> OwnRow:
    """Find this process in the driver's list, after CUDA started here.

    Args:
        own_pid: of this process, in its own numbering.
        before: from before CUDA started here; None where it had started already.
        list_processes: asks the driver.
        probe: for the third step; None leaves it out. A RuntimeError or MemoryError of it is a step that failed.

    """
    now = list_processes()
    if now.reason is not None:
        return OwnRow(step=Step.DEVICE_DELTA, before=before, reason=now.reason)
    known = _by_number(own_pid, before, now)
    if known is not None:
        row = now.of(known.pid)
        if row is not None and row.used_bytes is not None:
            return known
        reason = "the driver lists this process without its bytes"
        return OwnRow(step=Step.DEVICE_DELTA, pid=known.pid, before=before, reason=reason)
    unknown = "own process number not listed, and not exactly one process appeared with CUDA's start"
    if probe is None:
        return OwnRow(step=Step.DEVICE_DELTA, before=before, reason=unknown)
    try:
        with probe(PROBE_BYTES):
            during = list_processes()
    except (RuntimeError, MemoryError) as error:
        reason = f"{unknown}; the probe allocation failed: {type(error).__name__}"
        return OwnRow(step=Step.DEVICE_DELTA, before=before, reason=reason)
    grown = _that_grew(now, during)
    if len(grown) != 1:
        reason = f"{unknown}; {len(grown)} processes grew by the probe allocation"
        return OwnRow(step=Step.DEVICE_DELTA, before=before, reason=reason)
    return OwnRow(step=Step.PROBE, pid=grown[0], before=before, reason=unknown)


def _by_number(own_pid: int, before: Footing | None, now: ProcessList) -> OwnRow | None:
    """Return the row by the first two steps, with or without its bytes."""
    earlier = _earlier(before)
    appeared = [process.pid for process in now.processes if process.pid not in earlier]
    # A number that was there before, while another appeared, is a process of the host's with our number in a container.
    if now.of(own_pid) is not None and (own_pid in appeared or not appeared):
        return OwnRow(step=Step.OWN_PID, pid=own_pid, before=before)
    if before is None or before.processes.reason is not None or len(appeared) != 1:
        return None
    return OwnRow(step=Step.APPEARED, pid=appeared[0], before=before, reason="own process number not listed")


def _that_grew(without: ProcessList, during: ProcessList) -> list[int]:
    """Return the numbers of the processes that took on what the probe did."""
    grown = []
    for process in during.processes:
        earlier = without.of(process.pid)
        if process.used_bytes is None or earlier is None or earlier.used_bytes is None:
            continue
        if 0 <= process.used_bytes - earlier.used_bytes - PROBE_BYTES <= _PROBE_SLACK_BYTES:
            grown.append(process.pid)
    return grown


def _earlier(before: Footing | None) -> set[int]:
    return {process.pid for process in before.processes.processes} if before is not None else set()


def memory_of(own: OwnRow, processes: ProcessList, memory: GpuMemory) -> ProcessMemory:
    """Return what this process holds. A row that is gone or has no bytes is unknown, never 0."""
    if own.step is Step.DEVICE_DELTA:
        return ProcessMemory(used_bytes=_device_delta(own.before, memory), step=own.step)
    row = processes.of(own.pid)
    if row is not None and row.used_bytes is not None:
        return ProcessMemory(used_bytes=Reading(value=row.used_bytes), step=own.step)
    missing = "its bytes are missing" if row is not None else "it is no longer there"
    reason = processes.reason or f"this process was in the driver's list, and now {missing}"
    return ProcessMemory(used_bytes=Reading(reason=reason), step=own.step)


def _device_delta(before: Footing | None, memory: GpuMemory) -> Reading:
    now = memory.used_bytes
    if before is None:
        return Reading(reason="this process is not told apart, and CUDA had started before the GPU was first looked at")
    start = before.memory.used_bytes
    if now.value is None or start.value is None:
        return Reading(reason=now.reason or start.reason)
    if now.value < start.value:
        return Reading(reason="the GPU holds less than before CUDA started: another process freed memory")
    return Reading(value=int(now.value) - int(start.value))


def others(own: OwnRow, processes: ProcessList) -> OtherProcesses:
    """Return the processes on the GPU that are not this one, as far as that can be told."""
    if processes.reason is not None:
        return OtherProcesses(reason=processes.reason)
    if own.pid is not None:
        found = tuple(process for process in processes.processes if process.pid != own.pid)
        return OtherProcesses(processes=found, at_least=len(found))
    earlier = _earlier(own.before)
    found = tuple(process for process in processes.processes if process.pid in earlier)
    one_is_own = len(processes.processes) > len(found)
    return OtherProcesses(
        processes=found,
        at_least=len(processes.processes) - one_is_own,
        reason="which of the listed processes is this one is not known" if one_is_own else None,
    )
