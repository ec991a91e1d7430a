"""How well what was not measured is foretold, on real pipelines of this machine: times of splits, and memory."""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.harness.report import Line
from benchmarks.harness.rounds import CASE
from pytest_sdbatch import units
from pytest_sdbatch.analysis.forecast import MEMORY, growths
from pytest_sdbatch.analysis.scaling import Scaling, fit
from pytest_sdbatch.analysis.spread import Timing
from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.measure import validity
from pytest_sdbatch.measure.loop import measure
from pytest_sdbatch.measure.memory import measure_memory
from pytest_sdbatch.measure.stages import StageClock
from pytest_sdbatch.measure.stopping import Rules
from pytest_sdbatch.pipelines.anatomy import hide_progress
from pytest_sdbatch.pipelines.catalog import ModelCatalog
from pytest_sdbatch.pipelines.generation import GenerationWorkload
from pytest_sdbatch.pipelines.pool import PipelinePool
from pytest_sdbatch.records import Outcome, Record, Round

TITLE = "Forecasts"
TIMES, MEMORIES = 0.10, 0.05  # allowed errors
PASSES = 3  # over all splits: a machine's speed wanders, and what is measured once is the speed of its minute
BESIDE = 0.05  # of the cases: so many may have been marked on a quiet machine
PROBES, TARGET = (4, 8), 64  # batch sizes of the memory
PIXELS = replace(CASE, height=384, width=384, steps=1)  # so that blocks are as large as those of real models


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A pipeline, the batch sizes that its curve is fitted to, and the splits whose time it foretells."""

    case: Case
    fitted: tuple[int, ...]
    images: tuple[int, ...]  # to make at each of *sizes*
    sizes: tuple[int, ...]
    rules: Rules  # of a pass

    @property
    def held_out(self) -> tuple[tuple[int, ...], ...]:
        """The calls of each split that is no measurement of the fit: ``(4, 4, 2)`` for 10 images at 4."""
        splits = {
            (size,) * (images // size) + ((images % size,) if images % size else ())
            for images in self.images
            for size in self.sizes
            if size <= images
        }
        return tuple(sorted(splits - {(size,) for size in self.fitted}))


TINY = Trial(
    case=CASE, fitted=(1, 2, 4, 8), images=(3, 6, 10, 12, 16), sizes=(1, 2, 3, 4, 6, 8, 12, 16), rules=Rules(rounds=2)
)
TRIALS = (
    TINY,
    replace(TINY, case=replace(CASE, height=256, width=256, steps=2)),
    Trial(
        case=replace(CASE, model="sd15", height=128, width=128, steps=1),
        fitted=(1, 2, 4),
        images=(3, 6, 8),
        sizes=(1, 2, 3, 4, 8),
        rules=Rules(rounds=1, warmup_calls=1),
    ),
)


@dataclass(frozen=True, slots=True)
class Split:
    """Calls of several batch sizes, one after another."""

    pipeline: object
    case: Case
    calls: tuple[int, ...]

    def prepare(self) -> list[Callable[[], object]]:
        """Return the calls of one round."""
        workloads = [GenerationWorkload(self.pipeline, replace(self.case, batch_size=size)) for size in self.calls]
        return [call for workload in workloads for call in workload.prepare()]


def run() -> list[Line]:
    """Measure, and return the findings."""
    return [*map(_times, TRIALS), _memory(mapped=False), _memory(mapped=True)]


def _times(trial: Trial) -> Line:
    device = CpuDevice()
    where = device.facts()["must_match"]
    pipeline = PipelinePool(device, ModelCatalog()).acquire(trial.case).pipeline
    hide_progress(pipeline)
    splits = [*((size,) for size in trial.fitted), *trial.held_out]
    dealer = random.Random(0)
    found: dict[tuple[int, ...], tuple[Round, ...]] = dict.fromkeys(splits, ())
    for number in range(PASSES):
        rules = trial.rules if number == 0 else replace(trial.rules, warmup_calls=1)  # its shapes are warm
        for calls in dealer.sample(splits, len(splits)):  # a machine that drifts spares neither kind
            found[calls] += measure(Split(pipeline, trial.case, calls), device, rules).rounds
    rounds = {calls: tuple(reading.wall_s for reading in made) for calls, made in found.items()}
    noticed = sum(validity.contention(made, where) is not None for made in found.values())
    curve = fit([Timing(batch_size=size, runs=(rounds[size,],)) for size in trial.fitted])
    errors = [_error(curve, calls, rounds[calls]) for calls in trial.held_out]
    beyond = [abs(error) for calls, error in zip(trial.held_out, errors, strict=True) if max(calls) > max(trial.fitted)]
    median = statistics.median(map(abs, errors))
    is_quiet = noticed <= BESIDE * len(splits)
    beside = f"; {noticed} of {len(splits)} cases beside other work" + (
        "" if is_quiet else ", so that it means nothing"
    )
    return Line(
        what=f"{trial.case.group_id}: seconds of {len(errors)} splits, from single calls of "
        f"{','.join(map(str, trial.fitted))} images",
        figure=f"off by {median:.1%} (median), {max(map(abs, errors)):.1%} at worst; "
        f"{statistics.median(beyond):.1%} (median) of the {len(beyond)} with larger calls{beside}",
        goal=f"median <= {TIMES:.0%}",
        met=median <= TIMES if is_quiet else None,
    )


def _error(curve: Scaling, calls: Sequence[int], seconds: Sequence[float]) -> float:
    truth = math.exp(statistics.fmean(map(math.log, seconds)))
    return (curve.total_s(calls).estimate or 0.0) / truth - 1


def _memory(*, mapped: bool) -> Line:
    """Foretell the resident peak of a large batch from two small ones, in a process of its own."""
    environment = {**os.environ, **({"MALLOC_MMAP_THRESHOLD_": "131072"} if mapped else {})}
    command = [sys.executable, "-m", "benchmarks.harness.forecasts"]
    said = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(said.splitlines()[-1])
    error = found["predicted"] / found["peaks"][-1] - 1
    *probes, truth = map(units.memory, found["peaks"])
    return Line(
        what=f"{PIXELS.group_id}: resident peak at {TARGET} images, from {' and '.join(map(str, PROBES))}"
        + (", small blocks mapped too" if mapped else ""),
        figure=f"{error:+.1%}: {units.memory(found['predicted'])} for {truth}, from {' and '.join(probes)}",
        goal=f"within {MEMORIES:.0%}",
        met=abs(error) <= MEMORIES,
    )


def predict_memory() -> str:
    """Return what was predicted and what the peaks were, as JSON."""
    device = CpuDevice()
    pipeline = PipelinePool(device, ModelCatalog()).acquire(PIXELS).pipeline
    hide_progress(pipeline)
    records = []
    with StageClock(pipeline, device) as stages:
        for size in (1, *PROBES, TARGET):  # what libraries map when they are first used is no part of a batch
            case = replace(PIXELS, batch_size=size)
            made, reason = measure_memory(GenerationWorkload(pipeline, case), device, loading=None, stages=stages)
            assert made is not None, reason
            records.append(
                Record(test="", case=case, outcome=Outcome.OK, memory_source="host_peak_bytes", memory_round=made)
            )
    growth = next(one for one in growths(records[1:-1]) if one.measure == MEMORY)
    peaks = [
        max((record.memory_round.stage_peak_bytes or {}).values()) for record in records[1:] if record.memory_round
    ]
    return json.dumps({"predicted": growth.needs(TARGET).estimate, "peaks": peaks})


if __name__ == "__main__":
    print(predict_memory())
