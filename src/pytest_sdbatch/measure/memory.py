"""The memory round: one more round, not timed, in which a thread reads how much memory is in use."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Protocol

from pytest_sdbatch import units
from pytest_sdbatch.devices import host
from pytest_sdbatch.devices.device import ContextMemory, Device
from pytest_sdbatch.measure.loop import described
from pytest_sdbatch.measure.stage_memory import StagePeaks
from pytest_sdbatch.measure.stages import StageClock
from pytest_sdbatch.measure.workload import Calls
from pytest_sdbatch.records import MemoryRound, Reading

PERIOD_S = 0.015
MOST_POINTS = 250  # of a time line: what a plot can show; more would make files of many cases too large to read
# What libraries take on the device beside torch's allocator after the context was made: their code is loaded when used.
_LIBRARIES_BYTES = 512 << 20
_UNLOADED = Reading(reason="the plugin did not load the pipeline")


class Loading(Protocol):
    """What was read when a pipeline was loaded."""

    @property
    def before_load(self) -> Reading:
        """Bytes in use before."""
        ...

    @property
    def after_load(self) -> Reading:
        """Bytes in use after."""
        ...


def measure_memory(
    workload: Calls,
    device: Device,
    *,
    loading: Loading | None,
    stages: StageClock | None = None,
    every_s: float = PERIOD_S,
) -> tuple[MemoryRound, str | None]:
    """Make the calls of one round while a thread reads the memory in use; return that, and why it ended early.

    Running out of memory ends the round and is the reason; whatever else a call raises passes through.

    Args:
        workload: gives the calls.
        device: where they run; it has been started.
        loading: of the pipeline, where the plugin loaded it.
        stages: a clock that is attached to the pipeline, if there is one.
        every_s: seconds between two readings.

    """
    __tracebackhide__ = True
    device.release_memory()  # what earlier rounds left with the allocator is not what this case needs
    device.reset_peaks()
    reason: str | None = None
    limit_bytes, peaks, calls = _limit(device), StagePeaks(device, stages), workload.prepare()
    with _Sampler(device, every_s) as sampler:
        try:
            with peaks.watched():
                for call in calls:
                    call()  # its output is not kept: those of the last timed round are held all the while
            device.synchronize()
        except Exception as error:
            if not device.is_out_of_memory(error):
                raise
            reason = f"in the memory round: {described(error)}"
    if reason is not None:
        device.release_memory()  # after the except block, as in the loop
    context = device.start()
    after = sampler.read()  # a point of the time line too: no figure of the round lies above its peak
    time_s, used_bytes = thinned(sampler.points, MOST_POINTS)
    peak = Reading(value=max(used_bytes)) if used_bytes else Reading(reason=sampler.reason)
    return MemoryRound(
        scope=device.memory_scope,
        before_context=context.before,
        context=context.after,
        before_load=_UNLOADED if loading is None else loading.before_load,
        loaded=_UNLOADED if loading is None else loading.after_load,
        peak=peak,
        after=after,
        time_s=time_s,
        used_bytes=used_bytes,
        energy_updates=sampler.energy_updates,
        mark=_mark(device, peak, context, peaks.reserved_bytes),
        stage_peak_bytes=peaks.by_stage,
        stage_peak_reason=peaks.reason,
        limit_bytes=limit_bytes,
        reserved_bytes=peaks.reserved_bytes,
        unreleasable_bytes=peaks.unreleasable_bytes,
        **_address_space(),
    ), reason


def _limit(device: Device) -> int | None:
    """Return what this process uses of the device's memory, and what it could still take."""
    used, free = device.used_bytes().value, device.free_bytes().value
    return None if used is None or free is None else int(used + free)


def _address_space() -> dict[str, int | None]:
    """Return what this process has taken of its address space, and the limit; nothing where there is no limit."""
    space = host.HostMemory().address_space()
    if space.limit.value is None:
        return {}
    return {"address_space_bytes": _bytes(space.peak), "address_space_limit_bytes": _bytes(space.limit)}


def thinned(points: Sequence[tuple[float, int]], most: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return times and bytes of at most *most* of *points*, at least 3: the first, the last, and peaks between them."""
    kept = list(points)
    if len(kept) > most:
        inner, groups = kept[1:-1], most - 2
        edges = [len(inner) * index // groups for index in range(groups + 1)]
        highest = [max(inner[low:high], key=lambda point: point[1]) for low, high in itertools.pairwise(edges)]
        kept = [kept[0], *highest, kept[-1]]
    # Whole milliseconds: the thread wakes no more exactly than that, and digits make files large.
    return tuple(round(time_s, 3) for time_s, _ in kept), tuple(used for _, used in kept)


class _Sampler:
    """Reads the memory in use when it is entered, every so often in a thread of its own, and when it is left."""

    def __init__(self, device: Device, every_s: float) -> None:
        self.points: list[tuple[float, int]] = []
        self.reason: str | None = None  # why a reading failed
        self._energies: set[float] = set()
        self._device = device
        self._every_s = every_s
        self._start_s = device.wall_s()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sdbatch-memory", daemon=True)

    @property
    def energy_updates(self) -> int | None:
        """How often the energy counter moved between two readings; None where there is none."""
        return len(self._energies) - 1 if self._energies else None

    def __enter__(self) -> _Sampler:
        self.read()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.read()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self.read()

    def read(self) -> Reading:
        """Return the memory in use, and keep it as a point."""
        time_s, used = self._device.wall_s() - self._start_s, self._device.in_use_bytes()
        if used.value is None:
            self.reason = used.reason
        else:
            self.points.append((time_s, int(used.value)))
        energy = self._device.energy_millijoules()
        if energy.value is not None:
            self._energies.add(energy.value)
        return used


def _bytes(reading: Reading) -> int | None:
    return None if reading.value is None else int(reading.value)


def _mark(device: Device, peak: Reading, context: ContextMemory, reserved: int | None) -> str | None:
    """Return what does not fit together: the peak in use, the context, and the peak that torch's allocator held."""
    if device.memory_scope != "device" or peak.value is None or reserved is None:
        return None
    if peak.value < reserved:
        return (
            f"the driver tells of {units.memory(peak.value)} in use where torch's allocator alone held "
            f"{units.memory(reserved)}: it is another device's figure, or leaves this process out"
        )
    if context.after.value is None:
        return None
    rest = peak.value - context.after.value - reserved
    if rest <= _LIBRARIES_BYTES:
        return None
    return f"foreign or non-torch memory: {units.memory(rest)} beside the context and torch's allocator"
