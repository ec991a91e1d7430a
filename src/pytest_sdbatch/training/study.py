"""The learning study: the runs it takes, one after another, each kept as soon as it has ended."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from pytest_sdbatch.analysis.learning_curve import End, Evaluation, to_target
from pytest_sdbatch.analysis.learning_runs import (
    DataFacts,
    NoiseReading,
    Part,
    RatePolicy,
    RunKey,
    Study,
    TrainingRun,
    TunedRate,
)
from pytest_sdbatch.analysis.noise_scale import NoiseSplit
from pytest_sdbatch.devices.out_of_memory import says_out_of_memory
from pytest_sdbatch.errors import CannotRun, OptionError, SdbatchError
from pytest_sdbatch.records import Fact
from pytest_sdbatch.training.datasets import LearningData, parts_of, subset
from pytest_sdbatch.training.loop import Energy, Learner, clock_of, train
from pytest_sdbatch.training.noise_scale import checkpoints, read_noise, split_noise
from pytest_sdbatch.training.quality import Judge
from pytest_sdbatch.training.ramp import Ramp, rungs_of
from pytest_sdbatch.training.rates import RECORDED, Trial, are_recorded, rate_of, tune
from pytest_sdbatch.training.schedules import Constant, Goal, Schedule
from pytest_sdbatch.training.task import DenoisingTask

DIGITS_TARGET = 0.195
EPOCHS = 40  # examples that a run is given, over the images
TUNING_SEED = 1000  # no seed of a comparison, so that no run is judged by what its rate was chosen on
LOW_COUNT = 4
_RAMP_COUNT = 8
_PILOT_SLACK = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """What is to be found out, and how thoroughly."""

    data: LearningData
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    policy: RatePolicy
    reference: float | None = None  # learning rate at batch size 64, for the policies that scale one
    target: float | None = None  # held-out loss; None: found by a first run
    most_examples: int | None = None  # None: 40 times the images
    tune: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        if max(self.sizes) > self.data.train_count:
            raise OptionError(
                f"a batch of {max(self.sizes)} from {self.data.train_count} images",
                why=f"{self.data.name} has fewer images to train on than one batch takes",
                fix=f"name batch sizes up to {self.data.train_count}: --batch-sizes={self.data.train_count // 16 or 1},"
                f"{self.data.train_count // 4 or 1}",
            )

    @property
    def middle(self) -> int:
        """The size that other runs are compared with."""
        return self.sizes[len(self.sizes) // 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisePart:
    """What was read of gradients along one run."""

    readings: tuple[NoiseReading, ...]
    split: NoiseSplit | None  # None: the run diverged, or its gradients gave none


class Keeper(Protocol):
    """Where finished parts are kept, so that an interrupted study goes on."""

    def run(self, name: str) -> TrainingRun | None:
        """Return the finished run called *name*; None: it has not ended."""

    def keep_run(self, run: TrainingRun) -> None:
        """Keep a finished run."""

    def noise(self) -> NoisePart | None:
        """Return what was read of gradients; None: nothing yet."""

    def keep_noise(self, noise: NoisePart) -> None:
        """Keep what was read of gradients."""

    def state(self, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        """Return the state in which the run called *name* was interrupted; None: there is none."""

    def keep_state(self, name: str, tensors: Mapping[str, Any], numbers: Mapping[str, Any]) -> None:
        """Keep a state, over the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One run to be made."""

    key: RunKey
    schedule: Schedule


class StudyRunner:
    """Makes the runs of *plan*, telling of each, and gives the study that they are.

    Args:
        plan: what is to be found out.
        keeper: of finished parts.
        tell: given a line for each run.
        energy: reads the energy counter of the device, millijoules; None: nobody asks.

    """

    def __init__(self, plan: StudyPlan, keeper: Keeper, tell: Callable[[str], None], energy: Energy = None) -> None:
        self._plan, self._energy = plan, energy
        self._keeper = keeper
        self._tell = tell
        self._tasks: dict[str, DenoisingTask] = {}
        self._most = plan.most_examples or EPOCHS * plan.data.train_count
        self._rates: dict[int, TunedRate] = {}
        self._runs: dict[str, TrainingRun] = {}
        self._doing = "judging networks before any step"
        with self._within_memory():
            self.task = self._task("all")
            self.judge = Judge(self.task)
            # The lowest held-out loss before any step.
            self._start = min(self.task.judge(self.task.network(seed)).held_out for seed in plan.seeds)

    def run(self, *, started_at: str, command: str, facts: Mapping[str, Fact]) -> Study:
        """Return the whole study.

        Raises:
            OptionError: for a target that is met before any step, or data that give none.
            CannotRun: where memory does not do; what had ended is kept.

        """
        with self._within_memory():
            return self._study(started_at=started_at, command=command, facts=facts)

    def _study(self, *, started_at: str, command: str, facts: Mapping[str, Fact]) -> Study:
        plan = self._plan
        target = plan.target if plan.target is not None else self._pilot()
        if plan.target is not None and target >= self._start:
            raise OptionError(
                f"--target={target:g} is reached before any step",
                why=f"a network that has learned nothing has a held-out loss of {self._start:.3g}",
                fix=f"name a lower one, or leave it out: a first run then finds one below {self._start:.3g}",
            )
        goal = Goal(target=target, most_examples=self._most)
        if plan.tune:
            for size in plan.sizes:
                self._tune(size, goal)
        noise = None
        for job in self._jobs(goal):
            key = job.key
            watched = key.part is Part.TABLE and (key.batch_size, key.seed) == (plan.middle, plan.seeds[0])
            if watched:
                noise = self._watched(job)
            else:
                self._make(job)
        return Study(
            started_at=started_at,
            data=self._data_facts(),
            target=target,
            policy=RatePolicy.TUNED if plan.tune else plan.policy,
            rates_from=self._rates_from(),
            tuned_here=plan.tune,
            rates_fit=plan.tune or (plan.policy is RatePolicy.TUNED and are_recorded(plan.sizes)),
            most_examples=self._most,
            runs=tuple(self._runs.values()),
            noise=noise.readings if noise else (),
            split=noise.split if noise else None,
            rates=tuple(self._rates.values()),
            facts={
                **facts,
                "clock": clock_of(self.task.device).value,
                "classifier_accuracy": self.judge.held_out_accuracy.value,
            },
            command=command,
        )

    def _jobs(self, goal: Goal) -> Iterator[_Job]:
        """Yield the runs that are to be made."""
        plan = self._plan
        for size, seed in itertools.product(plan.sizes, plan.seeds):
            yield self._constant(Part.TABLE, size, seed, goal)
        for seed in plan.seeds:
            yield self._ramp(seed, goal)
        low = min(LOW_COUNT, -(-plan.data.train_count // plan.middle) // 2)
        for seed in plan.seeds if low else ():  # a single batch is all of the data: there is no lower count
            yield self._constant(Part.COUNT, plan.middle, seed, goal, count=low)
        if plan.tune:
            ends = (plan.sizes[0], plan.sizes[-1])
            for name in parts_of(plan.data):
                sizes = ends if name == "rare" else plan.sizes
                for size, seed in itertools.product(sizes, plan.seeds):
                    if size <= self._task(name).data.train_count:
                        yield self._constant(Part.SUBSET, size, seed, goal, data=name)

    def _rate(self, size: int) -> float:
        """Return the learning rate of a batch size, by what was tuned or by the policy."""
        if self._rates:
            nearest = min(self._rates, key=lambda known: abs(known.bit_length() - size.bit_length()))
            known = self._rates.get(size) or self._rates[nearest]
            return known.rate * math.sqrt(size / known.batch_size)
        return rate_of(self._plan.policy, size, reference=self._plan.reference)

    def _rates_from(self) -> str:
        plan = self._plan
        if plan.tune:
            return f"tuned here: the best of rates a factor of 2 apart, on seed {TUNING_SEED}"
        if plan.policy is RatePolicy.TUNED:
            known = ", ".join(map(str, sorted(RECORDED)))
            return f"tuned elsewhere: recorded for digits at {known}, and between these"
        rule = {
            RatePolicy.FIXED: "the same for",
            RatePolicy.SQRT: "by the root of",
            RatePolicy.LINEAR: "in proportion to",
        }
        return f"untuned: {rule[plan.policy]} the batch size, {self._rate(64):.3g} at 64"

    def _constant(
        self, part: Part, size: int, seed: int, goal: Goal, *, count: int | None = None, data: str = "all"
    ) -> _Job:
        rate = self._rate(size)
        schedule = Constant(batch_size=size, rate=rate, goal=goal, batch_count=count)
        key = RunKey(part=part, data=data, batch_size=size, batch_count=count, rate=rate, seed=seed)
        return _Job(key=key, schedule=schedule)

    def _ramp(self, seed: int, goal: Goal) -> _Job:
        size = self._plan.sizes[0]
        images = self._plan.data.train_count
        count = min(_RAMP_COUNT, max(1, images // size))
        schedule = Ramp(
            batch_size=size,
            batch_count=count,
            rate_of=self._rate,
            goal=goal,
            rungs=rungs_of(goal.target or self._start, self._start),
            largest=min(8 * size, images),
            images=images,
        )
        key = RunKey(part=Part.RAMP, batch_size=size, batch_count=count, rate=self._rate(size), seed=seed)
        return _Job(key=key, schedule=schedule)

    def _pilot(self) -> float:
        """Return a target that the data allow: a little above the lowest loss of a first run."""
        job = self._constant(Part.TUNING, self._plan.middle, TUNING_SEED, Goal(target=None, most_examples=self._most))
        found = self._make(job)
        if found.end is End.DIVERGED:
            raise OptionError(
                f"no target: the first run diverged: {found.reason}", fix="give a smaller learning rate: --rate=0.0005"
            )
        lowest = min(evaluation.held_out_loss for evaluation in found.evaluations)
        start = min(self._start, found.evaluations[0].held_out_loss)
        if _PILOT_SLACK * lowest >= start:
            raise OptionError(
                "no target: the first run learned next to nothing",
                why=f"its lowest held-out loss was {lowest:.3g}, and {start:.3g} before any step",
                fix="give another learning rate (--rate) or more examples (--most-examples)",
            )
        return _PILOT_SLACK * lowest

    def _tune(self, size: int, goal: Goal) -> None:
        def trial(rate: float) -> Trial:
            schedule = Constant(batch_size=size, rate=rate, goal=goal)
            key = RunKey(part=Part.TUNING, batch_size=size, rate=rate, seed=TUNING_SEED)
            run = self._make(_Job(key=key, schedule=schedule))
            if run.end is End.DIVERGED:
                return Trial(examples=None, best_loss=None)
            found = to_target(run.evaluations, goal.target or 0.0)
            return Trial(examples=found.examples, best_loss=found.best_loss)

        start = rate_of(RatePolicy.SQRT, size, reference=self._plan.reference)
        found = tune(size, trial, start=start)
        self._rates[size] = found
        kind = "both neighbours are worse" if found.interior else "at the end of what was tried: no optimum"
        self._tell(f"batch size {size}: best learning rate {found.rate:.3g} of {len(found.tried)}, {kind}")

    def _make(self, job: _Job, watch: Callable[[Learner, Evaluation], None] | None = None) -> TrainingRun:
        """Return the run of *job*: a finished one, one that goes on, or a new one."""
        name = self._doing = job.key.name
        if name in self._runs:  # the run that found the target is a trial of its rate, too
            return self._runs[name]
        done = None if watch else self._keeper.run(name)
        if done is None:
            done = self._learn(job, watch)
            self._keeper.keep_run(done)
        self._take(done)
        return done

    def _take(self, done: TrainingRun) -> None:
        self._runs[done.name] = done
        self._tell(_line(done))

    @contextlib.contextmanager
    def _within_memory(self) -> Iterator[None]:
        """Say in one error what was being done as memory ran out."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not says_out_of_memory(error):
                raise
            raise CannotRun(
                f"{self._doing}: out of memory",
                why=str(error).partition("\n")[0] or type(error).__name__,
                fix="use smaller batch sizes (--batch-sizes) or smaller images (--resolution)",
            ) from None

    def _learn(self, job: _Job, watch: Callable[[Learner, Evaluation], None] | None) -> TrainingRun:
        key = job.key
        learner = Learner(self._task(key.data), seed=key.seed, energy=self._energy)
        state = None if watch else self._keeper.state(key.name)
        if state is not None:
            learner.restore(*state)
        keep = None if watch else lambda tensors, numbers: self._keeper.keep_state(key.name, tensors, numbers)
        stop = train(learner, job.schedule, keep=keep, watch=watch)
        judged = key.part in (Part.TABLE, Part.RAMP) and stop.end is not End.DIVERGED
        reason = stop.reason
        if isinstance(job.schedule, Ramp) and stop.end is End.REACHED:
            reason = f"{reason}; {job.schedule.why_not_higher(learner.evaluations)}"
        return TrainingRun(
            **asdict(key),
            end=stop.end,
            reason=reason,
            evaluations=tuple(learner.evaluations),
            quality=self.judge.quality(learner.network) if judged else None,
            joules=learner.joules,
        )

    def _watched(self, job: _Job) -> NoisePart:
        """Make the run along which gradients are read, and return what was read."""
        name = job.key.name
        known, done = self._keeper.noise(), self._keeper.run(name)
        if known is not None and done is not None:
            self._take(done)
            return known
        readings: list[NoiseReading] = []
        last: list[Learner] = []
        places = checkpoints(self._plan.data.train_count)

        def watch(learner: Learner, evaluation: Evaluation) -> None:
            last[:] = [learner]
            if len(readings) < len(places) and evaluation.examples >= places[len(readings)]:
                read(self.task, evaluation, seed=len(readings), data="all")

        def read(task: DenoisingTask, evaluation: Evaluation, *, seed: int, data: str) -> None:
            network, optimizer = last[0].network, last[0].optimizer
            try:
                readings.append(read_noise(task, network, optimizer, evaluation, seed=seed, data=data))
            except SdbatchError as error:  # gradients of a network that is about to diverge
                self._tell(f"{name}: {error.what}")

        run, split = self._make(job, watch), None
        if run.end is not End.DIVERGED:
            self._doing = f"reading gradients of {name}"
            for part in ("all", *parts_of(self._plan.data)):
                if part != "rare":
                    read(self._task(part), run.evaluations[-1], seed=TUNING_SEED, data=part)
            try:
                split = split_noise(self.task, last[0].network, seed=TUNING_SEED)
            except SdbatchError as error:
                self._tell(f"{name}: {error.what}")
        noise = NoisePart(readings=tuple(readings), split=split)
        self._keeper.keep_noise(noise)
        return noise

    def _task(self, name: str) -> DenoisingTask:
        if name not in self._tasks:
            self._tasks[name] = DenoisingTask(subset(self._plan.data, name), device=self._plan.device)
        return self._tasks[name]

    def _data_facts(self) -> DataFacts:
        data = self._plan.data
        return DataFacts(
            name=data.name,
            train_images=data.train_count,
            held_out_images=len(data.held_out_images),
            side=data.side,
            channels=data.channels,
            classes=len(data.class_names),
            parameters=sum(parameter.numel() for parameter in self.task.network(0).parameters()),
        )


def _line(run: TrainingRun) -> str:
    last = run.evaluations[-1]
    return (
        f"{run.name}: {run.end.value}, held-out loss {last.held_out_loss:.4f} after {last.examples:,} examples, "
        f"{last.steps:,} steps, {last.seconds:.1f} s of steps"
    )
