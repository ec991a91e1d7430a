"""What training takes of its device besides seconds: peaks of memory by phase, and energy."""

from __future__ import annotations

from pytest_sdbatch.analysis.learning_runs import Part, StepMemory, Study
from pytest_sdbatch.devices.device import Device
from pytest_sdbatch.records import Reading
from pytest_sdbatch.training.loop import Learner
from pytest_sdbatch.training.schedules import Stage
from pytest_sdbatch.training.task import DenoisingTask


class Meter:
    """Reads *device* for a study that runs there."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def energy(self) -> Reading:
        """Return the energy that the device has used, millijoules from an arbitrary start."""
        return self._device.energy_millijoules()

    def memory_of(self, study: Study, task: DenoisingTask) -> tuple[StepMemory, ...]:
        """Return the peaks of the sizes of the table of *study*, which learned *task*."""
        rates = {run.batch_size: run.rate for run in study.of(Part.TABLE)}
        return tuple(self.memory(task, batch_size=size, rate=rate) for size, rate in sorted(rates.items()))

    def memory(self, task: DenoisingTask, *, batch_size: int, rate: float) -> StepMemory:
        """Return the peaks of one step of a network of its own, in the measure that the device calls peak memory.

        A step goes before it: the optimizer makes its state in its first one.
        """
        device = self._device
        learner = Learner(task, seed=0)
        learner.advance(Stage(batch_size=batch_size, batch_count=None, rate=rate, until_examples=batch_size))
        read = device.peak_allocated if device.memory_source == "peak_allocated_bytes" else device.host_peak
        peaks: dict[str, int] = {}
        reasons: list[str] = []

        def ended(phase: str) -> None:
            device.synchronize()
            found = read()
            if found.value is None:
                reasons.append(found.reason or "the device does not tell")
            else:
                peaks[phase] = int(found.value)
            device.reset_peaks()

        device.release_memory()
        device.reset_peaks()
        learner.step_by_phase(batch_size, ended)
        return StepMemory(
            batch_size=batch_size,
            measure=device.memory_source,
            phase_bytes={} if reasons else peaks,
            reason=reasons[0] if reasons else "",
        )
