"""The learning study: the runs it takes, one after another, each kept as soon as it has ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from pytest_sdbatch.analysis.learning_curve import End, Evaluation, to_target
from pytest_sdbatch.analysis.learning_runs import (
    DataFacts,
    NoiseReading,
    Part,
    RatePolicy,
    Study,
    TrainingRun,
)
from pytest_sdbatch.analysis.noise_scale import NoiseSplit
from pytest_sdbatch.devices.out_of_memory import says_out_of_memory
from pytest_sdbatch.errors import CannotRun, OptionError, SdbatchError
from pytest_sdbatch.records import Fact
from pytest_sdbatch.training.datasets import parts_of, subset
from pytest_sdbatch.training.loop import Energy, Learner, clock_of, train
from pytest_sdbatch.training.noise_scale import checkpoints, read_noise, split_noise
from pytest_sdbatch.training.progress import Progress
from pytest_sdbatch.training.quality import Judge
from pytest_sdbatch.training.ramp import Ramp
from pytest_sdbatch.training.rates import Trial, are_recorded, rate_of, tune
from pytest_sdbatch.training.study_plan import EPOCHS, TUNING_SEED, Job, Jobs, StudyPlan
from pytest_sdbatch.training.task import DenoisingTask

_PILOT_SLACK = 1.05


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


class StudyRunner:
    """Makes the runs of *plan*, telling of each, and gives the study that they are.

    Args:
        plan: what is to be found out.
        keeper: of finished parts.
        tell: given a line for each run, and how long the others may take.
        energy: reads the energy counter of the device, millijoules; None: nobody asks.

    """

    def __init__(self, plan: StudyPlan, keeper: Keeper, tell: Callable[[str], None], energy: Energy = None) -> None:
        self._plan, self._energy = plan, energy
        self._keeper = keeper
        self._tell = tell
        self._tasks: dict[str, DenoisingTask] = {}
        most = plan.most_examples or EPOCHS * plan.data.train_count
        self._progress = Progress(tell, most)
        self._runs: dict[str, TrainingRun] = {}
        self._doing = "judging networks before any step"
        with self._within_memory():
            self.task = self._task("all")
            self.judge = Judge(self.task)
            start = min(self.task.judge(self.task.network(seed)).held_out for seed in plan.seeds)
        self._jobs = Jobs(plan, most_examples=most, start=start)

    def run(self, *, started_at: str, command: str, facts: Mapping[str, Fact]) -> Study:
        """Return the whole study.

        Raises:
            OptionError: for a target that is met before any step, or data that give none.
            CannotRun: where memory does not do; what had ended is kept.

        """
        with self._within_memory():
            return self._study(started_at=started_at, command=command, facts=facts)

    def _study(self, *, started_at: str, command: str, facts: Mapping[str, Fact]) -> Study:
        plan, start = self._plan, self._jobs.start
        target = plan.target if plan.target is not None else self._pilot()
        if plan.target is not None and target >= start:
            raise OptionError(
                f"--target={target:g} is reached before any step",
                why=f"a network that has learned nothing has a held-out loss of {start:.3g}",
                fix=f"name a lower one, or leave it out: a first run then finds one below {start:.3g}",
            )
        if plan.tune:
            for size in plan.sizes:
                self._tune(size, target)
        noise, jobs = None, list(self._jobs.compared(target))
        self._progress.expect(len(jobs))
        for job in jobs:
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
            rates_from=self._jobs.rates_from(),
            tuned_here=plan.tune,
            rates_fit=plan.tune or (plan.policy is RatePolicy.TUNED and are_recorded(plan.sizes)),
            most_examples=self._jobs.most_examples,
            runs=tuple(self._runs.values()),
            noise=noise.readings if noise else (),
            split=noise.split if noise else None,
            rates=tuple(self._jobs.rates.values()),
            facts={
                **facts,
                "clock": clock_of(self.task.device).value,
                "classifier_accuracy": self.judge.held_out_accuracy.value,
            },
            command=command,
        )

    def _pilot(self) -> float:
        """Return a target that the data allow: a little above the lowest loss of a first run."""
        found = self._make(self._jobs.pilot())
        if found.end is End.DIVERGED:
            raise OptionError(
                f"no target: the first run diverged: {found.reason}", fix="give a smaller learning rate: --rate=0.0005"
            )
        lowest = min(evaluation.held_out_loss for evaluation in found.evaluations)
        start = min(self._jobs.start, found.evaluations[0].held_out_loss)
        if _PILOT_SLACK * lowest >= start:
            raise OptionError(
                "no target: the first run learned next to nothing",
                why=f"its lowest held-out loss was {lowest:.3g}, and {start:.3g} before any step",
                fix="give another learning rate (--rate) or more examples (--most-examples)",
            )
        return _PILOT_SLACK * lowest

    def _tune(self, size: int, target: float) -> None:
        def trial(rate: float) -> Trial:
            run = self._make(self._jobs.trial(size, rate, target))
            if run.end is End.DIVERGED:
                return Trial(examples=None, best_loss=None)
            found = to_target(run.evaluations, target)
            return Trial(examples=found.examples, best_loss=found.best_loss)

        start = rate_of(RatePolicy.SQRT, size, reference=self._plan.reference)
        found = tune(size, trial, start=start)
        self._jobs.rates[size] = found
        kind = "both neighbours are worse" if found.interior else "at the end of what was tried: no optimum"
        self._tell(f"batch size {size}: best learning rate {found.rate:.3g} of {len(found.tried)}, {kind}")

    def _make(self, job: Job, watch: Callable[[Learner, Evaluation], None] | None = None) -> TrainingRun:
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
        self._progress.end(done)

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

    def _learn(self, job: Job, watch: Callable[[Learner, Evaluation], None] | None) -> TrainingRun:
        key = job.key
        learner = Learner(self._task(key.data), seed=key.seed, energy=self._energy)
        state = None if watch else self._keeper.state(key.name)
        if state is not None:
            learner.restore(*state)
        keep = None if watch else lambda tensors, numbers: self._keeper.keep_state(key.name, tensors, numbers)

        def look(learner: Learner, evaluation: Evaluation) -> None:
            self._progress.look(evaluation)
            if watch is not None:
                watch(learner, evaluation)

        self._progress.begin(learner.examples)
        stop = train(learner, job.schedule, keep=keep, watch=look)
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

    def _watched(self, job: Job) -> NoisePart:
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
