"""What follows from the runs of a learning study: a row for each batch size, both laws, and contrasts over seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_sdbatch.analysis.best_batch import BestBatch, best_batch
from pytest_sdbatch.analysis.convergence import Law, fit_law, points_of
from pytest_sdbatch.analysis.estimate import estimate_of
from pytest_sdbatch.analysis.learning_curve import End, ToTarget, gap_at, to_target
from pytest_sdbatch.analysis.learning_runs import Part, StepMemory, Study, TrainingRun
from pytest_sdbatch.analysis.scaling import Bounds, Scaling, fit
from pytest_sdbatch.analysis.spread import Timing
from pytest_sdbatch.records import Reading

_FEWEST_SEGMENTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRow:
    """One batch size: what its runs took, over seeds. None where none of them reached the target."""

    batch_size: int
    batch_count: int  # batches of an epoch of all the data
    rate: float
    runs: int
    reached: int
    diverged: int
    best_loss: float  # the lowest of all its runs
    steps: Bounds | None
    examples: Bounds | None
    seconds: Bounds | None
    step_s: float | None  # None: no step was timed, as where the first ones diverged
    examples_per_s: float | None
    gap: float | None  # held-out minus train loss where the train loss was :attr:`Figures.gap_level`
    accuracy: Reading
    frechet: Reading
    joules_per_example: Reading
    memory: StepMemory | None  # None: of a study that did not read it

    @property
    def peak_bytes(self) -> int | None:
        """The highest memory of a step; None: not known."""
        return None if self.memory is None else self.memory.peak_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that tables and verdicts are made from."""

    rows: tuple[SizeRow, ...]
    law: Law | None
    no_law: str  # why there is none
    scaling: Scaling | None
    best: BestBatch | None
    gap_level: float | None  # the lowest train loss that all runs of the table passed

    @property
    def fastest(self) -> SizeRow | None:
        """The measured size that reached the target soonest in all its runs."""
        whole = [row for row in self.rows if row.seconds is not None and row.reached == row.runs]
        return min(whole, key=lambda row: _of(row.seconds), default=None)


def figures_of(study: Study) -> Figures:
    """Return what follows from *study*."""
    table = study.of(Part.TABLE)
    level = _gap_level(table)
    scaling = scaling_of(table)
    law, reason = law_of(table, study.target)
    best = None if law is None or scaling is None else best_batch(law, scaling.curve, scaling.half_saturation)
    return Figures(
        rows=tuple(_row(study, size, level) for size in study.sizes),
        law=law,
        no_law=reason,
        scaling=scaling,
        best=best,
        gap_level=level,
    )


def law_of(runs: Sequence[TrainingRun], target: float) -> tuple[Law | None, str]:
    """Return the law of examples through *runs* of constant sizes; None, and why, where they give none."""
    reached: dict[int, list[float]] = {}
    for run in runs:
        found = took(run, target)
        if found.examples is not None and found.examples > 0:
            reached.setdefault(run.batch_size, []).append(found.examples)
    if len(reached) < 2:
        return (
            None,
            f"{len(reached)} batch size{'' if len(reached) == 1 else 's'} reached the target, and a line takes 2",
        )
    points, freedom = points_of(reached)
    return fit_law(points, freedom=freedom), ""


def scaling_of(runs: Sequence[TrainingRun]) -> Scaling | None:
    """Return the line of seconds a step, by the clock of the study; None: fewer than two sizes."""
    segments: dict[int, list[float]] = {}
    for run in runs:
        segments.setdefault(run.batch_size, []).extend(step_seconds(run))
    usable = {size: values for size, values in segments.items() if len(values) >= _FEWEST_SEGMENTS}
    if len(usable) < 2:
        return None
    return fit([Timing(batch_size=size, runs=(tuple(values),)) for size, values in sorted(usable.items())])


def step_seconds(run: TrainingRun) -> list[float]:
    """Return the seconds of a step between each two evaluations of *run*, the first stretch left out: it warms up."""
    pairs = list(itertools.pairwise(run.evaluations))
    found = [(after.seconds - before.seconds) / (after.steps - before.steps) for before, after in pairs[1:] or pairs]
    return [seconds for seconds in found if seconds > 0]


def took(run: TrainingRun, target: float) -> ToTarget:
    """Return what *run* took to the target; a run that diverged took nothing that counts."""
    found = to_target(run.evaluations, target)
    return found if run.end is not End.DIVERGED else ToTarget(target=target, best_loss=found.best_loss)


def over_seeds(values: Sequence[float]) -> Bounds | None:
    """Return the mean of values above 0 in logarithms, with Student's 95 % limits over seeds; None: no value."""
    if not values:
        return None
    found = estimate_of([math.log(value) for value in values])
    if not found.freedom:
        return Bounds(estimate=math.exp(found.mean))
    return Bounds(estimate=math.exp(found.mean), low=math.exp(found.lower), high=math.exp(found.upper))


def contrast(
    one: Sequence[TrainingRun], other: Sequence[TrainingRun], read: Callable[[TrainingRun], float | None]
) -> Bounds | None:
    """Return *read* of *one* over that of *other*, paired by seed, with 95 % limits; None: no seed has both."""
    values, others = _by_seed(one, read), _by_seed(other, read)
    return over_seeds([values[seed] / others[seed] for seed in values if seed in others])


def difference(
    one: Sequence[TrainingRun], other: Sequence[TrainingRun], read: Callable[[TrainingRun], float | None]
) -> Bounds | None:
    """Return *read* of *one* minus that of *other*, paired by seed, with 95 % limits; None: no seed has both."""
    values, others = _by_seed(one, read, positive=False), _by_seed(other, read, positive=False)
    apart = [values[seed] - others[seed] for seed in values if seed in others]
    if not apart:
        return None
    found = estimate_of(apart)
    if not found.freedom:
        return Bounds(estimate=found.mean)
    return Bounds(estimate=found.mean, low=found.lower, high=found.upper)


def ratio_of(first: Bounds, second: Bounds) -> Bounds | None:
    """Return *first* over *second*, the distances to their limits joined in logarithms; None: a limit is missing."""
    known = (first.estimate, first.low, first.high, second.estimate, second.low, second.high)
    if any(value is None or value <= 0 for value in known):
        return None
    a, a_low, a_high, b, b_low, b_high = (math.log(value) for value in known if value is not None)
    centre = a - b
    return Bounds(
        estimate=math.exp(centre),
        low=math.exp(centre - math.hypot(a - a_low, b_high - b)),
        high=math.exp(centre + math.hypot(a_high - a, b - b_low)),
    )


def of_size(runs: Sequence[TrainingRun], size: int) -> tuple[TrainingRun, ...]:
    """Return those of *runs* that began with *size*."""
    return tuple(run for run in runs if run.batch_size == size)


def _by_seed(
    runs: Sequence[TrainingRun], read: Callable[[TrainingRun], float | None], *, positive: bool = True
) -> Mapping[int, float]:
    found = {run.seed: read(run) for run in runs}
    return {seed: value for seed, value in found.items() if value is not None and (value > 0 or not positive)}


def _gap_level(runs: Sequence[TrainingRun]) -> float | None:
    lowest = [
        min(evaluation.train_loss for evaluation in run.evaluations) for run in runs if run.end is not End.DIVERGED
    ]
    return max(lowest, default=None)


def _row(study: Study, size: int, level: float | None) -> SizeRow:
    runs = of_size(study.of(Part.TABLE), size)
    found = [took(run, study.target) for run in runs]
    seconds = [value for run in runs for value in step_seconds(run)]
    step_s = math.exp(math.fsum(map(math.log, seconds)) / len(seconds)) if seconds else None
    gaps = [gap for run in runs if level is not None and (gap := gap_at(run.evaluations, level)) is not None]
    return SizeRow(
        batch_size=size,
        batch_count=study.data.batches_of(size),
        rate=runs[0].rate,
        runs=len(runs),
        reached=sum(one.reached for one in found),
        diverged=sum(run.end is End.DIVERGED for run in runs),
        best_loss=min(one.best_loss for one in found),
        steps=over_seeds([one.steps for one in found if one.steps]),
        examples=over_seeds([one.examples for one in found if one.examples]),
        seconds=over_seeds([one.seconds for one in found if one.seconds]),
        step_s=step_s,
        examples_per_s=None if step_s is None else size / step_s,
        gap=math.fsum(gaps) / len(gaps) if gaps else None,
        accuracy=_mean([run.quality.accuracy for run in runs if run.quality]),
        frechet=_mean([run.quality.frechet for run in runs if run.quality]),
        joules_per_example=_mean([_each(run) for run in runs]),
        memory=next((one for one in study.memory if one.batch_size == size), None),
    )


def _each(run: TrainingRun) -> Reading:
    """Return the energy of *run* for each of its examples."""
    examples = run.evaluations[-1].examples
    if run.joules.value is None or not examples:
        return Reading(reason=run.joules.reason or "no step was made")
    return Reading(value=run.joules.value / examples)


def _mean(readings: Sequence[Reading]) -> Reading:
    known = [reading.value for reading in readings if reading.value is not None]
    if not known:
        return Reading(reason=readings[0].reason if readings else "no run ended with a network to judge")
    return Reading(value=math.fsum(known) / len(known))


def _of(bounds: Bounds | None) -> float:
    return math.inf if bounds is None or bounds.estimate is None else bounds.estimate
