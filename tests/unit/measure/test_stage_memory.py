"""Which stage takes the memory, on a device that is told what each of them takes, and on a real CPU."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.measure.memory import measure_memory
from pytest_sdbatch.measure.stage_memory import StagePeaks
from pytest_sdbatch.measure.stages import StageClock
from pytest_sdbatch.records import Reading

MIB = 1 << 20


class Part:
    """A component that calls *work* when it is called."""

    def __init__(self, work: Any) -> None:
        self._work = work

    def __call__(self) -> None:
        """Work."""
        self._work()

    def forward(self) -> None:
        """Make it look like a network."""

    def state_dict(self) -> dict[str, object]:
        """Make it look like a network."""
        return {}


def pipeline(text: Any, denoise: Any) -> Any:
    """Return an object with two components."""
    return SimpleNamespace(text_encoder=Part(text), unet=Part(denoise))


class Work:
    """One call: encode, denoise twice, and something of its own after each."""

    def __init__(self, parts: Any, between: Any) -> None:
        self.parts = parts
        self.between = between

    def prepare(self) -> list[Any]:
        """Return the call."""
        return [self.call]

    def call(self) -> None:
        """Run the stages."""
        self.parts.text_encoder()
        self.between()
        self.parts.unet()
        self.parts.unet()


@pytest.fixture
def device() -> FakeDevice:
    """Return a device that counts bytes by images."""
    return FakeDevice(model_bytes=1_000, bytes_per_image=10, capacity_images=100)


def test_each_stage_has_its_own_peak(device: FakeDevice) -> None:
    """The highest of its calls, without what another stage or the code between them took."""
    sizes = iter((3, 7))
    parts = pipeline(lambda: device.generate(1), lambda: device.generate(next(sizes)))

    with StageClock(parts, device) as stages:
        made, reason = measure_memory(Work(parts, lambda: device.generate(2)), device, loading=None, stages=stages)

    assert reason is None
    assert made.stage_peak_bytes == {"other": 1_020, "text_encoder": 1_010, "denoiser": 1_070}
    assert made.stage_peak_reason is None
    assert made.reserved_bytes == 1_070
    assert made.limit_bytes == 1_000 + 100 * 10


def test_what_cannot_be_given_back_is_that_of_the_worst_stage() -> None:
    """Its peak is read at every border, as that of the tensors is."""

    class Split(FakeDevice):
        def peak_unreleasable(self) -> Reading:
            return Reading(value=(self.peak_allocated().value or 0) - 1_000)

    device = Split(model_bytes=1_000, bytes_per_image=10, capacity_images=100)
    parts = pipeline(lambda: device.generate(7), lambda: device.generate(3))
    with StageClock(parts, device) as stages:
        made, _ = measure_memory(Work(parts, lambda: device.generate(2)), device, loading=None, stages=stages)

    assert made.unreleasable_bytes == 70


def test_where_the_driver_spills_all_that_is_held_is_kept() -> None:
    """No request fails there, so that nothing is given back: 30 images were held for the 20 of the peak, say."""

    class Holding(FakeDevice):
        def peak_reserved(self) -> Reading:
            return Reading(value=1_300)

    device = Holding(model_bytes=1_000, bytes_per_image=10, capacity_images=100, spills_beyond_bytes=10**6)
    parts = pipeline(lambda: device.generate(20), lambda: device.generate(3))
    with StageClock(parts, device) as stages:
        made, _ = measure_memory(Work(parts, lambda: None), device, loading=None, stages=stages)

    assert made.reserved_bytes == 1_300
    assert made.unreleasable_bytes == 100


def test_borders_are_watched_in_the_memory_round_only(device: FakeDevice) -> None:
    """Resetting a peak in a timed round would cost time, and the round its own peak."""
    parts = pipeline(lambda: device.generate(1), lambda: device.generate(2))

    with StageClock(parts, device) as stages:
        measure_memory(Work(parts, lambda: None), device, loading=None, stages=stages)
        device.generate(50)
        parts.unet()

    assert device.peak_allocated().value == 1_500


def test_without_a_pipeline_there_are_no_stages(device: FakeDevice) -> None:
    """The whole is known still, and the reason stands where the split would."""
    work = Work(pipeline(lambda: None, lambda: device.generate(5)), lambda: None)

    made, _ = measure_memory(work, device, loading=None)

    assert made.stage_peak_bytes is None
    assert made.stage_peak_reason == "there is no pipeline whose stages could be told apart"
    assert made.reserved_bytes == 1_050


def test_a_device_that_does_not_tell_leaves_its_reason() -> None:
    """One reading that failed makes the split unknown, never too low."""

    class Silent(FakeDevice):
        def peak_allocated(self) -> Reading:
            return Reading(reason="the GPU is lost")

    parts = pipeline(lambda: None, lambda: None)
    device = Silent()
    with StageClock(parts, device) as stages:
        peaks = StagePeaks(device, stages)
        with peaks.watched():
            parts.unet()

    assert (peaks.by_stage, peaks.reason) == (None, "the GPU is lost")


def test_a_real_cpu_tells_the_stage_that_touched_the_memory() -> None:
    """64 MiB that the denoiser touched and freed are in its peak, and in no other."""
    device = CpuDevice()

    def touch() -> None:
        block = bytearray(64 * MIB)
        block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])

    parts = pipeline(lambda: None, touch)
    with StageClock(parts, device) as stages:
        made, _ = measure_memory(Work(parts, lambda: None), device, loading=None, stages=stages)
    if made.stage_peak_bytes is None:
        pytest.skip(str(made.stage_peak_reason))

    assert made.stage_peak_bytes["denoiser"] - made.stage_peak_bytes["text_encoder"] > 60 * MIB
    assert made.reserved_bytes is None
    assert made.unreleasable_bytes is None
