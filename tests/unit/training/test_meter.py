"""Memory and energy of a study's steps."""

from __future__ import annotations

import itertools

import pytest

from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.devices.host import HostMemory
from pytest_sdbatch.records import Reading
from pytest_sdbatch.training.loop import Learner
from pytest_sdbatch.training.meter import Meter
from pytest_sdbatch.training.schedules import Stage
from pytest_sdbatch.training.task import DenoisingTask


def stage(examples: int) -> Stage:
    """Return steps of 8 until so many examples were seen."""
    return Stage(batch_size=8, batch_count=None, rate=1e-3, until_examples=examples)


def test_each_phase_of_a_step_has_its_peak(task: DenoisingTask) -> None:
    """In the measure of the device: on a CPU what is resident, which is more than the network alone."""
    if HostMemory().peak().value is None:
        pytest.skip("this system does not tell")

    found = Meter(CpuDevice()).memory(task, batch_size=8, rate=1e-3)

    assert list(found.phase_bytes) == ["forward", "backward", "optimizer"]
    assert (found.batch_size, found.measure, found.reason) == (8, "host_peak_bytes", "")
    assert min(found.phase_bytes.values()) > 2**20
    assert found.peak_bytes == max(found.phase_bytes.values())


def test_a_peak_that_nobody_tells_has_a_reason(task: DenoisingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no number."""
    device = CpuDevice()
    monkeypatch.setattr(device, "host_peak", lambda: Reading(reason="no such file"))

    found = Meter(device).memory(task, batch_size=8, rate=1e-3)

    assert (found.peak_bytes, dict(found.phase_bytes), found.reason) == (None, {}, "no such file")


def test_energy_is_that_of_the_steps(task: DenoisingTask) -> None:
    """A counter that grows by 250 mJ from look to look: two stretches are half a joule, evaluations are left out."""
    counter = itertools.count(0, 250)
    learner = Learner(task, seed=0, energy=lambda: Reading(value=next(counter)))

    learner.advance(stage(16))
    learner.evaluate(None)
    learner.advance(stage(32))

    assert learner.joules == Reading(value=0.5)


def test_energy_of_a_device_without_a_meter_is_not_known(task: DenoisingTask) -> None:
    """The reason is the device's."""
    learner = Learner(task, seed=0, energy=Meter(CpuDevice()).energy)
    learner.advance(stage(16))

    assert learner.joules == Reading(reason="a CPU has no driver that tells it")
    assert Learner(task, seed=0).joules.value is None


def test_energy_goes_on_where_a_run_was_interrupted(task: DenoisingTask) -> None:
    """What was used before is in the state."""
    counter = itertools.count(0, 1000)
    first = Learner(task, seed=0, energy=lambda: Reading(value=next(counter)))
    first.advance(stage(16))
    again = Learner(task, seed=0, energy=lambda: Reading(value=next(counter)))
    again.restore(*first.state())
    again.advance(stage(32))

    assert again.joules == Reading(value=2.0)


def test_a_device_is_asked_for_its_own_energy() -> None:
    """In millijoules, as it counts."""
    device = FakeDevice()
    device.sensors.energy_joules = 1.5

    assert Meter(device).energy().value == pytest.approx(1500)
