"""One case on one pipeline: its rounds, and its memory round, with what the target raised as a value."""

from __future__ import annotations

from collections.abc import Callable

from pytest_sdbatch.analysis.location import location_s
from pytest_sdbatch.devices.device import Device
from pytest_sdbatch.measure.boundaries import Watch
from pytest_sdbatch.measure.loop import Measurement, measure
from pytest_sdbatch.measure.memory import Loading, measure_memory
from pytest_sdbatch.measure.stages import StageClock
from pytest_sdbatch.measure.stopping import Rules
from pytest_sdbatch.measure.workload import Workload
from pytest_sdbatch.pipelines import variants
from pytest_sdbatch.records import Compilation, MemoryRound, Reading, Round, StopReason


class Attempt:
    """Measuring one case, once or, beside another pipeline that had to leave, twice."""

    def __init__(
        self,
        device: Device,
        workload: Workload,
        rules: Rules,
        *,
        compiled: bool,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._device = device
        self._workload = workload
        self._rules = rules
        self._tell = tell
        self.compiled = compiled
        self.error: Exception | None = None
        self.fault: str | None = None  # of the device, in the memory round
        self._graphs_before_rounds = 0
        self._recompiles = 0

    def run(self, stages: StageClock | None, *, warm: bool) -> Measurement:
        """Measure; an exception of the target ends the rounds, keeps those before it, and stays in ``error``."""
        __tracebackhide__ = True  # here and below: a traceback shows the user's code, not ours
        rounds: list[Round] = []
        try:
            result = measure(
                self._workload,
                self._device,
                self._rules,
                warm=warm,
                stages=stages,
                on_warm=self._count_graphs,
                on_round=rounds.append,
                tell=self._tell,
                agree=self._workload.agree,
            )
            # Now: the memory round is none of the timed ones.
            self._recompiles = variants.compiled_graphs() - self._graphs_before_rounds if self.compiled else 0
            return result
        except Exception as error:  # noqa: BLE001 - it is an outcome, and the caller raises it
            self.error = error
        return Measurement(
            rounds=tuple(rounds),
            warmup_s=(),
            cold_start_s=Reading(reason="the target raised"),
            stopped=StopReason.FAILED,
            stages="the target raised",
        )

    def memory_round(
        self, result: Measurement, loading: Loading | None, stages: StageClock | None = None, *, wanted: bool
    ) -> tuple[MemoryRound | None, str | None]:
        """Make the memory round after the rounds of *result*; return it, and why there is none or it ended early."""
        __tracebackhide__ = True
        if not wanted:
            return None, "left out (memory_round=no)"
        if result.failure is not None or self.error is not None:
            return None, "the rounds did not end"
        if self._tell is not None:
            self._tell("memory round")
        watch = Watch(self._device)
        try:
            return measure_memory(self._workload, self._device, loading=loading, stages=stages)
        except Exception as error:  # noqa: BLE001 - as in the rounds
            self.error = error
        finally:
            self.fault = watch.fault()
        return None, "the target raised"

    def compilation(self, result: Measurement) -> Compilation | None:
        """Return what compiling cost: what the first call took on top of a call of the rounds."""
        if not self.compiled or not result.rounds or not result.warmup_s:
            return None
        call_s = location_s([round_.wall_s for round_ in result.rounds]) / self._workload.calls
        return Compilation(
            seconds=max(result.warmup_s[0] - call_s, 0.0),
            graphs=self._graphs_before_rounds,
            recompiles_in_rounds=self._recompiles,
        )

    def _count_graphs(self) -> None:
        self._graphs_before_rounds = variants.compiled_graphs() if self.compiled else 0
