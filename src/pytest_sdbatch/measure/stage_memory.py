"""Which stage takes the memory: the peak between the borders of stages, in a round that is not timed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pytest_sdbatch.devices.device import Device
from pytest_sdbatch.measure.stages import StageClock
from pytest_sdbatch.records import Reading

OTHER = "other"  # what lies outside the stages
_PEAKS = {"peak_allocated_bytes": "peak_allocated", "host_peak_bytes": "host_peak"}  # Device's, by Round's name


class StagePeaks:
    """Reads and resets the device's peak whenever a stage begins or ends.

    On a GPU the allocator counts when a kernel is queued, which is in the order of the stages whenever it runs: there
    is nothing to wait for.

    Args:
        device: has been reset last before the calls.
        stages: a clock that is attached to the pipeline; None: nobody tells the borders.

    """

    def __init__(self, device: Device, stages: StageClock | None) -> None:
        self._device = device
        self._stages = stages
        self._peaks: dict[str, int] = {}
        self._inside = OTHER
        self._reserved = 0
        self._unreleasable: int | None = None
        self.reason: str | None = None  # why the peaks are not known; None where they are

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the calls that are made while this is entered."""
        if self._stages is None:
            self.reason = "there is no pipeline whose stages could be told apart"
            yield
            self._read()
            return
        with self._stages.at_borders(self._cross):
            yield
        self._read()

    @property
    def by_stage(self) -> Mapping[str, int] | None:
        """The highest peak of each stage, bytes; None where the reason says why."""
        return self._peaks if self.reason is None else None

    @property
    def reserved_bytes(self) -> int | None:
        """The most that the allocator held; None on a device without one."""
        return self._reserved or None

    @property
    def unreleasable_bytes(self) -> int | None:
        """The most that lay unused and could not be given back; None on a device that does not tell.

        Where the driver goes on in the host's memory no request fails, so that all which the allocator holds is kept.
        """
        if self._unreleasable is not None and self._device.spills_beyond_bytes().value is not None:
            return max(self._reserved - max(self._peaks.values(), default=0), 0)
        return self._unreleasable

    def _cross(self, stage: str | None) -> None:
        self._read()
        self._device.reset_peaks()
        self._inside = stage or OTHER

    def _read(self) -> None:
        peak: Reading = getattr(self._device, _PEAKS[self._device.memory_source])()
        if peak.value is None:
            self.reason = self.reason or peak.reason or "the device does not tell"
        else:
            self._peaks[self._inside] = max(self._peaks.get(self._inside, 0), int(peak.value))
        self._reserved = max(self._reserved, int(self._device.peak_reserved().value or 0))
        between = self._device.peak_unreleasable().value
        if between is not None:
            self._unreleasable = max(self._unreleasable or 0, int(between))
