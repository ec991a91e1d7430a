"""A device on a virtual clock, for tests: ours, and those of projects that use the plugin.

Nothing waits: a call that "takes" a second returns at once and moves the clock by one. What a measurement reports can
therefore be compared with the truth exactly.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Mapping, Sequence

from pytest_sdbatch.devices.device import Breakdown
from pytest_sdbatch.devices.out_of_memory import says_out_of_memory
from pytest_sdbatch.records import Fact, Reading


class OutOfMemory(RuntimeError):
    """More images at once than a :class:`FakeDevice` holds."""


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
        name: what it is called on screen and in records; that of ``--sd-device``.

    """

    kind = "fake"
    memory_source = "peak_allocated_bytes"

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
        name: str = "fake",
    ) -> None:
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

    def advance(self, seconds: float) -> None:
        """Let the host work for *seconds*."""
        self._now_s += seconds
        self._cpu_s += seconds

    def submit(self, seconds: float) -> None:
        """Give the device work for *seconds*: done at once, or queued where the device is asynchronous."""
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
        """Forget the peak."""
        self._peak_bytes = self._model_bytes

    def peak_allocated(self) -> Reading:
        """Return the model's bytes and those of the largest batch since the reset."""
        return Reading(value=self._peak_bytes)

    def peak_reserved(self) -> Reading:
        """Return the same: a fake has no segments."""
        return Reading(value=self._peak_bytes)

    def host_peak(self) -> Reading:
        """Return why there is no such figure."""
        return Reading(reason="a fake device has no host memory")

    def used_bytes(self) -> Reading:
        """Return the model's bytes."""
        return Reading(value=self._model_bytes)

    def free_bytes(self) -> Reading:
        """Return the bytes of the images that fit."""
        if self._capacity_images is None:
            return Reading(reason="this fake device has no end")
        return Reading(value=self._capacity_images * self._bytes_per_image)

    def release_memory(self) -> None:
        """Collect garbage."""
        gc.collect()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether *error* is :class:`OutOfMemory` or one of the host's."""
        return isinstance(error, OutOfMemory) or says_out_of_memory(error)

    def facts(self) -> Mapping[str, Mapping[str, Fact]]:
        """Return that it is a fake."""
        return {"must_match": {"device_kind": self.kind, "device_name": self.name}, "drift": {}, "shown": {}}
