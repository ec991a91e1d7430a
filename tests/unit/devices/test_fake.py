"""The device on a virtual clock."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_sdbatch.devices.device import Device
from pytest_sdbatch.devices.fake import FakeDevice, OutOfMemory


def test_a_call_takes_its_fixed_part_and_its_images() -> None:
    """T = a + c b, exactly."""
    device: Device = FakeDevice(seconds_per_call=0.5, seconds_per_image=0.25)
    assert isinstance(device, FakeDevice)
    device.generate(4)

    assert device.wall_s() == device.cpu_s() == 1.5


def test_noise_and_cold_start_change_the_seconds_of_a_call() -> None:
    """Factors are used in turn; the extra of the first call is not scaled and comes once."""
    device = FakeDevice(seconds_per_call=1.0, seconds_per_image=0.0, noise=(1.0, 2.0), first_call_extra_s=5.0)
    ends = []
    for _ in range(3):
        device.generate(1)
        ends.append(device.wall_s())

    assert ends == [6.0, 8.0, 9.0]


def test_more_images_than_fit_raise_and_take_no_time() -> None:
    """Capacity is a number of images; the error is one that the device itself recognizes."""
    device = FakeDevice(capacity_images=2)
    device.generate(2)
    before = device.wall_s()
    with pytest.raises(OutOfMemory, match="3 images where 2 fit") as caught:
        device.generate(3)

    assert device.is_out_of_memory(caught.value)
    assert not device.is_out_of_memory(RuntimeError("something else"))
    assert device.wall_s() == before


def test_work_of_an_asynchronous_device_is_only_awaited_by_synchronizing() -> None:
    """A call returns when it is queued, and waiting costs no CPU time."""
    device = FakeDevice(seconds_per_call=1.0, seconds_per_image=0.0, asynchronous=True, launch_s=0.125)
    start = device.mark()
    device.generate(1)
    device.generate(1)
    queued = device.wall_s()
    end = device.mark()
    device.synchronize()

    assert queued == device.cpu_s() == 0.25
    assert device.wall_s() == 0.125 + 2.0
    assert device.seconds_between(start, end) == 2.125


def test_the_peak_follows_the_largest_batch_since_the_reset() -> None:
    """Model bytes and images; a reset leaves the model."""
    device = FakeDevice(model_bytes=1_000, bytes_per_image=10)
    device.generate(8)
    device.generate(2)
    peak = device.peak_allocated().value
    device.reset_peaks()

    assert peak == 1_080
    assert device.peak_allocated().value == device.used_bytes().value == 1_000
    assert device.host_peak().reason


def test_free_bytes_are_unknown_without_a_capacity() -> None:
    """Unknown is None with a reason."""
    assert FakeDevice(capacity_images=3, bytes_per_image=10).free_bytes().value == 30
    assert FakeDevice().free_bytes().value is None
    assert FakeDevice().free_bytes().reason


def test_a_batch_is_a_number_or_an_object_with_prompts() -> None:
    """What a benchmark's callable is given can be passed on as it is."""
    device = FakeDevice()

    assert len(device.generate(SimpleNamespace(prompts=("a", "b", "c")))) == 3  # type: ignore[arg-type]


def test_sensors_tell_what_they_were_set_to() -> None:
    """In the driver's units; what was not set is unknown with a reason."""
    device = FakeDevice()
    sensors = device.sensors
    sensors.energy_joules, sensors.sw_thermal_s, sensors.temperature_celsius, sensors.neighbours = 1.5, 0.25, 71, 2
    told = device.boundary()

    assert told.energy_millijoules.value == device.energy_millijoules().value == 1500
    assert (told.sw_thermal_ns.value, told.temperature_celsius.value) == (250_000_000, 71)
    assert device.processes().foreign.value == 2
    assert told.hw_thermal_ns.value is None
    assert told.hw_thermal_ns.reason == told.xids.reason == FakeDevice().processes().foreign.reason


def test_faults_are_told_once() -> None:
    """A driver's queue of faults is emptied by reading it."""
    device = FakeDevice()
    device.sensors.xids = [13]
    first = device.boundary().xids.numbers
    device.sensors.xids += [31]

    assert (first, device.boundary().xids.numbers, device.boundary().xids.numbers) == ((13,), (31,), ())


def test_work_takes_energy() -> None:
    """Watts times the seconds of work, from 0; what the sensors are set to is gone on from."""
    device = FakeDevice(seconds_per_call=0.5, seconds_per_image=0.25, watts=100.0)
    start = device.energy_millijoules().value
    device.generate(2)

    assert (start, device.energy_millijoules().value) == (0, 100_000)


def test_memory_in_use_is_what_is_held_with_context_and_neighbours() -> None:
    """The allocator keeps what a large batch took until it is released; the context is there from the start on."""
    device = FakeDevice(model_bytes=1_000, bytes_per_image=10, context_bytes=300, spills_beyond_bytes=5_000)
    device.sensors.neighbour_bytes = 7
    unstarted = device.in_use_bytes().value
    context = device.start()
    device.sensors.neighbour_bytes = 8
    device.generate(4)
    device.reset_peaks()
    held = device.in_use_bytes().value
    own = device.processes().own_bytes.value
    device.release_memory()

    assert unstarted == 1_007
    assert (context.before.value, context.after.value) == (7, 307)
    assert device.start() == context
    assert (held, own, device.in_use_bytes().value) == (1_348, 1_340, 1_308)
    assert device.spills_beyond_bytes().value == 5_000
    assert FakeDevice().spills_beyond_bytes().reason
