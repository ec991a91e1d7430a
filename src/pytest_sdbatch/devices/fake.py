"""A device on a virtual clock, for tests: ours, and those of projects that use the plugin.

Nothing waits: a call that "takes" a second returns at once and moves the clock by one. What a measurement reports can
therefore be compared with the truth exactly.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Mapping, Sequence

from pytest_sdbatch.devices.counters import Boundary
from pytest_sdbatch.devices.device import Breakdown, ContextMemory, Processes
from pytest_sdbatch.devices.gpu import Xids
from pytest_sdbatch.devices.out_of_memory import says_out_of_memory
from pytest_sdbatch.records import Fact, Reading

_UNSET = "this fake device was not told"


class OutOfMemory(RuntimeError):
    """More images at once than a :class:`FakeDevice` holds."""


class FakeSensors:
    """What a :class:`FakeDevice` tells of itself besides time: set an attribute when it shall change; None is unknown.

    Attributes:
        energy_joules: taken so far; a device with ``watts`` adds to it.
        sw_power_cap_s: for so long in all the power limit held the clocks down.
        sw_thermal_s: for so long heat did, by the driver.
        hw_thermal_s: for so long heat did, by the hardware.
        hw_power_brake_s: for so long a signal of the power supply did.
        temperature_celsius: now.
        sm_clock_mhz: now.
        ecc_uncorrected: memory errors so far that ECC could not correct.
        xids: numbers of the driver's critical errors so far.
        neighbours: other processes that use the device now.
        neighbour_bytes: their memory now, or any that is not torch's; 0, and not None, for none.

    Energy, the four times and the errors are cumulative: a round, or a case, has what was added meanwhile.

    """

    def __init__(self) -> None:
        self.energy_joules: float | None = None
        self.sw_power_cap_s: float | None = None
        self.sw_thermal_s: float | None = None
        self.hw_thermal_s: float | None = None
        self.hw_power_brake_s: float | None = None
        self.temperature_celsius: int | None = None
        self.sm_clock_mhz: int | None = None
        self.ecc_uncorrected: int | None = None
        self.xids: list[int] | None = None
        self.neighbours: int | None = None
        self.neighbour_bytes = 0


class FakeDevice:
    """A device whose calls take ``seconds_per_call + seconds_per_image * images``.

    Args:
        seconds_per_call: fixed part of a call.
        seconds_per_image: what each image of the batch adds.
        first_call_extra_s: what the first call takes on top: the cold start.
        noise: factors on the seconds of a call, used in turn.
        capacity_images: images that fit; more raise :class:`OutOfMemory`. None: any number.
        model_bytes: in use before any call.
        bytes_per_image: what each image of a batch adds to the peak.
        asynchronous: whether work is queued and only awaited by :meth:`synchronize`, as on a GPU.
        launch_s: host seconds to queue a call; only where *asynchronous*.
        lease_name: under which no two processes may use it at once.
        watts: what work takes, counted in ``sensors.energy_joules``. None: energy stays what the sensors say.
        context_bytes: in use from :meth:`start` on.
        spills_beyond_bytes: memory of a device whose driver moves to the host's what goes beyond. None: it fails.
        name: what it is called on screen and in records; that of ``--sd-device``.

    What else it tells is set in ``sensors``, a :class:`FakeSensors`.

    """

    kind = "fake"
    memory_source = "peak_allocated_bytes"
    memory_scope = "device"

    def __init__(
        self,
        *,
        seconds_per_call: float = 0.01,
        seconds_per_image: float = 0.1,
        first_call_extra_s: float = 0.0,
        noise: Sequence[float] = (1.0,),
        capacity_images: int | None = None,
        model_bytes: int = 1 << 30,
        bytes_per_image: int = 1 << 20,
        asynchronous: bool = False,
        launch_s: float = 0.0,
        lease_name: str | None = None,
        watts: float | None = None,
        context_bytes: int = 0,
        spills_beyond_bytes: int | None = None,
        name: str = "fake",
    ) -> None:
        self.sensors = FakeSensors()
        self._seconds_per_call = seconds_per_call
        self._seconds_per_image = seconds_per_image
        self._extra_s = first_call_extra_s
        self._noise = itertools.cycle(noise)
        self._capacity_images = capacity_images
        self._model_bytes = model_bytes
        self._bytes_per_image = bytes_per_image
        self._asynchronous = asynchronous
        self._launch_s = launch_s
        self.name = name
        self.lease_name = lease_name
        self._breakdown: Breakdown | None = None
        self._now_s = 0.0
        self._cpu_s = 0.0
        self._idle_from_s = 0.0  # when the queue is empty
        self._peak_bytes = model_bytes
        self._held_bytes = model_bytes  # as an allocator that keeps what was freed
        self._watts = watts
        self.sensors.energy_joules = None if watts is None else 0.0
        self._context_bytes = context_bytes
        self._started: ContextMemory | None = None
        self._spills_beyond_bytes = spills_beyond_bytes
        self._xids_told = 0

    def start(self) -> ContextMemory:
        """Take the bytes of the context."""
        if self._started is None:
            before = self.sensors.neighbour_bytes
            self._started = ContextMemory(
                before=Reading(value=before), after=Reading(value=before + self._context_bytes)
            )
        return self._started

    def advance(self, seconds: float) -> None:
        """Let the host work for *seconds*."""
        self._now_s += seconds
        self._cpu_s += seconds

    def submit(self, seconds: float) -> None:
        """Give the device work for *seconds*: done at once, or queued where the device is asynchronous."""
        if self._watts is not None:
            self.sensors.energy_joules = (self.sensors.energy_joules or 0.0) + self._watts * seconds
        if self._asynchronous:
            self.advance(self._launch_s)
            self._idle_from_s = max(self._now_s, self._idle_from_s) + seconds
        else:
            self.advance(seconds)

    def break_down(self, reason: str, *, lost: bool = False) -> None:
        """Be unusable from now on, as a GPU is after an illegal memory access, or when it fell off the bus (*lost*)."""
        self._breakdown = Breakdown(reason=reason, lost=lost)

    def breakdown(self) -> Breakdown | None:
        """Return what :meth:`break_down` was told."""
        return self._breakdown

    def generate(self, batch: object) -> object:
        """Make the images of *batch*: a number of images, or an object with ``prompts``, one per image.

        Returns:
            A NumPy array of one row per image, which the check of outputs accepts.

        Raises:
            OutOfMemory: for more images than fit.
            RuntimeError: after :meth:`break_down`.

        """
        import numpy as np

        if self._breakdown is not None:
            raise RuntimeError(self._breakdown.reason)

        images = batch if isinstance(batch, int) else len(batch.prompts)  # type: ignore[attr-defined]
        if self._capacity_images is not None and images > self._capacity_images:
            raise OutOfMemory(f"fake device out of memory: {images} images where {self._capacity_images} fit")
        self._peak_bytes = max(self._peak_bytes, self._model_bytes + images * self._bytes_per_image)
        self._held_bytes = max(self._held_bytes, self._peak_bytes)
        extra_s, self._extra_s = self._extra_s, 0.0
        self.submit((self._seconds_per_call + self._seconds_per_image * images) * next(self._noise) + extra_s)
        return np.tile(np.array([0.25, 0.75], dtype=np.float32), (images, 1))

    def wall_s(self) -> float:
        """Return the virtual clock."""
        return self._now_s

    def cpu_s(self) -> float:
        """Return the virtual seconds the host worked; waiting for the device is none."""
        return self._cpu_s

    def synchronize(self) -> None:
        """Move the clock to the end of the queue."""
        self._now_s = max(self._now_s, self._idle_from_s)

    def mark(self) -> float:
        """Return when the device will reach this point of its queue."""
        return max(self._now_s, self._idle_from_s)

    def seconds_between(self, start: float, end: float) -> float:
        """Return the seconds from one mark to a later one."""
        return end - start

    def reset_peaks(self) -> None:
        """Forget the peak of live bytes; what is held stays until it is released."""
        self._peak_bytes = self._model_bytes

    def peak_allocated(self) -> Reading:
        """Return the model's bytes and those of the largest batch since the reset."""
        return Reading(value=self._peak_bytes)

    def peak_reserved(self) -> Reading:
        """Return what is held: the most since it was last released."""
        return Reading(value=self._held_bytes)

    def peak_unreleasable(self) -> Reading:
        """Return 0: a fake allocator has no segments to split."""
        return Reading(value=0)

    def host_peak(self) -> Reading:
        """Return why there is no such figure."""
        return Reading(reason="a fake device has no host memory")

    def used_bytes(self) -> Reading:
        """Return the model's bytes."""
        return Reading(value=self._model_bytes)

    def in_use_bytes(self) -> Reading:
        """Return the bytes held, those of the context, and the neighbours'."""
        context_bytes = 0 if self._started is None else self._context_bytes
        return Reading(value=self._held_bytes + context_bytes + self.sensors.neighbour_bytes)

    def spills_beyond_bytes(self) -> Reading:
        """Return the limit that was given."""
        if self._spills_beyond_bytes is None:
            return Reading(reason="this fake device fails instead")
        return Reading(value=self._spills_beyond_bytes)

    def boundary(self) -> Boundary:
        """Return what the sensors say."""
        told, before = self.sensors, self._xids_told
        xids = told.xids or []
        self._xids_told = len(xids)
        return Boundary(
            energy_millijoules=self.energy_millijoules(),
            sw_power_cap_ns=_sensed(told.sw_power_cap_s, per_unit=10**9),
            sw_thermal_ns=_sensed(told.sw_thermal_s, per_unit=10**9),
            hw_thermal_ns=_sensed(told.hw_thermal_s, per_unit=10**9),
            hw_power_brake_ns=_sensed(told.hw_power_brake_s, per_unit=10**9),
            temperature_celsius=_sensed(told.temperature_celsius),
            sm_clock_mhz=_sensed(told.sm_clock_mhz),
            ecc_uncorrected=_sensed(told.ecc_uncorrected),
            xids=Xids(reason=_UNSET) if told.xids is None else Xids(numbers=tuple(xids[before:])),
        )

    def energy_millijoules(self) -> Reading:
        """Return what the sensors say."""
        return _sensed(self.sensors.energy_joules, per_unit=1000)

    def processes(self) -> Processes:
        """Return the neighbours that the sensors say."""
        own = self._held_bytes + (0 if self._started is None else self._context_bytes)
        return Processes(own_bytes=Reading(value=own), own_source="a fake", foreign=_sensed(self.sensors.neighbours))

    def free_bytes(self) -> Reading:
        """Return the bytes of the images that fit."""
        if self._capacity_images is None:
            return Reading(reason="this fake device has no end")
        return Reading(value=self._capacity_images * self._bytes_per_image)

    def release_memory(self) -> None:
        """Collect garbage and hold no more than the model's bytes."""
        gc.collect()
        self._held_bytes = self._model_bytes

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether *error* is :class:`OutOfMemory` or one of the host's."""
        return isinstance(error, OutOfMemory) or says_out_of_memory(error)

    def facts(self) -> Mapping[str, Mapping[str, Fact]]:
        """Return that it is a fake."""
        return {"must_match": {"device_kind": self.kind, "device_name": self.name}, "drift": {}, "shown": {}}


def _sensed(value: float | None, *, per_unit: int = 1) -> Reading:
    """Return *value* in whole numbers of its smaller unit, as a driver counts."""
    return Reading(reason=_UNSET) if value is None else Reading(value=round(value * per_unit))
