"""Stages that a workload announces itself, timed by the clock that times the components of a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from pytest_sdbatch.devices.device import Device
from pytest_sdbatch.measure.stages import StageClock
from pytest_sdbatch.measure.workload import Workload


class Announcing(Protocol):
    """What tells its stages: it makes each of them by ``timed(stage, call, ...)``, where that is given."""

    timed: Callable[..., Any] | None

    @property
    def phases(self) -> tuple[str, ...]:
        """Every stage that each of its calls has."""
        ...


class PhaseClock(StageClock):
    """Times the stages that *workload* announces."""

    def __init__(self, workload: Announcing, device: Device) -> None:
        super().__init__(workload, device)
        self._workload = workload

    def attach(self) -> None:
        """Have the workload report to this clock."""
        self._workload.timed = self.time
        self._undo.append(self._let_go)
        self._stages = self._workload.phases
        self._idle = True
        self.clear()

    def _let_go(self) -> None:
        self._workload.timed = None

    def _is_planned(self, stage: str) -> bool:
        return True


def stage_clock(workload: Workload, device: Device) -> AbstractContextManager[StageClock | None]:
    """Return the clock of the stages of *workload*, or None where it has none."""
    if workload.phases:
        return PhaseClock(workload, device)  # type: ignore[arg-type] # what has phases announces them
    if workload.pipeline is None:
        return nullcontext()
    return StageClock(workload.pipeline, device, output_type=workload.case.output_type)
